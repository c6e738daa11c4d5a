# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a scene that is lit by a grey picture in the colour space Studio Texture, which only the colour configuration
in the environment has: `-- OUT.blend`."""

import os
import sys

import bpy

from scenes import media

OUT = sys.argv[sys.argv.index("--") + 1]


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.frame_end = 1
    scene.render.engine, scene.cycles.samples = "CYCLES", 2
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x = scene.render.resolution_y = 24
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    image = bpy.data.images.load(media.make_picture(os.path.join(os.path.dirname(OUT), "grey.png"), 1))
    image.colorspace_settings.name = "Studio Texture"
    world = scene.world
    if world.node_tree is None:
        world.use_nodes = True
    tree = world.node_tree
    node = tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = image
    background = next(n for n in tree.nodes if n.type == "BACKGROUND")
    tree.links.new(node.outputs[0], background.inputs["Color"])
    media.save(OUT)


main()
