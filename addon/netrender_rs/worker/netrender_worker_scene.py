# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing the open scene: scene, engine and camera as requested, output kept in our folders, the
film's form, the view transform baked into a table.

What does not live here: opening files, re-pointing paths, rendering. All is done in memory, and
again for each load.
"""

import array
import functools
import os
import re
import traceback

import bpy
from netrender_worker_facts import (
    DRAWING_ENGINES,
    compositing_tree,
    compositor_nodes,
    engine_name,
    file_output_nodes,
    kept_engine,
    shown_scenes,
    strips,
)
from netrender_worker_paths import Refused

LATTICE = 65
LATTICE_LOG2 = (-12.5, 10.0)


def engines():
    """Render engines that this Blender can be set to. The add-on's own engine is no renderer."""
    found = {"NET_RENDER"}
    result = []

    def add(name):
        if name and name not in found:
            found.add(name)
            result.append(name)

    def walk(cls):
        for sub in cls.__subclasses__():
            if getattr(sub, "is_registered", False):
                add(getattr(sub, "bl_idname", ""))
            walk(sub)

    walk(bpy.types.RenderEngine)
    # Built-in engines have no Python class; the enum lists them only in a context, so try them on.
    render = bpy.context.scene.render
    before = render.engine
    for name in DRAWING_ENGINES:
        try:
            render.engine = name
            add(name)
        except TypeError:
            pass
    try:
        render.engine = before
    except TypeError:
        pass
    return sorted(result)


def draw():
    """Draws a picture of a few pixels. A Blender that cannot draw dies of it, or says so."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 8
    try:
        bpy.ops.render.render(scene=scene.name)
    except RuntimeError as error:
        raise Refused("render_failed", f"This Blender cannot draw: {error}. Give it a display.") from None
    return {}


def pick_scene(name):
    """Makes the named scene active; None: the one that is. Raises Refused for an unknown one."""
    scene = bpy.data.scenes.get(name) if name else bpy.context.scene
    if scene is None:
        there = ", ".join(s.name for s in bpy.data.scenes)
        raise Refused(
            "missing_scene",
            f"There is no scene '{name}' in {bpy.data.filepath}. It has: {there}. Choose one of these.",
        )
    window = bpy.context.window
    if window is not None and window.scene != scene:
        window.scene = scene
    return scene


def set_engines(scene, engine):
    """Sets the scene's engine (None: its own), and that of scenes whose render it shows. Raises
    Refused for one that this Blender lacks: it would render with another one and say nothing.
    """
    wanted = engine or engine_name(scene)
    try:
        scene.render.engine = wanted
    except TypeError:
        refuse_engine(scene, wanted)
    there = engines()
    for shown in shown_scenes(scene):
        own = kept_engine(shown) if engine_name(shown) == "NET_RENDER" else engine_name(shown)
        if own not in there:
            refuse_engine(shown, own)
        shown.render.engine = own


def refuse_engine(scene, engine):
    raise Refused(
        "missing_engine",
        f"This Blender has no render engine '{engine}', which scene '{scene.name}' needs. It has: "
        f"{', '.join(engines())}. Enable the engine's add-on on this slave, or send to others.",
    )


def check_camera(scene):
    """Raises Refused by Blender's own rule (check_valid_camera), before minutes are spent on
    loading textures.
    """

    def has_camera(scene):
        return scene.camera is not None or any(o.type == "CAMERA" for o in scene.objects)

    if scene.render.use_sequencer and len(strips(scene)):
        return
    needing = [scene]
    if compositing_tree(scene) is not None:
        layers = [n for n in compositor_nodes(scene) if n.type == "R_LAYERS" and not n.mute]
        needing = [n.scene or scene for n in layers]  # none: nothing is rendered, the compositor makes it all
    for needed in needing:
        if not has_camera(needed):
            raise Refused(
                "no_camera",
                f"Scene '{needed.name}' in {bpy.data.filepath} has no camera. Add one and send again.",
            )


def escape_templates(owner, prop, path):
    """Escapes a path for a property where, since 4.5, `{name}` is a template and `{{` a brace."""
    prop = owner.bl_rna.properties[prop]
    if getattr(prop, "is_path_supports_templates", False):
        return path.replace("{", "{{").replace("}", "}}")
    return path


def tame(path):
    """A relative path without the parts by which it could leave its folder."""
    parts = [p for p in re.split(r"[\\/]+", path) if p not in ("", ".", "..") and not p.endswith(":")]
    ends_in_folder = path.endswith(("/", "\\")) and parts
    return "/".join(parts) + ("/" if ends_in_folder else "")


def tame_file_outputs(scene, outputs):
    """Makes each File Output node write into a folder of its own below `outputs`, never to the
    artist's paths; in every scene, because strips and Render Layers nodes bring other scenes'
    compositors along. The files' own names stay as they are.
    """
    for any_scene in bpy.data.scenes:
        for view in any_scene.render.views:  # the end of the files' names
            start = "/" if view.file_suffix.startswith(("/", "\\")) else ""
            view.file_suffix = start + tame(view.file_suffix)
    for label, node in file_output_nodes(scene):
        folder = os.path.join(outputs, label, "")
        if hasattr(node, "directory"):  # 5.0
            node.directory = escape_templates(node, "directory", folder)
            node.file_name = tame(node.file_name)
            if node.format.media_type != "MULTI_LAYER_IMAGE":  # there an item's name is a layer's
                for item in node.file_output_items:
                    # As Blender does it at the end.
                    item.name = re.sub(r"[\\/]", "_", item.name) or "Image"
            continue
        # With multi-layer files the base path is the file's name, not a folder.
        single_file = node.format.file_format == "OPEN_EXR_MULTILAYER"
        name = tame(node.base_path).rpartition("/")[2] if single_file else ""
        node.base_path = escape_templates(node, "base_path", folder) + name
        for slot in node.file_slots:
            slot.path = tame(slot.path)


def set_output(scene):
    """Sets the form of the film: every pass in 32-bit float, scene linear, in one file."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"  # 5.0 refuses formats of another kind than this
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "ZIP"
    # The film is what merging and finishing start from; the artist's own output space is applied at
    # the end.
    if hasattr(settings, "color_management"):
        settings.color_management = "FOLLOW_SCENE"
    if hasattr(settings, "use_preview"):
        settings.use_preview = False  # would write a JPEG next to each film
    if scene.render.use_multiview:
        settings.views_format = "MULTIVIEW"
    render = scene.render
    render.use_file_extension = True
    # `-f` renders every layer in use, single or not; the operator heeds this, and fails at the
    # second frame (5.0).
    render.use_single_layer = False
    render.use_placeholder = False
    render.use_overwrite = True


