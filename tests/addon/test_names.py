# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of view layers, passes and objects that Blender allows, through the whole farm and back into Blender."""

import OpenEXR

from support import film
from support.addon import run_with_addon
from support.api import MasterApi
from support.sharing import SLAVES, assert_same, submit

LAYER = "Слой 图层"
LONG_LAYER = LAYER + " " + "ш" * 23  # 63 bytes, as many as there can be
PASS = '✨ "блик"'

BUILD = f"""
import bpy, sys
blend, name = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.render.engine, scene.frame_end = "CYCLES", 1
scene.render.resolution_x = scene.render.resolution_y = 32
scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 4, False, False
cube = bpy.data.objects["Cube"]
cube.name = 'куб "1", 立方体.001'
layer = scene.view_layers[0]
layer.name = name
layer.use_pass_cryptomatte_object = True
aov = layer.aovs.add()
aov.name, aov.type = {PASS!r}, "COLOR"
tree = cube.data.materials[0].node_tree
output = tree.nodes.new("ShaderNodeOutputAOV")
if hasattr(output, "aov_name"):
    output.aov_name = aov.name
else:
    output.name = aov.name
output.inputs["Color"].default_value = (0.2, 0.5, 0.7, 1)
settings = scene.render.image_settings
if hasattr(settings, "media_type"):
    settings.media_type = "MULTI_LAYER_IMAGE"
settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
bpy.ops.wm.save_as_mainfile(filepath=blend)
"""

GET = """
blend, master, job, out = arguments
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
scene.netrender.client.master = master
scene.render.filepath = out + "/####"
bpy.ops.netrender.get_animation(job=int(job))
netrender_rs.unregister()
"""


def mattes(path):
    """The texts of a film that tell how to read its Cryptomattes."""
    with OpenEXR.File(str(path), separate_channels=True) as parts:
        return {k: v for part in parts.parts for k, v in part.header.items() if k.startswith("cryptomatte/")}


def test_layers_passes_and_objects_have_any_name(farm, any_blender, tmp_path):
    # Given a scene with names in several scripts, as this machine renders it
    script, blend = tmp_path / "names.py", tmp_path / "shot.blend"
    script.write_text(BUILD)
    # Up to 4.x, Blender cuts channels' names in files at 63 bytes, the layer's included.
    layer = LAYER if any_blender.version < (5, 0) else LONG_LAYER
    any_blender.run_forked(script, blend, layer)
    local = any_blender.render_local(blend, [1], tmp_path / "local")[1]
    wanted = film.read(local)
    assert f"{layer}.Combined.R" in wanted
    assert f"{layer}.{PASS}.R" in wanted

    # When slaves share the frame
    master = farm.master()
    for name in SLAVES[:2]:
        farm.slave(master, any_blender, "--threads", "1", name=name)
    sharing = ["--split", "samples", "--wait", "--output", tmp_path / "frames"]
    job = submit(farm, master, any_blender, blend, *sharing)

    # Then its film has the same passes, pixels and texts
    (shared,) = film.in_folder(tmp_path / "frames").values()
    assert_same(shared, local)
    assert mattes(local)
    assert mattes(shared) == mattes(local)
    # And its page lists them
    passes = MasterApi(master.url).get(f"api/v1/jobs/{job}/frames/1/passes").json()
    assert (layer, PASS) in {(one["layer"], one["pass"]) for one in passes}

    # When Blender writes the frame out of the farm's film, nothing of it is lost
    run_with_addon(any_blender, tmp_path, GET, blend, master.url, job, tmp_path / "ours")
    ours = tmp_path / "ours" / "0001.exr"
    film.assert_same_film(ours, shared)
    assert mattes(ours) == mattes(local)
