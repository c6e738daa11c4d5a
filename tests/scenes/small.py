# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a small Cycles scene, 16x12 pixels: `-- OUT.blend TEXTURE.png [no-camera] [denoise] [long]
[file-output] [many] [layers] [dense] [gpu]`.

"many" has 64 samples, "layers" a second view layer with 40, "dense" takes long until the first sample.

A keyed cube with a texture by absolute path, motion blur, and an animated render setting: what a warm
worker could get wrong. Output settings are the film's, so that a local `-f N` writes the same kind of file.
"""

import array
import sys

import bpy

OUT, TEXTURE, *WISHES = sys.argv[sys.argv.index("--") + 1 :]


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.name = "Small"
    texture = bpy.data.images.new("made", 8, 8)
    values = [1.0 if i % 4 == 3 else (i * 37 % 97) / 97 for i in range(8 * 8 * 4)]
    texture.pixels.foreach_set(array.array("f", values))
    texture.filepath_raw = TEXTURE
    texture.file_format = "PNG"
    texture.save()
    bpy.data.images.remove(texture)

    cube = bpy.data.objects["Cube"]
    material = cube.data.materials[0]
    material.use_nodes = True
    nodes = material.node_tree.nodes
    image = nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(TEXTURE)
    surface = nodes["Principled BSDF"].inputs["Base Color"]
    material.node_tree.links.new(image.outputs["Color"], surface)
    for frame, x in ((1, 0.0), (10, 3.0)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
        scene.cycles.seed = frame
        scene.cycles.keyframe_insert("seed", frame=frame)

    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1_000_000 if "long" in WISHES else 4
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    if "gpu" in WISHES:
        scene.cycles.device = "GPU"
    if "denoise" in WISHES:
        scene.cycles.use_denoising = True
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 10, 2
    scene.render.resolution_x, scene.render.resolution_y = 16, 12
    scene.render.use_motion_blur = True
    scene.view_layers[0].use_pass_z = True
    scene.view_layers[0].use_pass_normal = True
    if "no-camera" in WISHES:
        bpy.data.objects.remove(bpy.data.objects["Camera"])
    if "many" in WISHES:
        scene.cycles.samples = 64
    if "layers" in WISHES:
        add_layers(scene, material.node_tree)
    if "dense" in WISHES:
        dense = cube.modifiers.new("Dense", "SUBSURF")
        dense.subdivision_type, dense.render_levels = "SIMPLE", 8
    if "file-output" in WISHES:
        add_file_output(scene)
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "ZIP"
    bpy.ops.wm.save_as_mainfile(filepath=OUT, relative_remap=False)  # else the texture becomes relative


def add_layers(scene, tree):
    """Two view layers whose passes lie differently in memory, and a material that writes into one of them: what Cycles
    mixes up when it keeps one layer's for the other."""
    scene.render.film_transparent = True
    front, back = scene.view_layers[0], scene.view_layers.new("Back")
    back.samples = 40
    back.use_pass_normal = back.use_pass_mist = back.cycles.pass_debug_sample_count = True
    for name in ("emit", "position", "cryptomatte_object", "cryptomatte_material", "cryptomatte_asset"):
        setattr(front, f"use_pass_{name}", True)
    aov = front.aovs.add()
    aov.name, aov.type = "Grain", "COLOR"
    output = tree.nodes.new("ShaderNodeOutputAOV")
    setattr(output, "aov_name" if hasattr(output, "aov_name") else "name", "Grain")
    output.inputs["Color"].default_value = (3, 2, 1, 1)


def add_file_output(scene):
    """A File Output node next to the .blend, as artists have; the worker must not write there."""
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
    layers = next((n for n in tree.nodes if n.type == "R_LAYERS"), None) or tree.nodes.new(
        "CompositorNodeRLayers"
    )
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "directory"):
        node.directory = "//artist"
        node.file_output_items.new("RGBA", "Beauty")
    else:
        node.base_path = "//artist"
    tree.links.new(layers.outputs["Image"], node.inputs[0])


main()
