# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one frame with all of its samples at once and in parts: `-- FOLDER TOTAL BACK [stereo] [skin] CUT...`.

TOTAL is the frame's number of samples, BACK that of the view layer "Back" and each CUT a list of parts such as
`0+10,10+54`. Leaves `full.exr` and a film for each part, `0+10.exr`, in FOLDER. The scene has what differs between
samples: motion blur, depth of field, a volume, glass, a veil, a film to see through; and what must be told apart: two
view layers, light groups, an AOV, Cryptomattes, and every pass there is a rule for.
"""

import os
import sys

import bpy

FOLDER, TOTAL, BACK, *CUTS = sys.argv[sys.argv.index("--") + 1 :]
IS_STEREO, IS_SKIN = "stereo" in CUTS, "skin" in CUTS
CUTS = [cut for cut in CUTS if cut not in ("stereo", "skin")]
TOTAL, BACK = int(TOTAL), int(BACK)
PASSES = """z mist position normal vector uv emit environment ambient_occlusion object_index material_index
diffuse_direct diffuse_indirect diffuse_color glossy_direct glossy_indirect glossy_color transmission_direct
transmission_indirect transmission_color cryptomatte_object cryptomatte_material cryptomatte_asset"""


def material(name, **values):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    surface = made.node_tree.nodes["Principled BSDF"]
    for key, value in values.items():
        # Sockets were renamed in 4.0.
        socket = surface.inputs.get(key) or surface.inputs[f"{key} Weight"]
        socket.default_value = value
    return made


def add_aov(made):
    tree = made.node_tree
    output = tree.nodes.new("ShaderNodeOutputAOV")
    setattr(output, "name" if not hasattr(output, "aov_name") else "aov_name", "Grain")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 30
    tree.links.new(noise.outputs["Color"], output.inputs["Color"])


def put(shape, made, location, **values):
    getattr(bpy.ops.mesh, f"primitive_{shape}_add")(location=location, **values)
    thing = bpy.context.object
    thing.data.materials.append(made)
    thing.pass_index = len(bpy.data.objects)
    made.pass_index = len(bpy.data.materials)
    return thing


def add_volume():
    fog = bpy.data.materials.new("Fog")
    fog.use_nodes = True
    tree = fog.node_tree
    tree.nodes.clear()
    scatter = tree.nodes.new("ShaderNodeVolumeScatter")
    scatter.inputs["Density"].default_value = 0.15
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(scatter.outputs[0], output.inputs["Volume"])
    put("cube", fog, (0, 0, 0), size=5)


def add_lights(scene):
    for name, location, energy in [("Key", (3, -3, 4), 600), ("Fill", (-4, -2, 3), 200)]:
        light = bpy.data.objects.new(name, bpy.data.lights.new(name, "AREA"))
        light.location, light.data.energy, light.data.size = location, energy, 1.5
        light.lightgroup = name.lower()
        scene.collection.objects.link(light)


def build():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    # Together with motion, Debian's 3.4.1 now and then ends itself (an assertion in Embree).
    skin = {"Subsurface": 0.5} if IS_SKIN else {}
    plain = material("Plain", **{"Base Color": (0.8, 0.2, 0.1, 1), **skin})
    add_aov(plain)
    cube = put("cube", plain, (-1.2, 0, 0), size=1.6)
    for frame, x in [(1, -1.6), (3, -0.4)]:
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    glossy = material("Glossy", **{"Metallic": 1.0, "Roughness": 0.3})
    put("uv_sphere", glossy, (1.2, 0.5, 0), radius=0.9)
    put("uv_sphere", material("Glass", **{"Transmission": 1.0}), (0.3, -1.4, -0.3), radius=0.5)
    put("uv_sphere", material("Veil", **{"Alpha": 0.4}), (-0.6, -1.6, 0.7), radius=0.4)
    add_volume()
    add_lights(scene)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -8, 1.2), (1.45, 0, 0)
    camera.data.dof.use_dof, camera.data.dof.focus_distance, camera.data.dof.aperture_fstop = True, 7, 0.3
    scene.collection.objects.link(camera)
    scene.camera = camera
    set_up(scene)
    return scene


def set_up(scene):
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = 40, 24, 100
    render.film_transparent = True
    render.use_motion_blur = not IS_SKIN
    scene.frame_start = scene.frame_end = 2
    scene.frame_set(2)
    cycles.device = "CPU"
    cycles.use_denoising = cycles.use_adaptive_sampling = False
    if hasattr(cycles, "volume_biased"):
        cycles.volume_biased = True  # the other way of 5.0 cannot be cut
    layer = scene.view_layers[0]
    for name in PASSES.split():
        setattr(layer, f"use_pass_{name}", True)
    # Without motion blur this pass is an average of the samples that hit something, which no merge can tell.
    layer.use_pass_vector = render.use_motion_blur
    layer.cycles.use_pass_volume_direct = layer.cycles.use_pass_volume_indirect = True
    layer.cycles.denoising_store_passes = True
    layer.cycles.pass_debug_sample_count = True
    if hasattr(layer.cycles, "pass_render_time"):
        layer.cycles.pass_render_time = True
    aov = layer.aovs.add()
    aov.name, aov.type = "Grain", "COLOR"
    for name in ("key", "fill"):
        layer.lightgroups.add(name=name)
    back = scene.view_layers.new("Back")
    back.use_pass_normal = back.use_pass_mist = True
    back.cycles.pass_debug_sample_count = True
    image = render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format, image.color_depth, image.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    render.use_multiview = IS_STEREO
    if IS_STEREO:
        image.views_format = "MULTIVIEW"


def render(scene, name, offset, samples):
    cycles, back = scene.cycles, scene.view_layers["Back"]
    if hasattr(cycles, "use_sample_subset"):
        cycles.samples, back.samples = TOTAL, BACK
        cycles.use_sample_subset = samples != TOTAL
        cycles.sample_offset, cycles.sample_subset_length = offset, samples
    else:
        cycles.samples, cycles.sample_offset = samples, offset
        # 0 would mean as many as the scene's; what is rendered then has no weight.
        back.samples = max(1, min(offset + samples, BACK) - offset)
    scene.render.filepath = os.path.join(FOLDER, f"{name}.exr")
    bpy.ops.render.render(write_still=True)


scene = build()
render(scene, "full", 0, TOTAL)
done = set()
for share in ",".join(CUTS).split(","):
    if share not in done:
        render(scene, share, *map(int, share.split("+")))
    done.add(share)
