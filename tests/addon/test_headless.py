# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on without a window: `blender -b master.blend -a` is a master, `blender -b slave.blend -a` a slave."""

import os
import signal

import pytest

from support import film
from support.addon import Addon
from support.api import MasterApi

SEND = """
import bpy, sys
address, operator = sys.argv[sys.argv.index("--") + 1:]
bpy.context.scene.netrender.client.master = address
try:
    print("RESULT", getattr(bpy.ops.netrender, operator)())
except RuntimeError as error:
    print("REFUSED", error)
print("JOB", bpy.context.window_manager.netrender.last_job)
"""

GET_FRAME = """
import bpy, sys
address, job, frame, folder = sys.argv[sys.argv.index("--") + 1:]
bpy.context.scene.netrender.client.master = address
print("RESULT", bpy.ops.netrender.get_frame(job=int(job), frame=int(frame), directory=folder))
image = next(i for i in bpy.data.images if i.filepath.endswith(".exr"))
print("IMAGE", image.source, bool(image.has_data), image.filepath)
bpy.ops.netrender.open_folder(job=int(job))
import netrender_native
width, height, pixels = netrender_native.Client(address).thumbnail(int(job), 48)
print("COVER", width, height, len(pixels), len(set(pixels)) > 8)
"""


@pytest.fixture
def addon(farm, blender_program):
    return Addon(farm, blender_program)


def word_after(text, word):
    return next(line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith(word + " "))


def test_services_in_blender_render_a_job_sent_from_blender(farm, addon, blender_program, tmp_path):
    # Given a master and two slaves, each a Blender without a window, and a desktop that shows folders
    (tmp_path / "bin").mkdir()
    desktop = tmp_path / "bin" / "xdg-open"
    desktop.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    desktop.chmod(0o755)
    addon.environ["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"
    master = addon.master()
    slaves = [addon.slave(name, master) for name in ("anna", "ben")]
    blend = blender_program.build(
        tmp_path / "shots" / "a.blend", "rich", "size=96x54", "samples=4", "frames=1-3"
    )
    local = blender_program.render_local(blend, [1, 2, 3], tmp_path / "local")

    # When the artist presses Send job in a third one
    said = addon.script(SEND, master.url, "send_job", blend=blend)

    # Then she is told its number, and the frames equal those of her own machine
    assert "FINISHED" in word_after(said, "RESULT")
    job = int(word_after(said, "JOB"))
    assert MasterApi(master.url).wait(job)["state"] == "finished"
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    films = film.in_folder(tmp_path / "frames")
    assert sorted(films) == [1, 2, 3]
    for frame, path in films.items():
        film.assert_same_film(path, local[frame])

    # And Get frame brings one into an image
    said = addon.script(GET_FRAME, master.url, job, 2, tmp_path / "picked", blend=blend)
    assert word_after(said, "IMAGE").startswith("FILE")
    film.assert_same_film(film.in_folder(tmp_path / "picked")[2], local[2])
    # Open Folder shows where it is, and the list has a small picture
    assert (tmp_path / "opened").read_text().strip() == str(tmp_path / "picked")
    assert word_after(said, "COVER") == f"48 27 {48 * 27 * 4} True"

    # And on SIGTERM all end at once, with code 0, no picture of their own and no Blender left
    for service in (*slaves, master):
        code, seconds = farm.stop(service, signal.SIGTERM)
        print(f"{service.name}: ended with code {code} in {seconds:.2f} s")
        assert code == 0, service.text()
        assert seconds < 3
        assert not service.data.exists()
    assert farm.running() == {}


def test_ctrl_c_ends_a_headless_service(farm, addon):
    master = addon.master()
    slave = addon.slave("anna", master)
    for service in (slave, master):
        code, seconds = farm.stop(service, signal.SIGINT)
        assert code == 0, service.text()
        assert seconds < 3
        assert not service.data.exists()


def test_sending_the_current_frame(farm, addon, blender_program, tmp_path):
    master = farm.master()
    blend = blender_program.build(tmp_path / "a.blend")
    said = addon.script(SEND, master.url, "send_frame", blend=blend)
    assert MasterApi(master.url).job(int(word_after(said, "JOB")))["frames"] == "1"


def test_what_cannot_be_sent_is_refused_with_the_reason(farm, addon, blender_program, tmp_path):
    master = farm.master()
    said = addon.script(SEND, master.url, "send_job")
    assert "Save the .blend file first" in said

    blend = blender_program.build(tmp_path / "no-camera.blend", "no-camera")
    assert "has no camera" in word_after(addon.script(SEND, master.url, "send_job", blend=blend), "REFUSED")

    # (An empty frame range cannot be set up: Blender moves the end along with the start.)
    blend = blender_program.build(tmp_path / "good.blend")
    refused = word_after(addon.script(SEND, "127.0.0.1:1", "send_job", blend=blend), "REFUSED")
    assert "127.0.0.1:1" in refused
    assert MasterApi(master.url).jobs() == []
