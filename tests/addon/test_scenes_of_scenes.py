# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene that is made of other scenes, by strips or Render Layers nodes, is rendered by the farm alone, and written as
this machine would have."""

import json

import pytest

from support.addon import run_with_addon
from support.api import MasterApi
from support.paths import SCENES
from support.png import pixels

ARTIST = """
import json
from netrender_rs import farm_render, playback
blend, master, out = arguments
bpy.ops.wm.open_mainfile(filepath=blend)
scene, edit_render = bpy.context.scene, bpy.context.scene.render
scene.netrender.client.master = master
cube = bpy.data.objects["Cube"]
image = edit_render.image_settings
if hasattr(image, "media_type"):
    image.media_type = "IMAGE"
image.file_format, image.color_depth = "PNG", "8"
edit_render.filepath = out + "/local_####"
bpy.ops.render.render(animation=True)
renders = bpy.path.abspath("//renders")
if os.path.exists(renders):
    os.rename(renders, out + "/files")

def state():
    render = scene.render
    return render.use_sequencer, render.use_compositing, scene.camera, render.engine, len(bpy.data.objects)

before, seen = state(), {}
bpy.app.handlers.render_pre.append(lambda s, *_: seen.__setitem__(s.name, seen.get(s.name, 0) + 1))

cube.hide_render = False
edit_render.filepath = out + "/ours_####"
bpy.ops.netrender.animate()
job = bpy.context.window_manager.netrender.last_job
assert state() == before, (state(), before)

# The farm's frames are taken, whatever this machine would make of the scene by now
cube.hide_render = True
edit_render.filepath = out + "/later_####"
bpy.ops.netrender.get_animation(job=job)
assert state() == before, (state(), before)

# And a render that sends the scene itself, as F12 does, sends it with the artist's settings
cube.hide_render = False
edit_render.filepath = out + "/sent_####"
playback.play(farm_render.FarmRender(scene, "CYCLES", [2]), scene, True, lambda render: None)
assert state() == before, (state(), before)

# And a frame that cannot come leaves the scene as it was, too
edit_render.resolution_percentage = 50
broken = farm_render.FarmRender(scene, "CYCLES", [1], job, is_own=False)
playback.play(broken, scene, True, lambda render: None)
assert "does not fit" in broken.problem
assert state() == before, (state(), before)

if hasattr(image, "media_type"):
    image.media_type = "MULTI_LAYER_IMAGE"
image.file_format = "OPEN_EXR_MULTILAYER"
why = ""
try:
    bpy.ops.netrender.animate()
except RuntimeError as error:
    why = str(error)
print("TOLD " + json.dumps({"seen": seen, "job": job, "why": why}))
netrender_rs.unregister()
sys.exit(0)
"""


@pytest.mark.parametrize("way", ["strip", "layers"])
def test_the_farm_renders_what_a_scene_is_made_of(farm, any_blender, tmp_path, way):
    # Given a scene that is made of another one
    blend, out = tmp_path / "project" / "edit.blend", tmp_path / "out"
    blend.parent.mkdir()
    out.mkdir()
    any_blender.run_forked(SCENES / "edit.py", blend, way)
    master = farm.master()
    farm.slave(master, any_blender, "--threads", "1")

    # When Animation on Network, Get Animation and a render with the engine Network Render bring its frames
    printed = run_with_addon(any_blender, tmp_path, ARTIST, blend, master.url, out)
    told = json.loads(
        next(line for line in printed.splitlines() if line.startswith("TOLD ")).removeprefix("TOLD ")
    )

    # Then this machine renders nothing of the other scene, and the job is done
    assert told["seen"] == {"Edit": 8}
    assert MasterApi(master.url).job(told["job"])["state"] == "finished"

    # And the pictures are those of this machine
    for frame in (1, 2, 3):
        local = pixels(out / f"local_000{frame}.png")
        assert len(set(local[1])) > 10, "the picture is blank"
        for name in ("ours", "later", *(["sent"] if frame == 2 else [])):
            assert pixels(out / f"{name}_000{frame}.png") == local, f"{name}, frame {frame}"

    # And so are the files that its compositor writes, at their place
    if way == "layers":
        files = sorted(path.name for path in (out / "files").iterdir())
        assert files == [f"other_000{n}.png" for n in (1, 2, 3)]
        assert sorted(path.name for path in (blend.parent / "renders").iterdir()) == files
        for name in files:
            assert pixels(blend.parent / "renders" / name) == pixels(out / "files" / name)

    # And what can't be written so is refused in words
    assert "is made of other scenes" in told["why"]
