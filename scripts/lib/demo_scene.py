# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the demo's scene in Blender: `-- OUT.blend FIRST LAST`. Cubes on a turning ring around a
glass-like sphere."""

import math
import sys

import bpy

OUT, *RANGE = sys.argv[sys.argv.index("--") + 1 :]
FIRST, LAST = map(int, RANGE)
CUBES = 9


def material(name, color, roughness, metallic=0.0):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    surface = made.node_tree.nodes["Principled BSDF"]
    surface.inputs["Base Color"].default_value = (*color, 1.0)
    surface.inputs["Roughness"].default_value = roughness
    surface.inputs["Metallic"].default_value = metallic
    return made


def turn(thing, angles):
    """One whole turn over the animation, without easing, so that every frame differs from its
    neighbours."""
    thing.rotation_euler = (0.0, 0.0, 0.0)
    thing.keyframe_insert("rotation_euler", frame=FIRST)
    thing.rotation_euler = angles
    thing.keyframe_insert("rotation_euler", frame=LAST + 1)


bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
bpy.ops.wm.read_factory_settings()
bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
scene = bpy.context.scene
scene.name = "Demo"
bpy.data.objects.remove(bpy.data.objects["Cube"])

bpy.ops.mesh.primitive_plane_add(size=40, location=(0, 0, -1))
bpy.context.object.data.materials.append(material("Floor", (0.25, 0.27, 0.3), 0.6))
bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0)
bpy.ops.object.shade_smooth()
bpy.context.object.data.materials.append(material("Sphere", (0.9, 0.9, 0.9), 0.1, 1.0))
ring = bpy.data.objects.new("Ring", None)
scene.collection.objects.link(ring)
for index in range(CUBES):
    around = 2 * math.pi * index / CUBES
    bpy.ops.mesh.primitive_cube_add(
        size=0.8, location=(3 * math.cos(around), 3 * math.sin(around), -0.4 + 0.1 * index)
    )
    cube = bpy.context.object
    hue = index / CUBES
    color = [0.5 + 0.45 * math.cos(2 * math.pi * (hue + shift)) for shift in (0, 1 / 3, 2 / 3)]
    cube.data.materials.append(material(f"Cube {index}", color, 0.4))
    cube.parent = ring
    turn(cube, (0.0, math.pi, math.pi))
turn(ring, (0.0, 0.0, 2 * math.pi))

scene.render.engine = "CYCLES"
scene.cycles.samples = 16
scene.cycles.use_denoising = False
scene.frame_start, scene.frame_end = FIRST, LAST
scene.render.resolution_x, scene.render.resolution_y = 160, 90
scene.render.resolution_percentage = 100
bpy.ops.wm.save_as_mainfile(filepath=OUT)
