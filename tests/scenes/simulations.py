# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a scene whose frames follow from each other: `-- OUT.blend TEXTURE [paint]`. A cloth, a soft body, rigid
bodies, particles and, where this Blender has them, a simulation zone, none of them baked; with `paint` a dynamic
paint, too. A picture lies on the floor, by a relative path."""

import sys

import bpy

OUT, TEXTURE, *WISHES = sys.argv[sys.argv.index("--") + 1 :]
LAST = 12

bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
bpy.data.objects.remove(bpy.data.objects["Cube"])
scene.frame_start, scene.frame_end = 1, LAST


def add(kind, name, location, **options):
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(location=location, **options)
    thing = bpy.context.object
    thing.name = name
    return thing


def moving(thing, *ways):
    for way, frame in zip(ways, (1, LAST), strict=True):
        thing.location = way
        thing.keyframe_insert("location", frame=frame)


cloth = add("grid", "Cloth", (-2, 0, 1), x_subdivisions=6, y_subdivisions=6, size=3)
cloth.vertex_groups.new(name="pin").add([0, 6], 1, "REPLACE")
cloth.modifiers.new("Cloth", "CLOTH").settings.vertex_group_mass = "pin"

add("cube", "Soft", (2, 0, 2), size=1).modifiers.new("Soft", "SOFT_BODY").settings.use_goal = False

bpy.ops.rigidbody.world_add()
add("cube", "Rigid", (0, 2, 2), size=1)
bpy.ops.rigidbody.object_add()

grain = add("cube", "Grain", (50, 0, 0), size=0.2)
emitter = add("plane", "Emitter", (0, -2, 1), size=1)
emitter.modifiers.new("Particles", "PARTICLE_SYSTEM")
particles = emitter.particle_systems[0].settings
particles.count, particles.frame_start, particles.frame_end = 30, 1, 10
particles.render_type, particles.instance_object, particles.particle_size = "OBJECT", grain, 1

floor = add("plane", "Floor", (0, 0, -1), size=6)
made = bpy.data.images.new("made", 4, 4)
made.generated_color = (0.2, 0.6, 0.1, 1)
made.filepath_raw, made.file_format = TEXTURE, "PNG"
made.save()
bpy.data.images.remove(made)
material = bpy.data.materials.new("Picture")
material.use_nodes = True
picture = material.node_tree.nodes.new("ShaderNodeTexImage")
picture.image = bpy.data.images.load(TEXTURE)
surface = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
material.node_tree.links.new(picture.outputs["Color"], surface.inputs["Base Color"])
floor.data.materials.append(material)

if hasattr(bpy.types, "GeometryNodeSimulationInput"):
    zone = add("cube", "Zone", (2, -2, 0), size=0.5)
    tree = bpy.data.node_groups.new("Rising", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    kinds = (
        "NodeGroupInput",
        "NodeGroupOutput",
        "GeometryNodeSimulationInput",
        "GeometryNodeSimulationOutput",
    )
    come, go, begin, end = (tree.nodes.new(kind) for kind in kinds)
    begin.pair_with_output(end)
    lift = tree.nodes.new("GeometryNodeSetPosition")
    lift.inputs["Offset"].default_value = (0, 0, 0.1)
    for one, other in ((come, begin), (begin, lift), (lift, end), (end, go)):
        tree.links.new(one.outputs["Geometry"], other.inputs["Geometry"])
    zone.modifiers.new("Rising", "NODES").node_group = tree

if "paint" in WISHES:
    for name, kind, size in (("Canvas", "CANVAS", 2), ("Brush", "BRUSH", 0.5)):
        shape = {"x_subdivisions": 8, "y_subdivisions": 8} if kind == "CANVAS" else {}
        thing = add("grid" if shape else "cube", name, (0, 0, 0), size=size, **shape)
        paint = thing.modifiers.new("Paint", "DYNAMIC_PAINT")
        paint.ui_type = kind
        bpy.ops.dpaint.type_toggle(type=kind)
        if kind == "CANVAS":
            paint.canvas_settings.canvas_surfaces[0].surface_type = "WAVE"
        else:
            moving(thing, (-1, 0, 0), (1, 0, 0))

scene.camera.location, scene.camera.rotation_euler = (0, -11, 2), (1.4, 0, 0)
scene.render.engine = "CYCLES"
scene.cycles.samples = 1
scene.cycles.use_adaptive_sampling = False
scene.cycles.use_denoising = False
scene.render.resolution_x = scene.render.resolution_y = 32
settings = scene.render.image_settings
if hasattr(settings, "media_type"):
    settings.media_type = "MULTI_LAYER_IMAGE"
settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
bpy.ops.wm.save_as_mainfile(filepath=OUT, relative_remap=True)
bpy.ops.file.make_paths_relative()
bpy.ops.wm.save_mainfile()
