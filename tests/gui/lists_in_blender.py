# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a Blender with windows, started by test_panels.py: the lists of jobs and slaves in both modes, empty and
filled, and their buttons."""

import os
import webbrowser
from types import SimpleNamespace

import bpy

from support.gui.mouse import key, move
from support.gui.story import area, click, draw, photograph, properties_alone, tell, until, window

PLACE = 300, 500  # of the mouse


def open_all_panels():
    """Panels that start closed are not drawn."""
    from netrender_rs import panels

    for cls in panels.CLASSES:
        if "DEFAULT_CLOSED" in getattr(cls, "bl_options", ()):
            bpy.utils.unregister_class(cls)
            cls.bl_options = set()
            bpy.utils.register_class(cls)


def keep_picture(name):
    if os.environ.get("PHOTOGRAPHS"):
        yield from photograph(f"{os.environ['PHOTOGRAPHS']}/{name}.png")


def why_grey(farm, index):
    """What each button beside the lists says when that job is selected."""
    from netrender_rs.operators import get_frame, jobs, slaves

    farm.job_index = index
    classes = [cls for module in (get_frame, jobs, slaves) for cls in module.CLASSES]
    context = SimpleNamespace(netrender_farm=farm, scene=bpy.context.scene)
    names = {cls.bl_idname.removeprefix("netrender."): cls for cls in classes}
    del names["set_priority"], names["unblacklist_slave"]
    return {name: cls.obstacle(context) for name, cls in names.items()}


def reports():
    """What Blender's Info editor holds: what was to be read in the status bar."""
    editor = area()
    editor.type = "INFO"
    with bpy.context.temp_override(window=window(), area=editor, region=editor.regions[-1]):
        bpy.ops.info.select_all(action="SELECT")
        bpy.ops.info.report_copy()
    editor.type = "PROPERTIES"
    return bpy.context.window_manager.clipboard


def story():
    import netrender_native as stub
    from netrender_rs.runtime import session

    state = bpy.context.window_manager.netrender
    settings = bpy.context.scene.netrender
    properties_alone()
    yield
    area().spaces.active.context = "RENDER"
    open_all_panels()
    bpy.context.scene.render.engine = "NET_RENDER"  # its panels come first
    anna = dict(stub.slaves[0], job=3, frame=2, progress="Sample 12/64")
    stub.slaves.clear()

    # Nothing is there yet
    for mode in ("CLIENT", "MASTER"):
        settings.mode = mode
        yield from draw()
    click("start_master")
    yield from until(lambda: session.master.snapshot["state"] == "running")
    yield from draw()

    # Jobs and slaves, in both modes
    why = "No slave has Blender 5.0"
    stub.jobs += [
        stub.new_job(1, name="finished", state="finished", status="Finished", done=3, rendering=0),
        stub.new_job(2, name="waits", status="Queued", done=0, rendering=0, why=why, left_s=None),
        stub.new_job(3, name="a shot with quite a long name", failed=1, total=4),
    ]
    stub.slaves += [anna, dict(anna, id=2, name="ben", job=None, frame=None, progress="", paused=True)]
    for mode, farm in (("MASTER", state.master_farm), ("CLIENT", state.client_farm)):
        settings.mode = mode
        yield from draw()
        yield from until(lambda farm=farm: len(farm.jobs) == 3 and len(farm.slaves) == 2)
        assert [row.number for row in farm.jobs] == [1, 2, 3]
        assert farm.selected_job().number == 3, "the newest is not selected"
        yield from until(lambda mode=mode: session.thumbnails.icon(mode == "MASTER", 3))
        yield from draw()
        yield from keep_picture(mode.lower())
        for index in range(3):
            farm.job_index = index
            yield from draw()

    # What makes no sense is grey, and says why
    farm = state.client_farm
    grey = {name: why for name, why in why_grey(farm, 0).items() if why}
    assert grey == {
        "open_folder": "No frame of job 1 was picked up yet",
        "pause_job": "Job 1 does not wait or render now",
        "resume_job": "Job 1 is not paused",
        "requeue_job": "No frame of job 1 failed",
        "cancel_job": "Job 1 is over already",
        "resume_slave": "anna is not paused",
    }
    assert why_grey(farm, 1)["get_frame"] == "No frame of job 2 is finished yet"

    # Buttons work on what is selected, and the list shows it
    farm.job_index = 2
    click("pause_job")
    yield from until(lambda: farm.selected_job().state == "paused")
    yield from draw()
    click("resume_job")
    yield from until(lambda: farm.selected_job().state == "active")
    click("requeue_job", job=3)
    yield from until(lambda: farm.selected_job().failed == 0)
    click("blacklist_slave", slave=2)
    yield from until(lambda: stub.blacklist == {3: {2}})
    click("unblacklist_slave", slave=2)
    yield from until(lambda: stub.blacklist == {3: set()})
    click("resume_slave", slave=2)
    yield from until(lambda: not farm.slaves[1].paused)
    for value in (60, 61, 62):
        farm.priority = value
        yield
    assert farm.priority == 62
    yield from until(lambda: stub.jobs[2]["priority"] == 62)
    yield from until(lambda: farm.selected_job().priority == 62)

    # Some ask whether it is meant; then, too, Blender goes on
    yield from move(window(), *PLACE)
    click("cancel_job")
    yield from draw()
    assert farm.selected_job().state == "active", "it did not ask"
    errands, do = [], session.errands.do
    session.errands.do = lambda call: (errands.append(call), do(call))
    yield from key(window(), "RET", *PLACE)
    yield from until(lambda: farm.selected_job().state == "canceled")
    assert len(errands) == 1, "Blender waited for the master"
    session.errands.do = do
    click("requeue_job", job=3)
    yield from until(lambda: farm.selected_job().state == "active")

    # The monitor
    opened = []
    webbrowser.open = opened.append
    click("open_monitor")
    assert opened == ["http://127.0.0.1:8000"]

    # What is refused is said in the panel
    click("pause_job", job=99)
    yield from until(lambda: "no job 99" in session.notices.sentence)
    yield from draw()

    # The selected job stays selected while others come and go
    farm.job_index = 1
    yield
    stub.jobs.pop(0)
    stub.jobs.append(stub.new_job(4))
    yield from until(lambda: [row.number for row in farm.jobs] == [2, 3, 4])
    assert farm.selected_job().number == 2

    # A job that was sent from here says when it is over
    session.sent_jobs.running.add((session.client_farm.address, 4))
    stub.jobs[-1].update(state="finished", status="Finished", done=3)
    yield from until(lambda: "Job 4 (shot) is finished" in reports())
    yield from keep_picture("note")

    # Another file is opened: the rows are there again
    bpy.ops.wm.read_homefile()
    yield
    state = bpy.context.window_manager.netrender
    yield from until(lambda: [row.number for row in state.client_farm.jobs] == [2, 3, 4])
    bpy.ops.preferences.addon_disable(module="netrender_rs")
    yield
    assert session.thumbnails.previews is None


tell(story)
