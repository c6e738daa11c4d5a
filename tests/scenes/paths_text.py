# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds FOLDER/text.blend, in which plain texts name the files of meshes by absolute paths: `-- FOLDER`.

One is an input of the modifier, one that of a group in its nodes. A Blender without import nodes has the texts alone.
"""

import os
import sys

import bpy

from scenes import media

FOLDER = sys.argv[sys.argv.index("--") + 1]
SQUARE = "v -1 -1 {0}\nv 1 -1 {0}\nv 1 1 {0}\nv -1 1 {0}\nf 1 2 3 4\n"


def new_tree(name, *inputs):
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    for kind, sockets in (("INPUT", inputs), ("OUTPUT", ["Geometry"])):
        for socket in sockets:
            of = "NodeSocketGeometry" if socket == "Geometry" else "NodeSocketString"
            if hasattr(tree, "interface"):
                tree.interface.new_socket(socket, in_out=kind, socket_type=of)
            else:
                (tree.inputs if kind == "INPUT" else tree.outputs).new(of, socket)
    return tree, tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")


def importing(name):
    """A group that makes the mesh of the file that its input names."""
    tree, inputs, outputs = new_tree(name, "File")
    if hasattr(bpy.types, "GeometryNodeImportOBJ"):
        node = tree.nodes.new("GeometryNodeImportOBJ")
        real = tree.nodes.new("GeometryNodeRealizeInstances")
        tree.links.new(inputs.outputs[0], node.inputs["Path"])
        tree.links.new(node.outputs[0], real.inputs[0])
        tree.links.new(real.outputs[0], outputs.inputs[0])
    return tree


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 2
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x = scene.render.resolution_y = 24
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    paths = [os.path.join(FOLDER, "meshes", name) for name in ("low.obj", "high.obj")]
    for z, path in enumerate(paths):
        media.make_text(path, SQUARE.format(2 * z))
    importer = importing("Import")
    tree, inputs, outputs = new_tree("Both", "Geometry", "File")
    nodes = [tree.nodes.new("GeometryNodeGroup") for _ in paths]
    join = tree.nodes.new("GeometryNodeJoinGeometry")
    for node in nodes:
        node.node_tree = importer
        tree.links.new(node.outputs[0], join.inputs[0])
    tree.links.new(inputs.outputs["Geometry"], join.inputs[0])
    tree.links.new(inputs.outputs["File"], nodes[0].inputs["File"])
    nodes[1].inputs["File"].default_value = paths[1]
    tree.links.new(join.outputs[0], outputs.inputs[0])
    modifier = bpy.data.objects["Cube"].modifiers.new("Nodes", "NODES")
    modifier.node_group = tree
    text = next(
        i
        for i in (tree.interface.items_tree if hasattr(tree, "interface") else tree.inputs)
        if i.name == "File"
    )
    modifier[text.identifier] = paths[0]
    media.save(os.path.join(FOLDER, "text.blend"))


main()
