# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a scene Edit that is made of a scene Shot: `-- OUT.blend strip|layers`. By a scene strip in the
sequencer, or by a Render Layers node and a File Output node in Edit's compositor.
"""

import sys

import bpy

OUT, WAY = sys.argv[-2:]


def main():
    bpy.ops.wm.read_factory_settings()
    shot = bpy.context.scene
    shot.name = "Shot"
    cube = bpy.data.objects["Cube"]
    for frame, x in ((1, 0.0), (3, 1.5)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    edit = bpy.data.scenes.new("Edit")
    for scene in (shot, edit):
        scene.render.engine = "CYCLES"
        scene.cycles.samples = 2
        scene.cycles.use_adaptive_sampling = scene.cycles.use_denoising = False
        scene.render.resolution_x, scene.render.resolution_y = 32, 24
        scene.render.resolution_percentage = 100
        scene.frame_start, scene.frame_end = 1, 3
    if WAY == "strip":
        editor = edit.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strips.new_scene(name="Shot", scene=shot, channel=1, frame_start=1)
    else:
        add_compositor(edit, shot)
    bpy.context.window.scene = edit
    bpy.ops.wm.save_as_mainfile(filepath=OUT)


def add_compositor(edit, shot):
    if hasattr(edit, "compositing_node_group"):
        tree = edit.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        edit.use_nodes = True
        tree = edit.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeComposite")
    layers, invert = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("CompositorNodeInvert")
    layers.scene = shot
    tree.links.new(layers.outputs["Image"], invert.inputs["Color"])
    tree.links.new(invert.outputs[0], end.inputs[0])
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "directory"):
        node.directory, node.file_name = "//renders/", ""
        node.format.media_type = "IMAGE"
        node.file_output_items.clear()
        node.file_output_items.new("RGBA", "other_####")
    else:
        node.base_path = "//renders/"
        node.file_slots[0].path = "other_####"
    node.format.file_format = "PNG"
    tree.links.new(layers.outputs["Image"], node.inputs[0])


main()
