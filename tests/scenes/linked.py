# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds FOLDER/shot.blend -> sets/set.blend -> props/prop.blend -> textures/wood.<UDIM>.png: `-- FOLDER`.

All by absolute paths. Scene "Shot" is the one to render and the one saved as active; "Other" is empty.
"""

import array
import os
import sys

import bpy

FOLDER = sys.argv[sys.argv.index("--") + 1]
TEXTURES, PROP, SET, SHOT = (
    os.path.join(FOLDER, *parts)
    for parts in (("textures",), ("props", "prop.blend"), ("sets", "set.blend"), ("shot.blend",))
)


def save(path):
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False)


def link(path, collection):
    with bpy.data.libraries.load(path, link=True, relative=False) as (_, wanted):
        wanted.collections = [collection]
    empty = bpy.data.objects.new(collection, None)
    empty.instance_type = "COLLECTION"
    empty.instance_collection = bpy.data.collections[collection]
    return empty


def make_prop():
    bpy.ops.wm.read_factory_settings()
    for tile, red in ((1001, 0.9), (1002, 0.1)):
        image = bpy.data.images.new("tile", 4, 4)
        image.pixels.foreach_set(array.array("f", [red, 0.5, 0.2, 1.0] * 16))
        image.filepath_raw = os.path.join(TEXTURES, f"wood.{tile}.png")
        image.file_format = "PNG"
        image.save()
        bpy.data.images.remove(image)
    wood = bpy.data.images.load(os.path.join(TEXTURES, "wood.1001.png"))
    wood.source = "TILED"
    wood.filepath = os.path.join(TEXTURES, "wood.<UDIM>.png")
    if len(wood.tiles) < 2:
        wood.tiles.new(1002)
    cube = bpy.data.objects["Cube"]
    for loop in cube.data.uv_layers[0].data:
        loop.uv.x *= 2
    material = cube.data.materials[0]
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = wood
    surface = material.node_tree.nodes["Principled BSDF"].inputs["Base Color"]
    material.node_tree.links.new(node.outputs["Color"], surface)
    collection = bpy.data.collections.new("Prop")
    collection.objects.link(cube)
    bpy.context.scene.collection.children.link(collection)
    save(PROP)


def make_set():
    bpy.ops.wm.read_factory_settings()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    collection = bpy.data.collections.new("Set")
    collection.objects.link(link(PROP, "Prop"))
    bpy.context.scene.collection.children.link(collection)
    save(SET)


def make_shot():
    bpy.ops.wm.read_factory_settings()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    scene = bpy.context.scene
    scene.name = "Shot"
    scene.collection.objects.link(link(SET, "Set"))
    bpy.data.scenes.new("Other")
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 2
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 24, 16
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    save(SHOT)


make_prop()
make_set()
make_shot()
