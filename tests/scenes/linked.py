# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds FOLDER/shot.blend -> sets/set.blend -> props/prop.blend -> textures/wood.<UDIM>.png:
`-- FOLDER [relative] [loop]`.

All by absolute paths, or by ones relative to the file that holds them. With `loop` prop.blend links from
set.blend and from itself. Scene "Shot" is the one to render and the one saved as active; "Other" is empty.
"""

import array
import os
import shutil
import sys

import bpy

FOLDER, *WISHES = sys.argv[sys.argv.index("--") + 1 :]
TEXTURES, PROP, SET, SHOT = (
    os.path.join(FOLDER, *parts)
    for parts in (("textures",), ("props", "prop.blend"), ("sets", "set.blend"), ("shot.blend",))
)


def save(path):
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False)


def path_in(path, blend):
    """How `blend` names `path`."""
    if "relative" not in WISHES:
        return path
    return "//" + os.path.relpath(path, os.path.dirname(blend)).replace(os.sep, "/")


def link(path, collection, blend):
    with bpy.data.libraries.load(path, link=True, relative=False) as (_, wanted):
        wanted.collections = [collection]
    next(x for x in bpy.data.libraries if x.filepath == path).filepath = path_in(path, blend)
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
    wood.filepath = path_in(os.path.join(TEXTURES, "wood.<UDIM>.png"), PROP)
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
    collection.objects.link(link(PROP, "Prop", SET))
    bpy.context.scene.collection.children.link(collection)
    save(SET)


def close_the_loop():
    # Blender links nothing from the open file itself, so a twin stands in and its path is changed after;
    # nor does it save over a library that is open.
    twin = os.path.join(FOLDER, "props", "twin.blend")
    shutil.copy(PROP, twin)
    bpy.ops.wm.open_mainfile(filepath=PROP)
    for number, (path, meant) in enumerate(((SET, SET), (twin, PROP))):
        with bpy.data.libraries.load(path, link=True, relative=False) as (_, wanted):
            wanted.worlds = ["World"]
        bpy.data.collections["Prop"][f"world {number}"] = wanted.worlds[0]
        next(x for x in bpy.data.libraries if x.filepath == path).filepath = path_in(meant, PROP)
    save(twin)
    os.replace(twin, PROP)


def make_shot():
    bpy.ops.wm.read_factory_settings()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    scene = bpy.context.scene
    scene.name = "Shot"
    scene.collection.objects.link(link(SET, "Set", SHOT))
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
if "loop" in WISHES:
    close_the_loop()
make_shot()
