# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that are drawn, not rendered: EEVEE, Workbench, Grease Pencil. A Blender needs a display for them, or software
that draws without one."""

from support.api import MasterApi
from support.farm import wait_until

# Without these Mesa finds neither a vendor nor a driver, as on a server without graphics.
BLIND = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent.json", "LIBGL_DRIVERS_PATH": "/nonexistent"}
BUILD = """
import bpy, sys
folder = sys.argv[-1]
for name in ("rendered", "workbench", "pencil"):
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 32
    scene.render.engine = "BLENDER_WORKBENCH" if name == "workbench" else "CYCLES"
    if name != "workbench":
        scene.cycles.samples, scene.cycles.use_denoising = 1, False
    if name == "pencil":
        bpy.ops.object.gpencil_add(type="MONKEY")
    bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/{name}.blend")
"""


def test_scenes_that_are_drawn_wait_for_a_slave_that_can_draw(farm, blender_program, tmp_path):
    (tmp_path / "build.py").write_text(BUILD)
    blender_program.run_forked(tmp_path / "build.py", tmp_path)
    master = farm.master()
    api = MasterApi(master.url)

    # Given a slave that has nothing to draw with
    environ = dict(farm.environ)
    farm.environ.update(BLIND)
    blind = farm.slave(master, blender_program, name="blind")
    farm.environ = environ

    # When it is sent scenes that are drawn, and one that is not
    drawn = [
        farm.submit(master, blender_program, tmp_path / f"{name}.blend", "--frames", "1")
        for name in ("workbench", "pencil")
    ]
    rendered = farm.submit(master, blender_program, tmp_path / "rendered.blend", "--frames", "1")

    # Then it renders the one, and the others wait and say why, without an attempt
    assert api.wait(rendered)["state"] == "finished"
    for job in drawn:
        wait_until(lambda job=job: "blind: its Blender can't draw" in api.job(job)["why"], 60, "it says why")
        assert [task["attempts"] for task in api.job(job)["tasks"]] == [0]
    assert len(blind.lines("Blender can't draw, so")) == 1, "tried once"

    # And a slave that can draw renders them
    farm.slave(master, blender_program, name="seeing")
    assert [api.wait(job)["state"] for job in drawn] == ["finished", "finished"]
