# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a project with every kind of external file: `-- FOLDER STYLE`, STYLE relative, absolute or windows.

FOLDER/project/scenes/shot.blend is the file to render, frames 8-10. Its active scene "Edit", not the first one
of the file, is a cut: scene "Shot" (Cycles) under a movie strip and an image strip. Each file changes pixels when
it is missing, but for the sound. In the view of "Shot" each kind has a cell of its own:

    plaster     set's wall   prop's UDIM  prop's decal     (the middle two come from libraries)
    sequence    UDIM         movie        text
    IES lamp    cloth        volume       Alembic

STYLE says how paths are written: from the .blend with slashes, from the root, or from the .blend with
backslashes, as Blender on Windows does. Prints "KINDS: a, b" of what is there and "SKIP kind: why" of what
this Blender can't make.
"""

import math
import os
import sys

import bpy

from scenes import media

FOLDER, STYLE = sys.argv[sys.argv.index("--") + 1 :]
FIRST, LAST = 8, 10
FRAMES = range(FIRST, LAST + 1)
SIZE = (48, 32)
PROJECT = os.path.join(FOLDER, "project")
OUTSIDE = os.path.join(FOLDER, "library of textures")
SHOT = os.path.join(PROJECT, "scenes", "shot.blend")
SET = os.path.join(PROJECT, "sets", "set.blend")
PROP = os.path.join(PROJECT, "props", "prop.blend")
kinds = []


def in_project(*parts):
    return os.path.join(PROJECT, *parts)


def attempt(kind, make, *arguments):
    """What `make` returns, None when this Blender can't."""
    try:
        result = make(*arguments)
    except media.CannotMake as why:
        print(f"SKIP {kind}: {why}")
        return None
    kinds.append(kind)
    return result


# --------------------------------------------------------------------------------------------------------- paths


def written(path):
    if STYLE == "absolute":
        return path
    path = bpy.path.relpath(path, start=os.path.dirname(bpy.data.filepath))
    return "//" + path[2:].replace("/", "\\") if STYLE == "windows" else path


def write_paths_in_style():
    """Last of all, so that nothing that loads or bakes writes another one over it."""
    data = bpy.data
    ours = [lib for lib in data.libraries if lib.parent is None]
    for blocks in (ours, data.images, data.sounds, data.fonts, data.volumes, data.cache_files):
        for block in blocks:
            if block.library is None and block.filepath not in ("", "<builtin>"):
                block.filepath = written(bpy.path.abspath(block.filepath))
    for light in data.lights:
        for node in light.node_tree.nodes if light.node_tree else ():
            if node.type == "TEX_IES":
                node.filepath = written(node.filepath)
    for scene in data.scenes:
        for strip in media.strips_of(scene):
            if strip.type == "IMAGE":
                strip.directory = written(strip.directory)
            elif strip.type == "MOVIE":
                strip.filepath = written(strip.filepath)


def save(path):
    media.save(path)  # `//` needs a folder to count from
    write_paths_in_style()
    media.save(path)


# ---------------------------------------------------------------------------------------------------- the pieces


def place(thing, column, row):
    thing.location = (column - 1.5, 0, (1 - row) * 0.88)
    if not thing.users_collection:
        bpy.context.scene.collection.objects.link(thing)
    return thing


