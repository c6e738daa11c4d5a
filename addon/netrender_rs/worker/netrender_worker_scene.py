# SPDX-License-Identifier: GPL-3.0-or-later
"""The open scene made ready to be rendered here: scene, engine and camera as asked for, what it writes kept in
our folders, its film's form, its view transform baked into a table.

What does not live here: opening files, re-pointing paths, rendering. All is done in memory, and again for each
load.
"""

import array
import ctypes
import os
import re
import traceback

import bpy
from netrender_worker_paths import Refused, strips

LATTICE = 65
LATTICE_LOG2 = (-12.5, 10.0)


def engines():
    """Render engines this Blender can be set to; our own add-on's engine is no renderer."""
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
    for name in ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"):
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


def pick_scene(name):
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


def set_engine(scene, engine):
    wanted = engine or scene.render.engine  # "" when the file names an engine this Blender has not got
    try:
        scene.render.engine = wanted
    except TypeError:
        raise Refused(
            "missing_engine",
            f"This Blender has no render engine '{wanted or 'of scene ' + scene.name}'. It has: "
            f"{', '.join(engines())}. Enable the engine's add-on on this slave, or send to others.",
        ) from None


def node_trees_of(tree):
    """A node tree and all groups in it, each once."""
    seen, waiting = [], [tree]
    while waiting:
        tree = waiting.pop()
        if tree is None or tree in seen:
            continue
        seen.append(tree)
        waiting.extend(getattr(node, "node_tree", None) for node in tree.nodes)
    return seen


def compositing_tree(scene):
    """The tree that runs after this scene's render, or None."""
    if not scene.render.use_compositing:
        return None
    if hasattr(scene, "compositing_node_group"):  # 5.0
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def check_camera(scene):
    """Blender's own rule (check_valid_camera), asked before minutes are spent on loading textures."""

    def has_camera(scene):
        return scene.camera is not None or any(o.type == "CAMERA" for o in scene.objects)

    if scene.render.use_sequencer and len(strips(scene)):
        return
    tree = compositing_tree(scene)
    needing = [scene]
    if tree is not None:
        layers = [n for t in node_trees_of(tree) for n in t.nodes if n.type == "R_LAYERS" and not n.mute]
        needing = [n.scene or scene for n in layers]  # none: nothing is rendered, the compositor makes it all
    for needed in needing:
        if not has_camera(needed):
            raise Refused(
                "no_camera",
                f"Scene '{needed.name}' in {bpy.data.filepath} has no camera. Add one and send again.",
            )


def escape_templates(owner, prop, path):
    """Since 4.5 `{name}` in some paths is a template; `{{` is a brace."""
    prop = owner.bl_rna.properties[prop]
    if getattr(prop, "is_path_supports_templates", False):
        return path.replace("{", "{{").replace("}", "}}")
    return path


def tame(path):
    """A path below some folder that stays below it."""
    parts = [p for p in re.split(r"[\\/]+", path) if p not in ("", ".", "..") and not p.endswith(":")]
    return "/".join(parts)


def tame_file_outputs(scratch):
    """File Output nodes write into the scratch folder, never to the artist's paths; in every scene, because
    strips and Render Layers nodes bring other scenes' compositors along."""
    number = 0
    trees = [
        *bpy.data.node_groups,
        *(t for t in (getattr(s, "node_tree", None) for s in bpy.data.scenes) if t),
    ]
    for tree in trees:
        if tree.bl_idname != "CompositorNodeTree":
            continue
        for node in tree.nodes:
            if node.bl_idname != "CompositorNodeOutputFile":
                continue
            number += 1
            folder = os.path.join(scratch, f"output-{number}")
            if hasattr(node, "directory"):  # 5.0
                node.directory = escape_templates(node, "directory", os.path.join(folder, ""))
                node.file_name = tame(node.file_name)
                for item in node.file_output_items:
                    item.name = tame(item.name) or "Image"
                continue
            # With multi-layer files the base path is the file's name, not a folder.
            single_file = node.format.file_format == "OPEN_EXR_MULTILAYER"
            name = (tame(node.base_path).rpartition("/")[2] or "layers") if single_file else ""
            node.base_path = escape_templates(node, "base_path", os.path.join(folder, name))
            for slot in node.file_slots:
                slot.path = tame(slot.path)


def set_output(scene):
    """The film: every pass in 32-bit float, scene linear, in one file."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"  # 5.0 refuses formats of another kind than this
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "ZIP"
    # The film is what merging and finishing start from; the artist's own output space is applied at the end.
    if hasattr(settings, "color_management"):
        settings.color_management = "FOLLOW_SCENE"
    if hasattr(settings, "use_preview"):
        settings.use_preview = False  # would write a JPEG next to each film
    if scene.render.use_multiview:
        settings.views_format = "MULTIVIEW"
    render = scene.render
    render.use_file_extension = True
    # `-f` renders every layer in use, single or not; the operator heeds this, and fails at the second frame (5.0).
    render.use_single_layer = False
    render.use_placeholder = False
    render.use_overwrite = True


def size_of_film(scene):
    """Width and height in pixels of the written file."""
    render = scene.render
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    if render.use_border and render.use_crop_to_border:

        def edge(share, size):
            return int(ctypes.c_float(share * size).value)  # Blender multiplies in 32 bits and cuts off

        width, height = (
            edge(render.border_max_x, width) - edge(render.border_min_x, width),
            edge(render.border_max_y, height) - edge(render.border_min_y, height),
        )
    return width, height


# ------------------------------------------------------------------------------------------- the view transform

_lattice = None


def lattice():
    """RGBA floats of the 65^3 lattice, red fastest; made once per process."""
    global _lattice
    if _lattice is None:
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
        _lattice = pixels
    return _lattice


def bake_view_table(scene, path):
    """Save the lattice as the scene's view transform shows it. Leaves the scene's settings as they were."""
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
    if not path:
        return None
    try:
        bake_view_table(scene, path)
        return path if os.path.isfile(path) else None
    except Exception:  # noqa: BLE001
        traceback.print_exc()  # previews fall back to a plain curve; the job goes on
        return None
