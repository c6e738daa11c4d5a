# SPDX-License-Identifier: GPL-3.0-or-later
"""Long frames and long interruptions: nothing is given up because it takes its time."""

import json
import re
import signal
import time

from support.farm import PROGRAM, wait_until

CUT_S = 90
MIB = 1 << 20


def job_of(farm, url, number):
    return farm.cli("job", number, "--master", url, "--json").json()


def test_a_frame_longer_than_every_timeout_is_rendered_once(slow, farm, fake, tmp_path):
    """75 s: longer than a poll is held (25 s), an answer waited for (60 s), a slave's silence borne (2 s), and a
    Blender's (3 s)."""
    blend = fake.build(tmp_path / "shot.blend", "1-1", seconds=75)
    master = farm.master("--slave-timeout", "2")
    farm.slave(master, fake, "--hang-timeout", "3")
    done = farm.cli(
        "submit", blend, "--master", master.url, "--blender", fake.path, "--wait", "--json"
    ).json()
    (task,) = done["tasks"]
    assert (task["state"], task["attempts"], fake.renders()) == ("done", 1, 1)


def test_a_line_that_is_cut_for_long_costs_next_to_nothing(slow, farm, fake, two_hosts, tmp_path):
    here, there = two_hosts.here, two_hosts.there
    two_hosts.on(farm, there)
    master = farm.master(host="", data=tmp_path / "master-data")
    url = f"http://{two_hosts.address(there)}:{master.url.rsplit(':', 1)[1].strip('/')}"

    # Given a slave in the midst of a frame, and a client in the midst of sending
    two_hosts.on(farm, here)
    slow = fake.build(tmp_path / "slow.blend", "1-3", seconds=30)
    address = ["--master", url, "--blender", fake.path]
    first = farm.cli("submit", slow, *address, "--json").json()["job"]
    slave = farm.slave(url, fake, wait=False)
    farm.await_line(slave, "lease granted")
    wait_until(lambda: fake.renders() == 1, 60, "the first frame is begun")
    heavy = fake.build(tmp_path / "heavy.blend", "1-2", noise_bytes=200 * MIB)
    before = two_hosts.sent_by(here)
    client = farm.spawn("client", [PROGRAM, "submit", heavy, *address, "--json"])
    wait_until(lambda: two_hosts.sent_by(here) - before > 80 * MIB, 60, "a part is sent", every_s=0.001)

    # When the line is cut for a while
    client.popen.send_signal(signal.SIGSTOP)
    two_hosts.cut()
    client.popen.send_signal(signal.SIGCONT)
    assert two_hosts.sent_by(here) - before < 190 * MIB, "too late: all was sent"
    until = time.monotonic() + CUT_S
    farm.await_line(client, "reconnecting", CUT_S)
    wait_until(lambda: time.monotonic() > until, CUT_S + 1, "the cut is over")
    assert client.alive()
    two_hosts.mend()

    # Then both go on by themselves
    assert farm.wait_end(client, 120) == 0, client.text()
    second = json.loads(re.search(r"\{.*\}", client.log.read_text(), re.S).group())["job"]
    wasted = two_hosts.sent_by(here) - before - heavy.stat().st_size
    print(f"sent twice, with all headers: {wasted / MIB:.2f} MiB")
    assert wasted < 8 * MIB
    for job in (first, second):
        wait_until(lambda job=job: job_of(farm, url, job)["state"] == "finished", 200, f"job {job}", 0.5)
        assert {task["attempts"] for task in job_of(farm, url, job)["tasks"]} <= {1, 2}
    assert fake.renders() == 5, "a frame was rendered twice"