def screen(name, column, row, material, width=1.0):
    """A plane that faces the camera and fills a cell; `width` tiles of texture beside each other."""
    mesh = bpy.data.meshes.new(name)
    corners = [(-0.45, 0, -0.4), (0.45, 0, -0.4), (0.45, 0, 0.4), (-0.45, 0, 0.4)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new()
    for loop, uv in zip(layer.data, ((0, 0), (width, 0), (width, 1), (0, 1)), strict=True):
        loop.uv = uv
    mesh.materials.append(material)
    return place(bpy.data.objects.new(name, mesh), column, row)


def in_collection(name, things):
    collection = bpy.data.collections.new(name)
    bpy.context.scene.collection.children.link(collection)
    for thing in things:
        bpy.context.scene.collection.objects.unlink(thing)
        collection.objects.link(thing)


def link(path, collection):
    with bpy.data.libraries.load(path, link=True, relative=False) as (_, wanted):
        wanted.collections = [collection]
    instance = bpy.data.objects.new(collection, None)
    instance.instance_type = "COLLECTION"
    instance.instance_collection = wanted.collections[0]
    bpy.context.scene.collection.objects.link(instance)
    return instance


def tiles(path, seed):
    for number in (1001, 1002):
        media.make_picture(path.replace("<UDIM>", str(number)), seed + number)
    return media.load_tiles(path, (1001, 1002))


def picture(path, seed):
    return bpy.data.images.load(media.make_picture(path, seed))


def make_prop():
    media.start_empty()
    wood = tiles(in_project("props", "textures", "wood.<UDIM>.png"), 100)
    decal = picture(in_project("props", "textures", "decal.png"), 1)
    one = screen("Wood", 2, 0, media.color_material("Wood", wood), 2)
    two = screen("Decal", 3, 0, media.color_material("Decal", decal))
    in_collection("Prop", [one, two])
    save(PROP)


def make_set():
    media.start_empty()
    wall = screen(
        "Wall", 1, 0, media.color_material("Wall", picture(in_project("sets", "textures", "set wall.png"), 2))
    )
    in_collection("Set", [wall, link(PROP, "Prop")])
    save(SET)


def add_textures(movie):
    plaster = picture(os.path.join(OUTSIDE, "plaster.png"), 3)
    screen("Plaster", 0, 0, media.color_material("Plaster", plaster))
    for frame in FRAMES:
        media.make_picture(os.path.join(OUTSIDE, "paint drops", f"drop_{frame:04}.png"), 10 + frame)
    drops = bpy.data.images.load(os.path.join(OUTSIDE, "paint drops", f"drop_{FIRST:04}.png"))
    drops.source = "SEQUENCE"
    material = media.color_material("Drops", drops)
    media.play(media.texture_node(material).image_user, FIRST, len(FRAMES), FIRST - 1)
    screen("Drops", 0, 1, material)
    brick = tiles(in_project("textures", "brick.<UDIM>.png"), 200)
    screen("Brick", 1, 1, media.color_material("Brick", brick), 2)
    kinds.extend(("texture", "sequence", "UDIM", "library"))
    if movie:
        material = media.color_material("Movie", bpy.data.images.load(movie))
        media.play(media.texture_node(material).image_user, FIRST, len(FRAMES))
        screen("Movie", 2, 1, material)


def add_text(font):
    curve = bpy.data.curves.new("Sign", "FONT")
    curve.body = "Wg"
    curve.size = 0.9
    curve.align_x = curve.align_y = "CENTER"
    if font:
        curve.font = bpy.data.fonts.load(font)
    curve.materials.append(media.color_material("Sign"))
    place(bpy.data.objects.new("Sign", curve), 3, 1).rotation_euler.x = math.pi / 2


def add_lamp(profile):
    material = bpy.data.materials.new("White")
    if material.node_tree is None:
        material.use_nodes = True
    screen("Lit", 0, 2, material)
    light = bpy.data.lights.new("Lamp", "POINT")
    light.energy = 0.5
    light.shadow_soft_size = 0.0
    if light.node_tree is None:
        light.use_nodes = True
    tree = light.node_tree
    ies = tree.nodes.new("ShaderNodeTexIES")
    ies.mode = "EXTERNAL"
    ies.filepath = profile
    shine = next(n for n in tree.nodes if n.type == "EMISSION")
    tree.links.new(ies.outputs["Fac"], shine.inputs["Strength"])
    lamp = place(bpy.data.objects.new("Lamp", light), 0, 2)
    lamp.location.y = -0.6
    lamp.rotation_euler.x = math.pi / 2


def add_cloth():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=6, y_subdivisions=6, size=0.8)
    cloth = bpy.context.object
    cloth.name = "Cloth"
    cloth.rotation_euler.x = math.pi / 2
    cloth.data.materials.append(media.color_material("Cloth"))
    place(cloth, 1, 2)
    modifier = cloth.modifiers.new("Cloth", "CLOTH")
    modifier.settings.effector_weights.gravity = 0.4  # falls two pixels in ten frames, and stays in its cell
    cache = modifier.point_cache
    cache.use_disk_cache = True
    cache.frame_start, cache.frame_end = 1, LAST
    return cloth


def bake_cloth():
    """Into blendcache_shot; the file must have been saved under its name."""
    bpy.ops.ptcache.bake_all(bake=True)
    if not os.path.isdir(in_project("scenes", "blendcache_shot")):
        raise media.CannotMake("the bake wrote nothing")


