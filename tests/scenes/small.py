# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a small Cycles scene, 16x12 pixels: `-- OUT.blend TEXTURE.png [no-camera] [denoise] [long]
[file-output] [parts] [dense]`.

"parts" has 64 samples and a second view layer with 40 of its own, "dense" takes long until the first sample.

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
    if "denoise" in WISHES:
        scene.cycles.use_denoising = True
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 10, 2
    scene.render.resolution_x, scene.render.resolution_y = 16, 12
    scene.render.use_motion_blur = True
    scene.view_layers[0].use_pass_z = True
    scene.view_layers[0].use_pass_normal = True
    if "no-camera" in WISHES:
        bpy.data.objects.remove(bpy.data.objects["Camera"])
    if "parts" in WISHES:
        scene.cycles.samples = 64
        scene.view_layers.new("Back").samples = 40
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
