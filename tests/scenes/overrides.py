# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds `shot.blend` in a folder, and its libraries in another one: `-- PROJECT LIBRARIES`.

All that Blender matches with linked data while it reads a file: a posed override of a rig whose body comes from a
second library (a chain of two), a modifier added to an override, a collection left out of the view layer though its
library shows it, and an object's own material, with a picture, over a linked mesh. Libraries are linked by absolute
paths.
"""

import os
import struct
import sys

import bpy

PROJECT, LIBRARIES = sys.argv[sys.argv.index("--") + 1 :]
PARTS, CHAR = os.path.join(LIBRARIES, "parts.blend"), os.path.join(LIBRARIES, "char.blend")
SHOT = os.path.join(PROJECT, "shot.blend")


def fresh():
    bpy.ops.wm.read_factory_settings()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    return bpy.context.scene


def save(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False)


def collection(name, parent, *things):
    made = bpy.data.collections.new(name)
    parent.children.link(made)
    for thing in things:
        made.objects.link(thing)
    return made


def block(name, location, size):
    mesh = bpy.data.meshes.new(name)
    corners = [(x, y, z) for x in (-size, size) for y in (-size, size) for z in (-size, size)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners, [], faces)
    thing = bpy.data.objects.new(name, mesh)
    thing.location = location
    return thing


def material(name, color):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    made.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1)
    return made


def painted(name):
    """A material whose picture is a file beside the scene."""
    path = os.path.join(PROJECT, "paint.png")
    os.makedirs(PROJECT, exist_ok=True)
    image = bpy.data.images.new("paint", 4, 4)
    image.generated_color = (0.1, 0.9, 0.2, 1)
    image.filepath_raw, image.file_format = path, "PNG"
    image.save()
    bpy.data.images.remove(image)
    made = material(name, (0, 0, 0))
    tree = made.node_tree
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(path)
    tree.links.new(texture.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    return made


def link(path, kind, name):
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        setattr(wanted, kind, [name])
    return getattr(bpy.data, kind)[name]


def make_parts():
    scene = fresh()
    body = block("Body", (0, 0, 0), 0.8)
    body.vertex_groups.new(name="Bone").add(range(8), 1, "REPLACE")
    body.data.materials.append(material("Skin", (0.8, 0.4, 0.2)))
    collection("Stock", scene.collection, body)
    shown = collection("Set", scene.collection, block("Rock", (-2, 1, 0), 0.5))
    collection("Left out", shown, block("Wall", (0, -3, 0), 2))
    save(PARTS)


def make_char():
    scene = fresh()
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Arm"))
    body = bpy.data.objects.new("Body", link(PARTS, "meshes", "Body"))
    collection("Char", scene.collection, rig, body)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones.new("Bone").tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    body.modifiers.new("Armature", "ARMATURE").object = rig
    save(CHAR)


def add_mesh_cache(thing):
    """An added modifier that moves the body by what a file says."""
    path = os.path.join(PROJECT, "moves.pc2")
    os.makedirs(PROJECT, exist_ok=True)
    corners = [(x * 0.5, y * 1.2, z * 0.8) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    with open(path, "wb") as file:
        file.write(b"POINTCACHE2\0" + struct.pack("<iiffi", 1, 8, 1.0, 1.0, 1))
        file.write(b"".join(struct.pack("<3f", *corner) for corner in corners))
    cache = thing.modifiers.new("Cache", "MESH_CACHE")
    cache.cache_format, cache.filepath = "PC2", path


def make_shot():
    scene = fresh()
    char = link(CHAR, "collections", "Char")
    scene.collection.children.link(char)
    char.override_hierarchy_create(scene, bpy.context.view_layer)
    local = {thing.type: thing for thing in bpy.data.objects if not thing.library}
    rig, body = local["ARMATURE"], local["MESH"]
    for thing in (rig, body):
        thing.override_library.is_system_override = False
    bone = rig.pose.bones["Bone"]
    bone.location, bone.scale = (0.8, 0, 0.5), (1.5, 1, 1)
    bone.constraints.new("LIMIT_SCALE")
    add_mesh_cache(body)

    scene.collection.children.link(link(PARTS, "collections", "Set"))
    layers = bpy.context.view_layer.layer_collection
    layers.children["Set"].children["Left out"].exclude = True

    own = bpy.data.objects.new("Own", link(PARTS, "meshes", "Body"))
    own.location = (1.5, 2.5, 0)
    own.material_slots[0].link = "OBJECT"
    own.material_slots[0].material = painted("Own paint")
    scene.collection.objects.link(own)

    scene.render.engine = "CYCLES"
    scene.render.resolution_x = scene.render.resolution_y = 48
    scene.cycles.samples, scene.cycles.use_denoising = 2, False
    scene.frame_start = scene.frame_end = 1
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    save(SHOT)


make_parts()
make_char()
make_shot()
