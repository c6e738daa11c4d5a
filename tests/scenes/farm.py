# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a scene for farm tests: `-- OUT.blend [wish ...]`.

Plain, it is a moving cube, 32x18 pixels, 1 sample, frames 1-10, films of 32-bit float. Wishes: `size=WxH`,
`samples=N`, `pattern=TABULATED_SOBOL`, `frames=A-B`, `denoise`, `adaptive`, `no-camera`, and `rich` (many objects, an
image texture, a linked library, text, several passes and a second view layer: what a production file has); with
`noise` its texture is 3 MB that no compression makes smaller. `catcher` adds what no average of samples is: a shadow
catcher, mist, light without its colour; and fog.
"""

import array
import os
import random
import sys

import bpy

OUT, *WISHES = sys.argv[sys.argv.index("--") + 1 :]
VALUES = dict(wish.split("=", 1) for wish in WISHES if "=" in wish)
FOLDER = os.path.dirname(OUT)


def numbers(wish, default, separator):
    return [int(word) for word in VALUES.get(wish, default).split(separator)]


def surface_of(material):
    material.use_nodes = True
    return material.node_tree, material.node_tree.nodes["Principled BSDF"]


def make_texture():
    path = os.path.join(FOLDER, "textures", "spots of paint.png")
    side = 1024 if "noise" in WISHES else 16
    image = bpy.data.images.new("made", side, side)
    chance = random.Random(3)
    values = [1.0 if i % 4 == 3 else chance.random() for i in range(side * side * 4)]
    image.pixels.foreach_set(array.array("f", values))
    image.filepath_raw = path
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def make_library():
    """props/ball.blend with a collection "Ball"; called before the scene itself is built."""
    path = os.path.join(FOLDER, "props", "ball.blend")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, radius=0.7)
    ball = bpy.context.object
    material = bpy.data.materials.new("Gold")
    _, surface = surface_of(material)
    surface.inputs["Metallic"].default_value = 1.0
    surface.inputs["Roughness"].default_value = 0.2
    ball.data.materials.append(material)
    collection = bpy.data.collections.new("Ball")
    bpy.context.scene.collection.children.link(collection)
    bpy.context.scene.collection.objects.unlink(ball)
    collection.objects.link(ball)
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


def add_riches(scene, texture, library):
    chance = random.Random(7)
    cube = bpy.data.objects["Cube"]
    tree, surface = surface_of(cube.data.materials[0])
    image = tree.nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(texture)
    tree.links.new(image.outputs["Color"], surface.inputs["Base Color"])
    for _ in range(40):
        copy = bpy.data.objects.new("Stone", cube.data)
        copy.location = [chance.uniform(-4, 4) for _ in range(3)]
        copy.rotation_euler = [chance.uniform(0, 3) for _ in range(3)]
        copy.scale = [chance.uniform(0.1, 0.4)] * 3
        scene.collection.objects.link(copy)
    with bpy.data.libraries.load(library, link=True) as (_, wanted):
        wanted.collections = ["Ball"]
    for x in (-2.0, 2.0):
        ball = bpy.data.objects.new("Ball", None)
        ball.instance_type = "COLLECTION"
        ball.instance_collection = wanted.collections[0]
        ball.location = (x, -1.5, 0.5)
        scene.collection.objects.link(ball)
    text = bpy.data.curves.new("Sign", "FONT")
    text.body = "farm"
    sign = bpy.data.objects.new("Sign", text)
    sign.location = (-1, -3, 1)
    scene.collection.objects.link(sign)
    layer = scene.view_layers[0]
    for wanted_pass in ("z", "normal", "diffuse_direct", "glossy_indirect", "vector", "object_index"):
        setattr(layer, f"use_pass_{wanted_pass}", True)
    second = scene.view_layers.new("Clay")
    second.material_override = bpy.data.materials.new("Clay")
    scene.render.film_transparent = True


def add_catcher(scene):
    bpy.ops.mesh.primitive_plane_add(size=6, location=(0, 0, -1))
    bpy.context.object.is_shadow_catcher = True
    layer = scene.view_layers[0]
    layer.use_pass_mist = layer.use_pass_position = layer.use_pass_cryptomatte_object = True
    layer.use_pass_diffuse_indirect = layer.cycles.use_pass_shadow_catcher = True
    scene.world.mist_settings.start, scene.world.mist_settings.depth = 2, 15
    fog = bpy.data.materials.new("Fog")
    fog.use_nodes = True
    tree = fog.node_tree
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.nodes.remove(tree.nodes["Principled BSDF"])
    tree.links.new(tree.nodes.new("ShaderNodeVolumeScatter").outputs[0], output.inputs["Volume"])
    bpy.ops.mesh.primitive_cube_add(size=1.5, location=(2, -2, 1))
    bpy.context.object.data.materials.append(fog)
    if hasattr(scene.cycles, "volume_biased"):
        scene.cycles.volume_biased = True


def main():
    rich = "rich" in WISHES
    if rich:
        os.makedirs(os.path.join(FOLDER, "textures"), exist_ok=True)
        library = make_library()
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.name = "Farm"
    first, last = numbers("frames", "1-10", "-")
    cube = bpy.data.objects["Cube"]
    for frame, x in ((first, -1.0), (last, 1.0)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    scene.frame_start, scene.frame_end = first, last
    scene.render.engine = "CYCLES"
    scene.cycles.samples = numbers("samples", "1", ",")[0]
    scene.cycles.use_adaptive_sampling = "adaptive" in WISHES
    if "pattern" in VALUES:
        scene.cycles.sampling_pattern = VALUES["pattern"]
    scene.cycles.use_denoising = "denoise" in WISHES
    scene.render.resolution_x, scene.render.resolution_y = numbers("size", "32x18", "x")
    scene.render.resolution_percentage = 100
    if rich:
        bpy.ops.wm.save_as_mainfile(filepath=OUT)  # else links can't be relative
        add_riches(scene, make_texture(), library)
    if "catcher" in WISHES:
        add_catcher(scene)
    if "no-camera" in WISHES:
        bpy.data.objects.remove(bpy.data.objects["Camera"])
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "ZIP"
    bpy.ops.wm.save_as_mainfile(filepath=OUT)


main()
