# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the files that scenes refer to: pictures, movies, sounds, fonts, lights, volumes, caches.

For scripts that run inside Blender, 3.4 (which may have no numpy) to 5.x. Where a Blender can't make a kind of
file, `CannotMake` says why. Functions that need a scene of their own leave an empty one behind: call them first.
"""

import array
import math
import os
import random
import shutil
import struct
import wave

import bpy


class CannotMake(Exception):
    pass


def folder_of(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def start_empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no .blend1 beside what is made
    return bpy.context.scene


def save(path):
    """Paths stay as they are written; also a first save makes `//` mean something."""
    bpy.ops.wm.save_as_mainfile(filepath=folder_of(path), relative_remap=False, compress=False)


def make_picture(path, seed, size=(8, 8)):
    """A PNG of coloured noise: no two seeds look alike."""
    image = bpy.data.images.new("made", *size)
    chance = random.Random(seed)
    values = [1.0 if i % 4 == 3 else chance.random() for i in range(size[0] * size[1] * 4)]
    image.pixels.foreach_set(array.array("f", values))
    image.filepath_raw = folder_of(path)
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def make_text(path, text="made for a test"):
    with open(folder_of(path), "w", encoding="ascii") as file:
        file.write(text)
    return path


def make_sound(path):
    """Half a second of 440 Hz."""
    values = [int(20000 * math.sin(2 * math.pi * 440 * i / 8000)) for i in range(4000)]
    with wave.open(folder_of(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(array.array("h", values).tobytes())
    return path


def make_font(path_without_ending):
    """A font that looks unlike the built-in one, under a name of ours. Returns the path."""
    known = ("DejaVuSansMono.woff2", "bmonofont-i18n.ttf")
    shipped = [os.path.join(bpy.utils.system_resource("DATAFILES", path="fonts"), name) for name in known]
    system = ["/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"]
    for font in shipped + system:
        if os.path.isfile(font):
            path = folder_of(path_without_ending + os.path.splitext(font)[1])
            shutil.copyfile(font, path)
            return path
    raise CannotMake("no font found")


def make_ies(path):
    """A lamp that shines into a narrow cone."""
    angles, candelas = "0 10 20 30 40 90", "1000 900 100 20 5 0"
    lamp = f"1 1000 1 6 1 1 2 0.1 0.1 0\n1 1 10\n{angles}\n0\n{candelas}\n"
    return make_text(path, "IESNA:LM-63-1995\n[TEST] cone\n[MANUFAC] none\nTILT=NONE\n" + lamp)


def make_mdd(path, points, frames):
    """A point cache in LightWave's format, by hand: big-endian counts, times, then points of each frame.

    `points` is a list per frame of (x, y, z).
    """
    with open(folder_of(path), "wb") as file:
        file.write(struct.pack(">2i", frames, len(points[0])))
        file.write(struct.pack(f">{frames}f", *range(frames)))
        for frame in points:
            for point in frame:
                file.write(struct.pack(">3f", *point))
    return path


# --------------------------------------------------------------------------- made by rendering, baking, exporting


def set_format(scene, file_format, media_type):
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # 5.0
        settings.media_type = media_type
    settings.file_format = file_format


def strips_of(scene):
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def make_movie(path, pictures, size=(16, 16)):
    """A movie (MPEG-4) of one frame per picture; rendering it also tests that this Blender reads movies."""
    if not bpy.app.build_options.codec_ffmpeg:
        raise CannotMake("built without FFmpeg")
    scene = start_empty()
    strip = strips_of(scene).new_image("pictures", pictures[0], 1, 1)
    for picture in pictures[1:]:
        strip.elements.append(os.path.basename(picture))
    scene.frame_start, scene.frame_end = 1, len(pictures)
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    set_format(scene, "FFMPEG", "VIDEO")
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "MPEG4"
    scene.render.ffmpeg.audio_codec = "NONE"
    scene.render.use_file_extension = False
    scene.render.filepath = folder_of(path)
    bpy.ops.render.render(animation=True)
    if not os.path.isfile(path):
        raise CannotMake("FFmpeg wrote nothing")
    start_empty()
    return path


def make_volume(path):
    """A .vdb with a grid "density" around the origin, one unit wide or two."""
    if not bpy.app.build_options.openvdb:
        raise CannotMake("built without OpenVDB")
    bake = make_volume_with_nodes if hasattr(bpy.types, "GeometryNodeBake") else make_volume_with_smoke
    shutil.copyfile(bake(os.path.dirname(folder_of(path))), path)
    start_empty()
    shutil.rmtree(os.path.join(os.path.dirname(path), "baking"))
    return path


def make_volume_with_smoke(folder):
    """For Blenders without the Bake node."""
    scene = start_empty()
    bpy.ops.mesh.primitive_ico_sphere_add(radius=0.5)
    flow = bpy.context.object.modifiers.new("Fluid", "FLUID")
    flow.fluid_type = "FLOW"
    flow.flow_settings.flow_type = "SMOKE"
    flow.flow_settings.flow_behavior = "INFLOW"
    scene.frame_start, scene.frame_end = 1, 2
    make_smoke_domain(os.path.join(folder, "baking"))
    save(os.path.join(folder, "baking", "smoke.blend"))
    bpy.ops.fluid.bake_all()
    return os.path.join(folder, "baking", "data", "fluid_data_0002.vdb")


def make_smoke_domain(cache):
    bpy.ops.mesh.primitive_cube_add(size=2)
    domain = bpy.context.object.modifiers.new("Fluid", "FLUID")
    domain.show_viewport = bpy.app.version < (5, 0)  # the module bpy 5.0 aborts when it calculates smoke
    domain.fluid_type = "DOMAIN"
    settings = domain.domain_settings
    settings.domain_type = "GAS"
    settings.resolution_max = 8
    settings.cache_directory = cache
    settings.cache_type = "ALL"
    settings.cache_data_format = "OPENVDB"
    settings.cache_frame_start, settings.cache_frame_end = 1, 2
    return settings


def make_volume_with_nodes(folder):
    scene = start_empty()
    scene.frame_start = scene.frame_end = 1
    thing, modifier, _ = add_bake_node("GeometryNodeVolumeCube", {f"Resolution {axis}": 8 for axis in "XYZ"})
    save(os.path.join(folder, "baking", "volume.blend"))
    bake_nodes(thing, modifier)
    for here, _, names in os.walk(os.path.join(folder, "baking")):
        for name in names:
            if name.endswith(".vdb"):
                return os.path.join(here, name)
    raise CannotMake("the bake wrote no volume")


def add_bake_node(source, values):
    """An object whose geometry is baked out of one node. Returns (object, modifier, tree)."""
    mesh = bpy.data.meshes.new("Baked")
    thing = bpy.data.objects.new("Baked", mesh)
    bpy.context.scene.collection.objects.link(thing)
    tree = bpy.data.node_groups.new("Bake", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    first = tree.nodes.new(source)
    for name, value in values.items():
        first.inputs[name].default_value = value
    bake = tree.nodes.new("GeometryNodeBake")
    if len(bake.bake_items) == 0:  # only the interface adds the first one by itself
        bake.bake_items.new("GEOMETRY", "Geometry")
    output = tree.nodes.new("NodeGroupOutput")
    tree.links.new(first.outputs[0], bake.inputs[0])
    tree.links.new(bake.outputs[0], output.inputs[0])
    modifier = thing.modifiers.new("Nodes", "NODES")
    modifier.node_group = tree
    return thing, modifier, tree


def bake_nodes(thing, modifier):
    """Onto disk, into the folder that `modifier` names or the default one; the file must have been saved."""
    bpy.context.view_layer.update()
    modifier.bake_target = "DISK"
    for bake in modifier.bakes:
        bake.bake_mode = "ANIMATION"
        bpy.ops.object.geometry_node_bake_single(
            session_uid=thing.session_uid, modifier_name=modifier.name, bake_id=bake.bake_id
        )


def make_alembic(path, first, last):
    """A disc named "Wave" that turns and grows over the frames. Returns the path."""
    if not bpy.app.build_options.alembic:
        raise CannotMake("built without Alembic")
    scene = start_empty()
    scene.frame_start, scene.frame_end = first, last
    bpy.ops.mesh.primitive_circle_add(vertices=5, radius=0.3, fill_type="NGON", rotation=(math.pi / 2, 0, 0))
    disc = bpy.context.object
    disc.name = disc.data.name = "Wave"
    disc.shape_key_add(name="Basis")
    key = disc.shape_key_add(name="Grown")
    for point in key.data:
        point.co *= 1.6
    for frame, value in ((first, 0.0), (last, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    bpy.ops.wm.alembic_export(
        filepath=folder_of(path), start=first, end=last, export_hair=False, export_particles=False
    )
    start_empty()
    return path


# ------------------------------------------------------------------------------------------------ what uses them


def color_material(name, image=None, strength=1.0):
    """Shines in the colours of `image` (flat white without): needs no light, has no noise."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    shine = tree.nodes.new("ShaderNodeEmission")
    shine.inputs["Strength"].default_value = strength
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(shine.outputs[0], output.inputs["Surface"])
    if image is not None:
        texture = tree.nodes.new("ShaderNodeTexImage")
        texture.image = image
        tree.links.new(texture.outputs["Color"], shine.inputs["Color"])
    return material


def texture_node(material):
    return next(n for n in material.node_tree.nodes if n.type == "TEX_IMAGE")


def play(user, first, count, offset=0):
    """A sequence or movie runs from frame `first` on."""
    user.use_auto_refresh = True
    user.frame_start, user.frame_duration, user.frame_offset = first, count, offset


def load_tiles(path, numbers):
    """`path` holds <UDIM>; the first tile must be there."""
    image = bpy.data.images.load(path.replace("<UDIM>", str(numbers[0])))
    image.source = "TILED"
    image.filepath = path
    for number in numbers:
        if number not in [tile.number for tile in image.tiles]:
            image.tiles.new(number)
    return image


def make_output_film(scene, size, samples):
    """Cycles on the CPU, same pixels each time, EXRs of all passes in 32 bits."""
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.seed = 0
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    set_format(scene, "OPEN_EXR_MULTILAYER", "MULTI_LAYER_IMAGE")
    scene.render.image_settings.color_depth = "32"
    scene.render.image_settings.exr_codec = "ZIP"
