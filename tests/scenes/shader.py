# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds FOLDER/shader.blend, whose cube glows as FOLDER/glow.osl says, which is there already: `-- FOLDER`."""

import os
import sys

import bpy

from scenes import media

FOLDER = sys.argv[sys.argv.index("--") + 1]


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 2
    if hasattr(scene.cycles, "shading_system"):
        scene.cycles.shading_system = True
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x = scene.render.resolution_y = 24
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    material = bpy.data.materials["Material"]
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    node = tree.nodes.new("ShaderNodeScript")
    node.mode = "EXTERNAL"
    node.filepath = "//glow.osl"
    socket = node.outputs.get("C") or node.outputs.new("NodeSocketShader", "C")
    output = next(n for n in tree.nodes if n.type == "OUTPUT_MATERIAL")
    tree.links.new(socket, output.inputs["Surface"])
    media.save(os.path.join(FOLDER, "shader.blend"))


main()