def add_volume(path):
    volume = bpy.data.volumes.new("Smoke")
    volume.filepath = path
    material = bpy.data.materials.new("Smoke")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    smoke = tree.nodes.new("ShaderNodeVolumePrincipled")
    smoke.inputs["Emission Strength"].default_value = 0.5
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(smoke.outputs[0], output.inputs["Volume"])
    volume.materials.append(material)
    thing = place(bpy.data.objects.new("Smoke", volume), 2, 2)
    thing.scale = (0.4, 0.4, 0.35)
    bpy.context.view_layer.update()
    for axis in range(3):  # the grid of a smoke domain starts at its corner
        ends = [corner[axis] for corner in thing.bound_box]
        thing.location[axis] -= thing.scale[axis] * (min(ends) + max(ends)) / 2


def add_alembic(path):
    mesh = bpy.data.meshes.new("Wave")
    mesh.materials.append(media.color_material("Wave"))
    thing = place(bpy.data.objects.new("Wave", mesh), 3, 2)
    thing.rotation_euler.x = math.pi / 2
    bpy.ops.cachefile.open(filepath=path)
    modifier = thing.modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file = bpy.data.cache_files[0]
    modifier.object_path = "/Wave/Wave"


def make_shot(movie, font, volume, alembic):
    scene = media.start_empty()
    scene.name = "Shot"
    media.make_output_film(scene, SIZE, 2)
    if hasattr(scene.cycles, "volume_biased"):  # 5.0: seconds per frame otherwise
        scene.cycles.volume_biased = True
    scene.frame_start, scene.frame_end = FIRST, LAST
    world = scene.world = bpy.data.worlds.new("Dark")
    world.color = (0.02, 0.02, 0.02)
    camera = bpy.data.cameras.new("Camera")
    camera.type = "ORTHO"
    camera.ortho_scale = 4.0
    scene.camera = place(bpy.data.objects.new("Camera", camera), 0, 0)
    scene.camera.location = (0, -5, 0)
    scene.camera.rotation_euler.x = math.pi / 2
    media.save(SHOT)
    link(SET, "Set")
    add_textures(movie)
    add_text(font)
    add_lamp(attempt("IES", media.make_ies, in_project("lights", "cone.ies")))
    if volume:
        add_volume(volume)
    if alembic:
        add_alembic(alembic)
    add_cloth()
    media.save(SHOT)
    attempt("cloth cache", bake_cloth)
    return scene


def make_edit(shot, movie):
    bpy.data.scenes.new("Animatic")  # Blender sorts scenes by name: "Edit" must not be the first
    edit = bpy.data.scenes.new("Edit")
    media.make_output_film(edit, SIZE, 2)
    edit.frame_start, edit.frame_end = FIRST, LAST
    edit.frame_current = shot.frame_current = FIRST
    strips = media.strips_of(edit)
    strips.new_scene("Shot", shot, 1, FIRST)
    boards = [
        media.make_picture(in_project("boards", f"board {frame}.png"), 300 + frame, SIZE) for frame in FRAMES
    ]
    board = strips.new_image("Board", boards[0], 2, FIRST)
    for path in boards[1:]:
        board.elements.append(os.path.basename(path))
    overlays = [board]
    if movie:
        overlays.append(strips.new_movie("Movie", movie, 3, FIRST))
    for strip in overlays:
        strip.blend_type = "ADD"
        strip.blend_alpha = 0.25
    strips.new_sound("Beep", attempt("sound", media.make_sound, in_project("sounds", "beep.wav")), 4, FIRST)
    kinds.append("image strip")
    bpy.context.window.scene = edit


def main():
    frames = [
        media.make_picture(in_project("movies", "making", f"{i}.png"), 400 + i, (16, 16)) for i in range(3)
    ]
    movie = attempt("movie", media.make_movie, in_project("movies", "screen.mp4"), frames)
    for path in frames:
        os.remove(path)
    os.rmdir(os.path.dirname(frames[0]))
    font = attempt("font", media.make_font, in_project("fonts", "sign"))
    volume = attempt("volume", media.make_volume, in_project("volumes", "smoke.vdb"))
    alembic = attempt("Alembic", media.make_alembic, in_project("caches", "wave.abc"), FIRST, LAST)
    make_prop()
    make_set()
    shot = make_shot(movie, font, volume, alembic)
    make_edit(shot, movie)
    save(SHOT)
    print("KINDS:", ", ".join(kinds))


main()
