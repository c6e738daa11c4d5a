# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds small projects with one kind of external file each: `-- FOLDER KIND` or `-- FOLDER all`.

FOLDER/KIND.blend uses what lies in FOLDER/KIND/, and in FOLDER/blendcache_KIND/ where Blender names the folder.
Prints a line `MADE kind: [files as JSON]` with every file that is not KIND.blend itself, or `SKIP kind: why`.
"""

import json
import os
import shutil
import sys

import bpy

from scenes import media

FOLDER, WANTED = sys.argv[sys.argv.index("--") + 1 :]
KINDS = {}


def kind(build):
    KINDS[build.__name__] = build
    return build


class Place:
    """Where the files of one kind go."""

    def __init__(self, name):
        self.name = name
        self.blend = os.path.join(FOLDER, name + ".blend")

    def __call__(self, *parts):
        return media.folder_of(os.path.join(FOLDER, self.name, *parts))

    def raw(self, *parts):
        return "//" + "/".join((self.name, *parts))

    def picture(self, *parts):
        return media.make_picture(self(*parts), len(parts[-1]), (4, 4))

    def image(self, *parts):
        image = bpy.data.images.load(self.picture(*parts))
        image.filepath = self.raw(*parts)
        image.use_fake_user = True
        return image

    def movie(self, name):
        """Leaves an empty scene: before anything else."""
        frames = [media.make_picture(self("making", f"{i}.png"), i, (16, 16)) for i in range(2)]
        movie = media.make_movie(self(name), frames)
        shutil.rmtree(self("making"))
        media.save(self.blend)
        return movie

    def files(self):
        """Every file made, but for the .blend."""
        roots = [os.path.join(FOLDER, self.name), os.path.join(FOLDER, "blendcache_" + self.name)]
        return sorted(os.path.join(here, n) for root in roots for here, _, ns in os.walk(root) for n in ns)


def need(condition, why):
    if not condition:
        raise media.CannotMake(why)


def copies(path, count):
    """`path` ends in a frame number of four digits before its ending."""
    stem, ending = os.path.splitext(path)
    for number in range(2, count + 1):
        shutil.copyfile(path, f"{stem[:-4]}{number:04}{ending}")


def texture_of(image):
    texture = bpy.data.textures.new("Texture", "IMAGE")
    texture.image = image
    texture.use_fake_user = True
    return texture


def node_tree_of(block):
    block.use_fake_user = True
    if block.node_tree is None:
        block.use_nodes = True
    return block.node_tree


# ------------------------------------------------------------------------------------------------------- images


@kind
def image(place):
    place.image("a.png")


@kind
def image_absolute(place):
    place.image("ä b.png").filepath = place("ä b.png")


@kind
def image_unused_in_material(place):
    """A material of no object: written with the file, and rendered by whoever links it."""
    material = media.color_material("Material", place.image("a.png"))
    material.use_fake_user = True


def tiled(place, mark, names):
    for name in names:
        place.picture(f"t.{name}.png")
    image = bpy.data.images.load(place(f"t.{names[0]}.png"))
    image.source = "TILED"
    image.filepath = place.raw(f"t.{mark}.png")
    image.use_fake_user = True
    return image


@kind
def udim(place):
    tiled(place, "<UDIM>", ("1001", "1002", "1012")).tiles.new(1002)


@kind
def uvtile(place):
    tiled(place, "<UVTILE>", ("u1_v1", "u2_v1")).tiles.new(1002)


@kind
def sequence(place):
    for frame in range(1, 5):
        place.picture(f"s_{frame:04}.png")
    image = place.image("s_0002.png")
    image.source = "SEQUENCE"
    material = media.color_material("Material", image)
    media.play(media.texture_node(material).image_user, 1, 4)
    material.use_fake_user = True


@kind
def movie_image(place):
    place.movie("m.mp4")
    image = bpy.data.images.load(place("m.mp4"))
    image.filepath = place.raw("m.mp4")
    image.use_fake_user = True


@kind
def stereo_views(place):
    bpy.context.scene.render.use_multiview = True
    place.picture("view_R.png")
    image = place.image("view_L.png")
    image.use_multiview = True
    image.views_format = "INDIVIDUAL"


@kind
def brush_image(place):
    brush = bpy.data.brushes.new("Brush")
    brush.texture = texture_of(place.image("a.png"))
    brush.use_fake_user = True


@kind
def line_style(place):
    style = bpy.data.linestyles.new("Style")
    style.use_fake_user = True
    style.texture_slots.add().texture = texture_of(place.image("a.png"))


@kind
def world_texture(place):
    tree = node_tree_of(bpy.data.worlds.new("World"))
    tree.nodes.new("ShaderNodeTexEnvironment").image = place.image("sky.png")


@kind
def light_texture(place):
    tree = node_tree_of(bpy.data.lights.new("Light", "AREA"))
    tree.nodes.new("ShaderNodeTexImage").image = place.image("gobo.png")


@kind
def compositor_image(place):
    scene = bpy.context.scene
    if hasattr(scene, "compositing_node_group"):  # 5.0
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
    tree.nodes.new("CompositorNodeImage").image = place.image("over.png")


# ---------------------------------------------------------------------------------------- libraries, sounds, text


@kind
def library(place):
    """KIND.blend -> sets/set.blend -> props/prop.blend, each with a texture of its own."""
    inner = None
    for folder, name in (("props", "prop"), ("sets", "set")):
        media.start_empty()
        path = place(folder, name + ".blend")
        media.save(path)
        image = bpy.data.images.load(media.make_picture(place(folder, "textures", name + ".png"), 1))
        image.filepath = f"//textures/{name}.png"
        material = media.color_material(name, image)
        mesh = bpy.data.meshes.new(name)
        mesh.materials.append(material)
        thing = bpy.data.objects.new(name, mesh)
        collection = bpy.data.collections.new(name)
        collection.use_fake_user = True
        collection.objects.link(thing)
        if inner:
            link(inner, "prop", collection, relative=True)
        media.save(path)
        inner = path
    media.start_empty()
    media.save(place.blend)
    link(inner, "set", bpy.context.scene.collection, relative=True)


def link(path, name, into, relative):
    with bpy.data.libraries.load(path, link=True, relative=relative) as (_, wanted):
        wanted.collections = [name]
    empty = bpy.data.objects.new(name, None)
    empty.instance_type = "COLLECTION"
    empty.instance_collection = wanted.collections[0]
    into.objects.link(empty)


@kind
def sound(place):
    sound = bpy.data.sounds.load(media.make_sound(place("a.wav")))
    sound.filepath = place.raw("a.wav")
    sound.use_fake_user = True


@kind
def speaker(place):
    data = bpy.data.speakers.new("Speaker")
    data.sound = bpy.data.sounds.load(media.make_sound(place("a.wav")))
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Speaker", data))


@kind
def font(place):
    path = media.make_font(place("sign"))
    font = bpy.data.fonts.load(path)
    font.filepath = place.raw(os.path.basename(path))
    font.use_fake_user = True


@kind
def text_external(place):
    bpy.data.texts.load(media.make_text(place("notes.txt"))).filepath = place.raw("notes.txt")


@kind
def movie_clip(place):
    path = place.movie("m.mp4")
    clip = bpy.data.movieclips.load(path)
    clip.filepath = place.raw("m.mp4")
    clip.use_fake_user = True


@kind
def movie_clip_sequence(place):
    for frame in range(1, 4):
        place.picture(f"c_{frame:04}.png")
    clip = bpy.data.movieclips.load(place("c_0001.png"))
    need(clip.source == "SEQUENCE", "Blender takes it for a movie")
    clip.use_fake_user = True


# ------------------------------------------------------------------------------------------- volumes, cache files


def add_volume(place, name):
    media.make_volume(place(name))
    media.save(place.blend)
    volume = bpy.data.volumes.new("Volume")
    volume.filepath = place.raw(name)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Volume", volume))
    return volume


@kind
def volume(place):
    add_volume(place, "smoke.vdb")


@kind
def volume_sequence(place):
    volume = add_volume(place, "smoke_0001.vdb")
    copies(place("smoke_0001.vdb"), 3)
    volume.is_sequence = True
    volume.frame_duration = 3


def open_cache(place, name):
    media.save(place.blend)
    bpy.ops.cachefile.open(filepath=place(name))
    cache = bpy.data.cache_files[0]
    cache.filepath = place.raw(name)
    cache.use_fake_user = True
    return cache


@kind
def alembic(place):
    media.make_alembic(place("wave.abc"), 1, 2)
    open_cache(place, "wave.abc")


@kind
def alembic_sequence(place):
    media.make_alembic(place("wave_0001.abc"), 1, 2)
    copies(place("wave_0001.abc"), 3)
    open_cache(place, "wave_0001.abc").is_sequence = True


@kind
def alembic_layer(place):
    media.make_alembic(place("wave.abc"), 1, 2)
    shutil.copyfile(place("wave.abc"), place("over.abc"))
    open_cache(place, "wave.abc").layers.new(filepath=place.raw("over.abc"))


@kind
def usd(place):
    need(bpy.app.build_options.usd, "built without USD")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.wm.usd_export(filepath=place("cube.usdc"))
    media.start_empty()
    open_cache(place, "cube.usdc")


# --------------------------------------------------------------------------------------------------- on modifiers


def add_grid():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=2)
    return bpy.context.object


@kind
def mesh_cache(place):
    grid = add_grid()
    points = [tuple(v.co) for v in grid.data.vertices]
    media.make_mdd(place("grid.mdd"), [points, [(x, y, 1.0) for x, y, _ in points]], 2)
    modifier = grid.modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format = "MDD"
    modifier.filepath = place.raw("grid.mdd")


@kind
def ocean(place):
    """Baking is a job whose end never comes in the background: without it Blender does not read the files."""
    modifier = add_grid().modifiers.new("Ocean", "OCEAN")
    modifier.filepath = place.raw() + "/"
    media.make_text(place("disp_0001.exr"))
    need(modifier.is_cached, "only a Blender with windows finishes the bake of an ocean")


@kind
def multires_external(place):
    modifier = add_grid().modifiers.new("Multires", "MULTIRES")
    bpy.ops.object.multires_subdivide(modifier=modifier.name)
    media.save(place.blend)
    place("x")
    bpy.ops.object.multires_external_save(filepath=place("grid.btx"), modifier=modifier.name)
    modifier.filepath = place.raw("grid.btx")


def bake_on_disk(place, cache):
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    cache.use_disk_cache = True
    cache.frame_start, cache.frame_end = 1, 3
    media.save(place.blend)
    bpy.ops.ptcache.bake_all(bake=True)


@kind
def cloth_cache(place):
    bake_on_disk(place, add_grid().modifiers.new("Cloth", "CLOTH").point_cache)


@kind
def soft_body_cache(place):
    bake_on_disk(place, add_grid().modifiers.new("Softbody", "SOFT_BODY").point_cache)


@kind
def particle_cache(place):
    grid = add_grid()
    grid.modifiers.new("Particles", "PARTICLE_SYSTEM")
    system = grid.particle_systems[0]
    system.settings.count = 5
    system.settings.frame_end = 2
    bake_on_disk(place, system.point_cache)


@kind
def rigid_body_cache(place):
    raise media.CannotMake("Blender 3.4 and 5.0 crash when use_disk_cache of a rigid body world is set")


@kind
def external_point_cache(place):
    """Baked under another name, then read from a folder of our own."""
    cache = add_grid().modifiers.new("Cloth", "CLOTH").point_cache
    bake_on_disk(place, cache)
    baked = os.path.join(FOLDER, "blendcache_" + place.name)
    need(os.path.isdir(baked), "the bake wrote nothing")
    os.rename(baked, place("moved"))
    cache.use_external = True
    cache.filepath = place.raw("moved") + "/"
    cache.name = "47726964"  # "Grid", as the files are called
    cache.index = 0


@kind
def dynamic_paint(place):
    grid = add_grid()
    modifier = grid.modifiers.new("Paint", "DYNAMIC_PAINT")
    modifier.ui_type = "CANVAS"
    bpy.ops.dpaint.type_toggle(type="CANVAS")
    surface = modifier.canvas_settings.canvas_surfaces[0]
    surface.surface_format = "VERTEX"
    surface.frame_start, surface.frame_end = 1, 3
    bake_on_disk(place, surface.point_cache)


@kind
def fluid(place):
    if bpy.app.version < (5, 0):
        bpy.ops.mesh.primitive_ico_sphere_add(radius=0.5)
        flow = bpy.context.object.modifiers.new("Fluid", "FLUID")
        flow.fluid_type = "FLOW"
        flow.flow_settings.flow_behavior = "INFLOW"
    settings = media.make_smoke_domain(os.path.dirname(place("x")))
    media.save(place.blend)
    if bpy.app.version < (5, 0):
        bpy.ops.fluid.bake_all()
    else:  # the module bpy 5.0 aborts when it bakes smoke
        media.make_text(place("data", "fluid_data_0001.vdb"))
        media.make_text(place("config", "config_0001.uni"))
    settings.cache_directory = place.raw()


def need_bake_node():
    need(hasattr(bpy.types, "GeometryNodeBake"), "before the Bake node")
    bpy.context.scene.frame_end = 2


@kind
def geometry_nodes_bake(place):
    need_bake_node()
    thing, modifier, _ = media.add_bake_node("GeometryNodeMeshUVSphere", {})
    media.save(place.blend)
    media.bake_nodes(thing, modifier)


@kind
def geometry_nodes_bake_elsewhere(place):
    need_bake_node()
    thing, modifier, _ = media.add_bake_node("GeometryNodeMeshUVSphere", {})
    modifier.bake_directory = place.raw("bakes")
    media.save(place.blend)
    media.bake_nodes(thing, modifier)


@kind
def geometry_nodes_bake_own_folder(place):
    """One bake of the modifier has a folder of its own."""
    need_bake_node()
    thing, modifier, _ = media.add_bake_node("GeometryNodeMeshUVSphere", {})
    media.save(place.blend)
    bpy.context.view_layer.update()
    modifier.bakes[0].use_custom_path = True
    modifier.bakes[0].directory = place.raw("one bake")
    media.bake_nodes(thing, modifier)


@kind
def geometry_nodes_import(place):
    need(hasattr(bpy.types, "GeometryNodeImportOBJ"), "before the import nodes")
    tree = bpy.data.node_groups.new("Import", "GeometryNodeTree")
    tree.use_fake_user = True
    node = tree.nodes.new("GeometryNodeImportOBJ")
    media.make_text(place("corner.obj"), "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    node.inputs["Path"].default_value = place.raw("corner.obj")


@kind
def geometry_nodes_image(place):
    tree = bpy.data.node_groups.new("Image", "GeometryNodeTree")
    tree.use_fake_user = True
    tree.nodes.new("GeometryNodeImageTexture").inputs["Image"].default_value = place.image("a.png")


# ------------------------------------------------------------------------------------------------- strips and nodes


@kind
def strip_image(place):
    paths = [place.picture(name) for name in ("one.png", "two.png", "three.png")]
    strip = media.strips_of(bpy.context.scene).new_image("Strip", paths[0], 1, 1)
    for path in paths[1:]:
        strip.elements.append(os.path.basename(path))
    strip.directory = place.raw() + "/"


@kind
def strip_movie(place):
    movie = place.movie("m.mp4")
    media.strips_of(bpy.context.scene).new_movie("Strip", movie, 1, 1).filepath = place.raw("m.mp4")


@kind
def strip_in_meta(place):
    strips = media.strips_of(bpy.context.scene)
    meta = strips.new_meta("Meta", 1, 1)
    inner = meta.strips if hasattr(meta, "strips") else meta.sequences
    inner.new_image("Strip", place.picture("one.png"), 1, 1).directory = place.raw() + "/"


@kind
def strip_sound(place):
    path = media.make_sound(place("a.wav"))
    media.strips_of(bpy.context.scene).new_sound("Strip", path, 1, 1).sound.filepath = place.raw("a.wav")


@kind
def ies(place):
    media.make_ies(place("cone.ies"))
    node = node_tree_of(bpy.data.lights.new("Light", "POINT")).nodes.new("ShaderNodeTexIES")
    node.mode = "EXTERNAL"
    node.filepath = place.raw("cone.ies")


@kind
def osl(place):
    """Blender without OSL keeps the path and compiles nothing."""
    media.make_text(place("grey.osl"), "shader grey(output color C = 0) { C = 0.5; }\n")
    node = node_tree_of(bpy.data.materials.new("Script")).nodes.new("ShaderNodeScript")
    node.mode = "EXTERNAL"
    node.filepath = place.raw("grey.osl")


def main():
    for name in KINDS if WANTED == "all" else [WANTED]:
        place = Place(name)
        try:
            media.start_empty()
            media.save(place.blend)
            KINDS[name](place)
            media.save(place.blend)
            files = place.files()
            need(files, "it made no file")
            print(f"MADE {name}: {json.dumps(files)}", flush=True)
        except media.CannotMake as why:
            print(f"SKIP {name}: {why}", flush=True)


main()
