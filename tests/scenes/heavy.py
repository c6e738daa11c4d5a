# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds or changes a scene of many megabytes that no compression makes smaller: `-- OUT.blend MEGABYTES`, or
`-- OUT.blend move` to open it as after a night's sleep, move one object and save it again. Uncompressed, as Blender's
default is."""

import array
import os
import sys

import bpy

OUT, WISH = sys.argv[sys.argv.index("--") + 1 :]
VERTICES_A_SIDE = 317  # 100,489 vertices, 400 KB for each number they carry
NUMBERS = 70


def build(megabytes):
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    made = 0
    while made < megabytes * 1e6:
        bpy.ops.mesh.primitive_grid_add(
            x_subdivisions=VERTICES_A_SIDE - 1, y_subdivisions=VERTICES_A_SIDE - 1
        )
        rock = bpy.context.object
        rock.name = "Rock"
        rock.hide_render = True  # what counts here is sending it
        count = len(rock.data.vertices)
        for number in range(NUMBERS):
            attribute = rock.data.attributes.new(f"number {number}", "INT", "POINT")
            attribute.data.foreach_set("value", array.array("i", os.urandom(4 * count)))
            made += 4 * count
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 32, 18
    scene.frame_start = scene.frame_end = 1


if WISH == "move":
    bpy.ops.wm.open_mainfile(filepath=OUT)
    next(o for o in bpy.data.objects if o.name.startswith("Rock")).location.x += 1.0
else:
    build(float(WISH))
bpy.ops.wm.save_as_mainfile(filepath=OUT, compress=False)
