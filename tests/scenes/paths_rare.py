# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds FOLDER/rare.blend, which names files of the rarer kinds by relative paths: `-- FOLDER`.

The files are made, but hold nothing: for what finds and re-points paths, not for rendering. Prints "MADE path"
for each, relative to FOLDER.
"""

import os
import sys

import bpy

FOLDER = sys.argv[sys.argv.index("--") + 1]


def made(path):
    """Make an empty file; its path as the .blend has it."""
    full = os.path.join(FOLDER, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb"):
        pass
    print("MADE", path)
    return "//" + path


def folder_of(path):
    return os.path.dirname(made(path)) + "/"


def add_modifiers(thing):
    modifier = thing.modifiers.new("Mesh Cache", "MESH_CACHE")
    modifier.cache_format = "PC2"
    modifier.filepath = made("meshes/cube.pc2")
    thing.modifiers.new("Cloth", "CLOTH").point_cache.use_external = True
    thing.modifiers["Cloth"].point_cache.filepath = folder_of("points/cloth_000001_00.bphys")
    paint = thing.modifiers.new("Paint", "DYNAMIC_PAINT")
    paint.show_viewport = paint.show_render = False  # else it may be simulated, and write a cache of its own
    with bpy.context.temp_override(object=thing, active_object=thing):
        bpy.ops.dpaint.type_toggle(type="CANVAS")
    surface = paint.canvas_settings.canvas_surfaces[0].point_cache
    surface.use_external = True
    surface.filepath = folder_of("paint/surface_000001_00.bphys")
    if not getattr(bpy.app, "module", False):  # which cannot load a fluid domain without dying
        fluid = thing.modifiers.new("Fluid", "FLUID")
        fluid.fluid_type = "DOMAIN"
        fluid.domain_settings.cache_type = "ALL"  # else each change of frame simulates
        fluid.domain_settings.cache_directory = folder_of("fluid/data/fluid_data_0001.vdb")
    nodes = thing.modifiers.new("Nodes", "NODES")
    tree = bpy.data.node_groups.new("Geometry", "GeometryNodeTree")
    nodes.node_group = tree
    if hasattr(nodes, "bake_directory"):
        nodes.bake_directory = folder_of("bakes/1/meta/1.json")
    if hasattr(bpy.types, "GeometryNodeImportOBJ"):
        tree.nodes.new("GeometryNodeImportOBJ").inputs["Path"].default_value = made("imports/one.obj")
        text = tree.nodes.new("FunctionNodeInputString")
        text.string = made("imports/two.stl")
        other = tree.nodes.new("GeometryNodeImportSTL")
        tree.links.new(text.outputs[0], other.inputs["Path"])


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    add_modifiers(bpy.data.objects["Cube"])

    clip = bpy.data.movieclips.load(os.path.join(FOLDER, made("clips/shot.png")[2:]))
    clip.filepath = "//clips/shot.png"
    clip.use_fake_user = clip.use_proxy = clip.use_proxy_custom_directory = True
    clip.proxy.directory = folder_of("proxies/proxy_25.avi")

    scene.render.engine = "CYCLES"
    material = bpy.data.objects["Cube"].data.materials[0]
    material.use_nodes = True
    script = material.node_tree.nodes.new("ShaderNodeScript")
    script.mode = "EXTERNAL"
    script.filepath = made("shaders/glow.osl")
    with open(os.path.join(FOLDER, "shaders", "glow.oso"), "wb"):
        pass
    os.utime(os.path.join(FOLDER, "shaders", "glow.oso"), (1e9, 1e9))  # older, so nobody reads it
    camera = bpy.data.cameras[0]
    if hasattr(camera, "custom_filepath"):
        camera.type = "CUSTOM"
        camera.custom_mode = "EXTERNAL"
        camera.custom_filepath = made("shaders/lens.osl")

    text = bpy.data.texts.new("notes")
    text.write("In the .blend, and outside")
    text.filepath = made("texts/notes.txt")
    cache = bpy.data.volumes.new("Volume")
    cache.use_fake_user = True
    cache.filepath = made("volumes/smoke_0001.vdb")
    made("volumes/smoke_0002.vdb")
    cache.is_sequence = True
    line = bpy.data.linestyles.new("Line")
    line.use_fake_user = line.use_nodes = True
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, "rare.blend"), relative_remap=False)


main()
