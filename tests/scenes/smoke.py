# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a Cycles scene whose smoke is a cache of the type Replay, played up to frame 3: `-- OUT.blend`. Blender
writes into such a cache while it renders."""

import sys

import bpy

OUT = sys.argv[sys.argv.index("--") + 1]


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.frame_start, scene.frame_end = 1, 3
    source = bpy.data.objects["Cube"]
    source.scale = (0.3, 0.3, 0.3)
    bpy.ops.mesh.primitive_cube_add(size=4)
    domain = bpy.context.object
    modifier = domain.modifiers.new("Smoke", "FLUID")
    modifier.fluid_type = "DOMAIN"
    settings = modifier.domain_settings
    settings.domain_type, settings.cache_type, settings.resolution_max = "GAS", "REPLAY", 8
    flow = source.modifiers.new("Source", "FLUID")
    flow.fluid_type = "FLOW"
    flow.flow_settings.flow_type, flow.flow_settings.flow_behavior = "SMOKE", "INFLOW"
    bpy.ops.wm.save_as_mainfile(filepath=OUT)
    settings.cache_directory = "//cache"
    for frame in (1, 2, 3):
        scene.frame_set(frame)
    bpy.ops.wm.save_as_mainfile(filepath=OUT)


main()
