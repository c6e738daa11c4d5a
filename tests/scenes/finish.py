# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a scene whose frames need something after rendering: `-- OUT.blend SAMPLES [wish ...]`.

Two view layers, one of them with samples of its own, a Cryptomatte, an AOV, and a compositor that blurs, mixes and
grades them. Wishes: `denoise`, `prefilter=NAME`, `passes` (what guides the denoiser stays in the film), `stereo`,
`adaptive` (and high enough for tiles).
"""

import sys

import bpy

OUT, SAMPLES, *WISHES = sys.argv[sys.argv.index("--") + 1 :]
VALUES = dict(wish.split("=", 1) for wish in WISHES if "=" in wish)


def fill():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    for place, (x, colour) in enumerate(
        [(-1.3, (0.8, 0.1, 0.1, 1)), (0.2, (0.1, 0.6, 0.2, 1)), (1.6, (0.2, 0.3, 0.9, 1))]
    ):
        made = bpy.data.materials.new(f"Colour {place}")
        made.use_nodes = True
        made.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = colour
        bpy.ops.mesh.primitive_uv_sphere_add(location=(x, place * 0.7, 0), radius=0.8)
        thing = bpy.context.object
        thing.data.materials.append(made)
        thing.keyframe_insert("location", frame=1)
        thing.location.z = 0.6
        thing.keyframe_insert("location", frame=5)
    bpy.ops.mesh.primitive_plane_add(size=12, location=(0, 0, -0.9))
    light = bpy.data.objects.new("Key", bpy.data.lights.new("Key", "AREA"))
    light.location, light.data.energy, light.data.size = (3, -3, 4), 500, 1.5
    scene.collection.objects.link(light)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -8, 1.4), (1.42, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return scene


def set_up(scene):
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    is_adaptive = "adaptive" in WISHES
    render.resolution_x, render.resolution_y = (96, 160) if is_adaptive else (96, 54)
    render.resolution_percentage = 100
    scene.frame_start = scene.frame_end = 3
    cycles.device, cycles.samples, cycles.use_adaptive_sampling = "CPU", int(SAMPLES), is_adaptive
    cycles.use_denoising = "denoise" in WISHES
    if cycles.use_denoising:
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.denoising_prefilter = VALUES.get("prefilter", "ACCURATE")
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_cryptomatte_object = True
    layer.use_pass_diffuse_direct = layer.use_pass_diffuse_color = True
    layer.cycles.denoising_store_passes = "passes" in WISHES
    aov = layer.aovs.add()
    aov.name, aov.type = "Grain", "COLOR"
    back = scene.view_layers.new("Back")
    back.samples = int(SAMPLES) // 2
    render.use_multiview = "stereo" in WISHES
    image = render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format, image.color_depth, image.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    if render.use_multiview:
        image.views_format = "MULTIVIEW"


def add_compositor(scene):
    is_group = hasattr(scene, "compositing_node_group")
    if is_group:
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Grading", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        output = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("CompositorNodeComposite")
    front, back = (tree.nodes.new("CompositorNodeRLayers") for _ in range(2))
    front.layer, back.layer = "ViewLayer", "Back"
    blur = tree.nodes.new("CompositorNodeBlur")
    if is_group:
        blur.inputs["Size"].default_value = (3, 3)
    else:
        blur.size_x = blur.size_y = 3
    mix = tree.nodes.new("CompositorNodeAlphaOver")
    invert = tree.nodes.new("CompositorNodeInvert")
    tree.links.new(front.outputs["Image"], blur.inputs["Image"])
    tree.links.new(back.outputs["Image"], invert.inputs["Color"])
    pictures = [socket for socket in mix.inputs if socket.type == "RGBA"]
    tree.links.new(blur.outputs["Image"], pictures[0])
    tree.links.new(invert.outputs["Color"], pictures[1])
    factor = mix.inputs["Factor" if "Factor" in mix.inputs else "Fac"]
    factor.default_value = 0.4
    # A pass of the denoiser, or the normals, has a say too.
    guide = "Denoising Albedo" if "passes" in WISHES else "Normal"
    gain = tree.nodes.new("CompositorNodeMixRGB") if not is_group else tree.nodes.new("ShaderNodeMix")
    if is_group:
        gain.data_type = "RGBA"
        gain.inputs["Factor"].default_value = 0.2
        ends = [s for s in gain.inputs if s.type == "RGBA"]
        result = next(s for s in gain.outputs if s.type == "RGBA")
    else:
        gain.inputs["Fac"].default_value = 0.2
        ends, result = [gain.inputs[1], gain.inputs[2]], gain.outputs[0]
    tree.links.new(mix.outputs["Image"], ends[0])
    tree.links.new(front.outputs[guide], ends[1])
    tree.links.new(result, output.inputs[0])


scene = fill()
set_up(scene)
add_compositor(scene)
bpy.ops.wm.save_as_mainfile(filepath=OUT)
