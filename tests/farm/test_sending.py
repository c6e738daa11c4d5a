# SPDX-License-Identifier: GPL-3.0-or-later
"""What crosses the line when a job is sent: nothing twice, whoever sent it first and however it broke off."""

import os
import time

import pytest

from support.addon import Addon
from support.api import MasterApi
from support.farm import PROGRAM, wait_until
from support.paths import SCENES
from support.tcp_relay import TcpRelay

MB = 1_000_000
HEAVY = SCENES / "heavy.py"

# Two sends in one session, with an object moved in between.
SESSION = """
import bpy, sys
address, = sys.argv[sys.argv.index("--") + 1:]
bpy.context.scene.netrender.client.master = address
for turn in range(2):
    bpy.ops.netrender.send_job()
    print(f"SENT{turn}", bpy.context.window_manager.netrender.last_job, flush=True)
    input()
    next(o for o in bpy.data.objects if o.name.startswith("Rock")).location.x += 1.0
"""


@pytest.fixture
def line(farm):
    with TcpRelay(farm.master().url) as line:
        yield line


def quiet_file(path, megabytes):
    """A file of noise that was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(MB))
    old = time.time() - 100
    os.utime(path, (old, old))
    return path


def submit(farm, line, blender, blend, *options, **keywords):
    """Sends a scene over the line; returns the bytes that crossed it."""
    line.reset()
    command = ["submit", blend, "--master", line.url, "--blender", blender.path, "--json", *options]
    farm.cli(*command, **keywords)
    return line.total


def build_heavy(blender, blend, megabytes):
    blend.parent.mkdir(parents=True)
    blender.run_forked(HEAVY, blend, megabytes)
    return blend


def test_an_edited_scene_sends_what_changed(farm, line, any_blender, tmp_path, record_property):
    """Closed, opened again, moved: every block of the .blend has another address, and the data are the same."""
    blend = build_heavy(any_blender, tmp_path / "shots" / "heavy.blend", 220)
    size = blend.stat().st_size
    first = submit(farm, line, any_blender, blend)
    any_blender.run_forked(HEAVY, blend, "move")
    reopened = submit(farm, line, any_blender, blend)
    # Somebody else, who has never sent anything, has the same file
    other = submit(farm, line, any_blender, blend, XDG_CACHE_HOME=str(tmp_path / "elsewhere"))
    print(f"{size / MB:.0f} MB: sent first {first / MB:.1f} MB, reopened {reopened} B "
          f"({100 * reopened / first:.3f} %), by another client {other} B ({100 * other / first:.3f} %)")  # fmt: skip
    record_property("reopened_percent", 100 * reopened / first)
    record_property("other_client_percent", 100 * other / first)
    assert size > 300 * MB
    assert reopened <= first / 100
    assert other <= first / 1000


def test_two_sends_of_one_session(farm, line, blender_program, tmp_path, record_property):
    addon = Addon(farm, blender_program)
    blend = build_heavy(blender_program, tmp_path / "shots" / "heavy.blend", 220)
    script = tmp_path / "session.py"
    script.write_text(SESSION)
    command = [blender_program.path, "-b", "-noaudio", blend, "--python-exit-code", "1", "--python", script]
    read, write = os.pipe()
    with os.fdopen(write, "wb", buffering=0) as keyboard:
        session = farm.spawn("artist", [*command, "--", line.url], stdin=read, **addon.environ)
        os.close(read)
        farm.await_line(session, r"SENT0 1\n", 120)
        first = line.total
        line.reset()
        keyboard.write(b"\n")
        farm.await_line(session, r"SENT1 2\n", 120)
        second = line.total
        keyboard.write(b"\n")
        assert farm.wait_end(session) == 0
    print(f"sent first {first / MB:.1f} MB, moved and sent again {second} B ({100 * second / first:.3f} %)")
    record_property("same_session_percent", 100 * second / first)
    assert first > 200 * MB
    assert second <= first / 100


def test_an_upload_that_broke_off_goes_on(farm, line, fake, tmp_path, record_property):
    # Given a scene with 200 MB beside it, and a line that breaks after 60 %
    blend = fake.build(tmp_path / "shots" / "a.blend", "1-1")
    big = quiet_file(tmp_path / "shots" / "big.bin", 200)
    line.cut_after = 120 * MB
    command = [PROGRAM, "submit", blend, "--master", line.url, "--blender", fake.path]
    client = farm.spawn("client", [*command, "--add", big])
    wait_until(line.broken.is_set, 60, "the line breaks")
    arrived = line.up
    farm.kill(client)

    # When it is sent again, then what had arrived is not sent again
    line.mend()
    again = submit(farm, line, fake, blend, "--add", big)
    lost = arrived + again - 200 * MB
    print(f"{arrived / MB:.1f} MB went up before, {again / MB:.1f} MB after: {lost / MB:.2f} MB sent twice")
    record_property("sent_twice_mb", lost / MB)
    assert lost <= 8 * 1024 * 1024


def test_a_line_that_blinks_is_not_noticed(farm, line, fake, tmp_path):
    blend = fake.build(tmp_path / "shots" / "a.blend", "1-1")
    big = quiet_file(tmp_path / "shots" / "big.bin", 60)
    line.cut_after = 30 * MB
    command = [PROGRAM, "submit", blend, "--master", line.url, "--blender", fake.path]
    client = farm.spawn("client", [*command, "--add", big])
    wait_until(line.broken.is_set, 60, "the line breaks")
    line.mend()
    assert farm.wait_end(client, 60) == 0, client.text()
    assert line.up <= 68 * 1024 * 1024


def test_a_master_killed_while_it_receives_asks_for_what_it_lost(farm, fake, free_port, tmp_path):
    master = farm.master(port=free_port)
    blend = fake.build(tmp_path / "shots" / "a.blend", "1-1")
    big = quiet_file(tmp_path / "shots" / "big.bin", 60)
    with TcpRelay(master.url, hold_after=30 * MB) as line:
        command = [PROGRAM, "submit", blend, "--master", line.url, "--blender", fake.path]
        client = farm.spawn("client", [*command, "--add", big])
        wait_until(line.held.is_set, 60, "half of it has gone")
        farm.kill(master)
        farm.master(data=master.data, port=free_port)
        line.release()
        assert farm.wait_end(client, 60) == 0, client.text()
    assert [j["state"] for j in MasterApi(master.url).jobs()] == ["active"]


@pytest.mark.parametrize("change", ["changes", "vanishes"])
def test_a_file_that_changes_while_it_is_sent_is_named(farm, line, fake, tmp_path, change):
    blend = fake.build(tmp_path / "shots" / "a.blend", "1-1")
    big = quiet_file(tmp_path / "shots" / "big.bin", 60)
    line.hold_after = 20 * MB
    command = [PROGRAM, "submit", blend, "--master", line.url, "--blender", fake.path]
    client = farm.spawn("client", [*command, "--add", big])
    wait_until(line.held.is_set, 60, "half of it has gone")
    if change == "changes":
        with big.open("r+b") as file:
            file.write(b"another take")
    else:
        big.unlink()
    line.release()
    assert farm.wait_end(client, 60) != 0
    said = client.text()
    assert "big.bin" in said
    assert ("changed while it was being sent" if change == "changes" else "No such file") in said
    assert MasterApi(line.url).jobs() == []


def test_what_is_remembered_of_a_file_is_not_read_again(farm, line, fake, tmp_path):
    blend = fake.build(tmp_path / "shots" / "a.blend", "1-1")
    big = quiet_file(tmp_path / "shots" / "big.bin", 30)
    submit(farm, line, fake, blend, "--add", big)
    # Its content changes behind everybody's back: only somebody who reads it could know
    before = big.stat()
    with big.open("r+b") as file:
        file.write(b"x" * 100)
    os.utime(big, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert submit(farm, line, fake, blend, "--add", big) < 100_000
    os.utime(big)
    assert submit(farm, line, fake, blend, "--add", big) > 500_000
