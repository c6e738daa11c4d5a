# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a tiny Cycles scene whose floor shows one picture by a path of one's choice: `-- OUT.blend PICTURE RAW
[WISH...]`.

PICTURE is the file that is made, RAW what the .blend calls it afterwards. Wishes: `sequence` (three frames
PICTURE.0001.png ...; RAW names the first), `extra=PATH` (kept with the scene, as the add-on does), `driver`
(Python that moves the cube), `module` (a text that runs on load), `layers` (three: two used, one not; the first
lacks the cube), `single` (only the active layer renders), `markers` (two cameras, bound to frames 1 and
5), `stereo` (pictures _L and _R), `sound=RAW`, `second` (the scene "Second" is there too, not active).
"""

import array
import os
import sys

import bpy

OUT, PICTURE, RAW, *WISHES = sys.argv[sys.argv.index("--") + 1 :]


def make_picture(path, red):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image = bpy.data.images.new("made", 4, 4)
    values = [1.0 if i % 4 == 3 else (i * 37 % 97) / 97 * (red if i % 4 == 0 else 1) for i in range(64)]
    image.pixels.foreach_set(array.array("f", values))
    image.filepath_raw = path
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)


def make_pictures():
    stem, extension = os.path.splitext(PICTURE)
    if "sequence" in WISHES:
        names = [f"{stem}.{number:04}{extension}" for number in (1, 2, 3)]
    elif "stereo" in WISHES:
        names = [f"{stem}_L{extension}", f"{stem}_R{extension}"]
    else:
        names = [PICTURE]
    for number, name in enumerate(names):
        make_picture(name, 1.0 - 0.3 * number)
    image = bpy.data.images.load(names[0])
    if "sequence" in WISHES:
        image.source = "SEQUENCE"
    if "stereo" in WISHES:
        image.use_multiview = True
        image.views_format = "INDIVIDUAL"
    return image


def keep_by_hand(scene):
    """Property groups like the add-on's."""

    class Extra(bpy.types.PropertyGroup):
        __annotations__ = {"path": bpy.props.StringProperty()}

    bpy.utils.register_class(Extra)

    class Job(bpy.types.PropertyGroup):
        __annotations__ = {"extra": bpy.props.CollectionProperty(type=Extra)}

    bpy.utils.register_class(Job)

    class Kept(bpy.types.PropertyGroup):
        __annotations__ = {"job": bpy.props.PointerProperty(type=Job)}

    bpy.utils.register_class(Kept)
    bpy.types.Scene.netrender = bpy.props.PointerProperty(type=Kept)
    for wish in WISHES:
        if wish.startswith("extra="):
            scene.netrender.job.extra.add().path = wish.partition("=")[2]


def set_up_render(scene):
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 2
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 16, 12
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"


def main():
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.name = "First"
    cube = bpy.data.objects["Cube"]
    material = cube.data.materials[0]
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = make_pictures()
    if "sequence" in WISHES:
        node.image_user.frame_duration = 3
        node.image_user.use_auto_refresh = True
    surface = material.node_tree.nodes["Principled BSDF"].inputs["Base Color"]
    material.node_tree.links.new(node.outputs["Color"], surface)
    set_up_render(scene)
    keep_by_hand(scene)
    if "driver" in WISHES:
        driver = cube.driver_add("location", 0).driver
        driver.type = "SCRIPTED"
        driver.expression = "[2.5 for each in range(1)][0]"
    if "module" in WISHES:
        text = bpy.data.texts.new("on_load.py")
        text.write("import bpy\nbpy.data.objects['Cube'].location.y = 1.5\n")
        text.use_module = True
    if "layers" in WISHES:
        scene.view_layers[0].name = "One"
        scene.view_layers.new("Two").use_pass_z = True
        scene.view_layers.new("Off").use = False
        scene.view_layers["One"].layer_collection.children[0].exclude = True
    if "single" in WISHES:
        scene.render.use_single_layer = True
    if "markers" in WISHES:
        for frame, height in ((1, 5.5), (5, 4.5)):
            camera = bpy.data.objects["Camera"].copy()
            camera.location.z = height
            scene.collection.objects.link(camera)
            scene.timeline_markers.new(f"F{frame}", frame=frame).camera = camera
    if "second" in WISHES:
        other = bpy.data.scenes.new("Second")
        for thing in list(scene.collection.all_objects):
            other.collection.objects.link(thing)
        other.camera = scene.camera
        set_up_render(other)
        other.render.resolution_x = 20
    for wish in WISHES:
        if wish.startswith("sound="):
            sound = bpy.data.sounds.load(PICTURE)
            sound.use_fake_user = True
            sound.filepath = wish.partition("=")[2]
    if "stereo" in WISHES:
        scene.render.use_multiview = True
        scene.render.image_settings.views_format = "MULTIVIEW"
    node.image.filepath = RAW
    bpy.ops.wm.save_as_mainfile(filepath=OUT, relative_remap=False)


main()
