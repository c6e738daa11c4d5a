# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a Blender with windows, started by test_panels.py: an artist's afternoon with the add-on, `-- FOLDER`."""

import os
import sys
from itertools import pairwise
from pathlib import Path

import bpy

from support.gui.mouse import key
from support.gui.story import area, click, photograph, tell, turns, until, window

FOLDER = sys.argv[sys.argv.index("--") + 1]


def escape():
    x, y = area("VIEW_3D").x + 50, area("VIEW_3D").y + 50
    yield from key(window(), "ESC", x, y)


def story():
    from netrender_rs import native
    from netrender_rs.runtime import session

    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    properties = area()
    properties.spaces.active.context = "RENDER"
    drawn = []
    for mode in ("CLIENT", "MASTER", "SLAVE"):
        scene.netrender.mode = mode
        properties.tag_redraw()
        yield
        yield
        drawn.append(mode)
    scene.netrender.mode = "CLIENT"
    if native.problem():
        assert not bpy.ops.netrender.send_job.poll()
        return

    import netrender_native as stub

    state = bpy.context.window_manager.netrender
    yield from until(lambda: session.client_farm.lists.head["state"] == "connected")

    # Send job: Blender goes on, and the bytes move
    bpy.ops.wm.save_as_mainfile(filepath=f"{FOLDER}/a.blend")
    os.environ["STUB_LOOKS"] = "40"
    assert click("send_job") == {"RUNNING_MODAL"}
    turns.clear()
    seen = set()
    while not state.last_job:
        seen.add(round(session.transfers.fraction(), 2))
        yield
    del os.environ["STUB_LOOKS"]
    os.environ["STUB_SECONDS"] = "5"
    assert state.last_job == 1
    assert len(seen) > 4, seen
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(turns)]
    assert max(gaps) < 4.0, f"Blender was frozen: {gaps}"
    yield from until(lambda: len(state.client_farm.jobs) == 1)
    assert state.client_farm.selected_job().number == 1
    copy = stub.requests[0]["blend"]
    assert not Path(copy).exists()

    # ESC stops sending
    click("send_job")
    yield
    yield from escape()
    yield from until(lambda: not session.transfers.running)
    assert state.last_job == 1
    assert not Path(stub.requests[1]["blend"]).exists()

    # Another file opened meanwhile: the job arrives all the same
    click("send_frame")
    yield
    bpy.ops.wm.open_mainfile(filepath=f"{FOLDER}/a.blend")
    yield from until(lambda: session.sent_jobs.last == 3)
    state = bpy.context.window_manager.netrender
    assert state.last_job == 3
    assert not Path(stub.requests[2]["blend"]).exists()
    area().spaces.active.context = "RENDER"

    # Get frame opens an Image Editor
    os.environ["STUB_SECONDS"] = "0.3"
    assert area("IMAGE_EDITOR") is None
    click("get_frame", job=1, frame=1)
    yield from until(lambda: state.last_file)
    yield from until(lambda: area("IMAGE_EDITOR") is not None)
    image = area("IMAGE_EDITOR").spaces.active.image
    assert image.filepath == state.last_file, image.filepath
    # Drawing reads it. Its size in Python is no help: 0 x 0 for every multilayer image.
    yield from until(lambda: image.type == "MULTILAYER")
    if os.environ.get("PHOTOGRAPH"):
        yield from photograph(os.environ["PHOTOGRAPH"])
    windows = len(bpy.context.window_manager.windows)
    click("get_frame", job=1, frame=2)
    yield from until(lambda: state.last_file.endswith("_2.exr"))
    yield
    assert len(bpy.context.window_manager.windows) == windows, "the editor that is there was not used"

    # The two arrows: one master fills in the address, several are offered
    click("find_master")
    yield from until(lambda: bpy.context.scene.netrender.client.master == "http://127.0.0.1:8000")
    stub.masters.append(dict(stub.masters[0], name="Attic", url="http://127.0.0.1:8001"))
    click("find_master")
    yield from until(lambda: len(state.masters) == 2)
    yield
    yield from escape()
    assert bpy.ops.netrender.use_master(url="http://127.0.0.1:8001") == {"FINISHED"}
    assert bpy.context.scene.netrender.client.master == "http://127.0.0.1:8001"
    yield from until(lambda: session.client_farm.address == "http://127.0.0.1:8001")

    # Both services in one Blender
    for mode in ("master", "slave"):
        bpy.context.scene.netrender.mode = mode.upper()
        click(f"start_{mode}")
        yield from until(
            lambda mode=mode: session.services[mode].snapshot["state"] in ("running", "rendering")
        )
        yield
        yield
    bpy.ops.preferences.addon_disable(module="netrender_rs")
    assert {"start master", "start slave", "stop master", "stop slave"} <= set(stub.calls), stub.calls
    assert stub.calls.count("start client") == stub.calls.count("stop client")
    yield
    bpy.ops.preferences.addon_enable(module="netrender_rs")
    yield
    os.environ["STUB_FAIL"] = "1"
    bpy.context.scene.netrender.mode = "MASTER"
    click("start_master")
    from netrender_rs.runtime import session as fresh

    yield from until(lambda: "taken" in fresh.master.error)
    yield


tell(story, turn_s=0.1)