# ----------------------------------------------------------------------------------- view transform


@functools.cache
def lattice():
    """RGBA floats of the 65^3 lattice, red fastest."""
    low, high = LATTICE_LOG2
    steps = LATTICE - 2
    axis = array.array("f", [0.0, *(2.0 ** (low + (high - low) * i / steps) for i in range(LATTICE - 1))])
    pixels = array.array("f", [1.0]) * (4 * LATTICE**3)
    pixels[0::4] = axis * LATTICE**2
    greens = array.array("f", [v for v in axis for _ in range(LATTICE)])
    pixels[1::4] = greens * LATTICE
    blues = array.array("f")
    for value in axis:
        blues.extend(array.array("f", [value]) * LATTICE**2)
    pixels[2::4] = blues
    return pixels


def bake_view_table(scene, path):
    """Saves the lattice as the scene's view transform shows it. Leaves the scene's settings as they
    were.
    """
    settings, render = scene.render.image_settings, scene.render
    names = [
        n
        for n in ("media_type", "color_management", "file_format", "color_mode", "color_depth")
        if hasattr(settings, n)
    ]
    before = [(n, getattr(settings, n)) for n in names]
    dither = render.dither_intensity
    # A new float image is in the scene's linear space, whatever the colour configuration calls it.
    image = bpy.data.images.new("netrender lattice", LATTICE, LATTICE * LATTICE, float_buffer=True)
    try:
        render.dither_intensity = 0.0
        if hasattr(settings, "media_type"):
            settings.media_type = "IMAGE"
        settings.file_format = "PNG"
        settings.color_mode = "RGB"
        settings.color_depth = "16"
        if hasattr(settings, "color_management"):
            settings.color_management = "FOLLOW_SCENE"
        image.pixels.foreach_set(lattice())
        image.update()
        image.save_render(path, scene=scene)
    finally:
        bpy.data.images.remove(image)
        render.dither_intensity = dither
        for name, value in before:
            setattr(settings, name, value)


def try_bake_view_table(scene, path):
    """The path of the baked table; None where it was not asked for, or cannot be made."""
    if not path:
        return None
    try:
        bake_view_table(scene, path)
        return path if os.path.isfile(path) else None
    except Exception:  # noqa: BLE001
        traceback.print_exc()  # previews fall back to a plain curve; the job goes on
        return None
