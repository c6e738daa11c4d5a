# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a scene with File Output nodes: `-- OUT.blend FOLDER [long|stereo] [suffix=TEXT]`. A PNG and a PNG in a folder
of its own beside the .blend, a multilayer EXR beside the .blend, and, in a node group, a PNG in FOLDER. `long`: with a
name that no file can have. `suffix`: what the names of the left eye's files end with.
"""

import sys

import bpy

OUT, FOLDER, *WISHES = sys.argv[sys.argv.index("--") + 1 :]


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 4
    scene.cycles.use_adaptive_sampling = scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 24, 16
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = 1, 2
    scene.view_layers[0].use_pass_z = True
    cube = bpy.data.objects["Cube"]
    for frame, x in ((1, 0.0), (2, 1.0)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    tree, image, layers = compositor(scene)
    if "stereo" in WISHES:
        scene.render.use_multiview = True
        settings.views_format = "MULTIVIEW"
    for suffix in (wish.removeprefix("suffix=") for wish in WISHES if wish.startswith("suffix=")):
        scene.render.views["left"].file_suffix = suffix
    half = "x" * 300 if "long" in WISHES else "sub/half_####"
    add_file_output(tree, image, "File Output", "//renders/", ("beauty_####", half))
    node = add_file_output(tree, image, "Layers", "//renders/", ("layers_####",), is_single_file=True)
    tree.links.new(layers.outputs["Depth"], node.inputs[1])
    inner = bpy.data.node_groups.new("Grad: ing", "CompositorNodeTree")
    if hasattr(inner, "interface"):
        inner.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    else:
        inner.inputs.new("NodeSocketColor", "Image")
    add_file_output(inner, inner.nodes.new("NodeGroupInput").outputs[0], "File Output", FOLDER, ("far_",))
    group = tree.nodes.new("CompositorNodeGroup")
    group.node_tree = inner
    tree.links.new(image, group.inputs[0])
    bpy.ops.wm.save_as_mainfile(filepath=OUT, relative_remap=False)


def compositor(scene):
    """The tree, the socket of its picture, the node of the render."""
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        layers, end = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        layers = next(node for node in tree.nodes if node.type == "R_LAYERS")
        end = next(node for node in tree.nodes if node.type == "COMPOSITE")
    invert = tree.nodes.new("CompositorNodeInvert")
    picture = invert.inputs["Color"]
    tree.links.new(layers.outputs["Image"], picture)
    tree.links.new(invert.outputs[0], end.inputs[0])
    return tree, invert.outputs[0], layers


def add_file_output(tree, image, name, folder, items, is_single_file=False):
    node = tree.nodes.new("CompositorNodeOutputFile")
    node.name = name
    for socket in place(node, folder, items, is_single_file):
        tree.links.new(image, socket)
    if "stereo" in WISHES and not is_single_file:
        node.format.views_format = "INDIVIDUAL"
    return node


def place(node, folder, items, is_single_file):
    """Sets where the node writes; the sockets of its pictures."""
    if hasattr(node, "directory"):
        node.directory, node.file_name = folder, items[0] if is_single_file else ""
        node.format.media_type = "MULTI_LAYER_IMAGE" if is_single_file else "IMAGE"
        node.format.file_format = "OPEN_EXR_MULTILAYER" if is_single_file else "PNG"
        node.file_output_items.clear()
        for item in ("Picture",) if is_single_file else items:
            node.file_output_items.new("RGBA", item)
        count = len(node.file_output_items)
        if is_single_file:
            node.file_output_items.new("FLOAT", "Depth")
        return list(node.inputs)[:count]
    node.format.file_format = "OPEN_EXR_MULTILAYER" if is_single_file else "PNG"
    node.base_path = folder + items[0] if is_single_file else folder
    slots = node.layer_slots if is_single_file else node.file_slots
    slots.clear()
    for item in ("Picture",) if is_single_file else items:
        slots.new(item)
    count = len(slots)
    if is_single_file:
        slots.new("Depth")
    return list(node.inputs)[:count]


main()
