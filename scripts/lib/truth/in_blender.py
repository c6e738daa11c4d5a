# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders frames of a .blend as this machine does without a farm: `-- REQUEST.json`.

The request: {"blend", "frames": "1,5" in the order of rendering (null: first, middle, last), "folder" for films and
outputs, "info": a JSON file to write, "copy": a .blend to write in place of rendering (null: none), "percent",
"samples" (null: the scene's own), "scripts": bool}. Blender 3.4 to 5.x, standard library and `bpy` only.
"""

import json
import sys
from pathlib import Path

import bpy


def compositors():
    for group in bpy.data.node_groups:
        if group.bl_idname == "CompositorNodeTree":
            yield group
    for scene in bpy.data.scenes:
        tree = getattr(scene, "node_tree", None)
        if tree is not None:
            yield tree


def plain(path):
    """A path with the braces of templates (4.5 and later) escaped."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5) else path


def keep_outputs_in(folder):
    """Makes each File Output node write into a folder of its own below `folder`."""
    nodes = (node for tree in compositors() for node in tree.nodes)
    for number, node in enumerate(node for node in nodes if node.bl_idname == "CompositorNodeOutputFile"):
        own = f"{folder / str(number)}/"
        if hasattr(node, "directory"):  # 5.0
            node.directory = plain(own)
        elif node.format.file_format == "OPEN_EXR_MULTILAYER":  # the base path is a file's name
            node.base_path = plain(own) + node.base_path.replace("\\", "/").rpartition("/")[2]
        else:
            node.base_path = plain(own)


def change(scene, percent, samples):
    if percent:
        scene.render.resolution_percentage = percent
    if samples and hasattr(scene, "cycles"):
        scene.cycles.samples = samples


def write_films(scene):
    """Every pass in 32-bit float, in one file for each frame."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    if hasattr(settings, "color_management"):
        settings.color_management = "FOLLOW_SCENE"
    if scene.render.use_multiview:
        settings.views_format = "MULTIVIEW"
    scene.render.use_file_extension = scene.render.use_overwrite = True
    scene.render.use_placeholder = scene.render.use_single_layer = False


def render(scene, frame, folder):
    """As `blender -f` does: an animation of one frame, or, below 0, a still."""
    scene.render.filepath = plain(str(folder / "####"))
    before = scene.frame_start, scene.frame_end
    scene.frame_start = scene.frame_end = frame
    if scene.frame_start == frame:
        bpy.ops.render.render(animation=True, scene=scene.name)
    else:
        scene.frame_start, scene.frame_end = before
        scene.frame_set(frame)
        scene.render.filepath = scene.render.frame_path(frame=frame)
        bpy.ops.render.render(write_still=True, scene=scene.name)
    scene.frame_start, scene.frame_end = before


def frames_of(scene, text):
    if text:
        return [int(word) for word in text.split(",")]
    span = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
    return sorted({span[0], span[len(span) // 2], span[-1]}) if span else [scene.frame_start]


def main(path):
    request = json.loads(path.read_text(encoding="utf-8"))
    bpy.ops.wm.open_mainfile(filepath=request["blend"], load_ui=False, use_scripts=request["scripts"])
    scene = bpy.context.scene
    change(scene, request["percent"], request["samples"])
    if request["copy"]:
        bpy.ops.wm.save_as_mainfile(filepath=request["copy"], copy=True, relative_remap=False)
        return
    frames = frames_of(scene, request["frames"])
    Path(request["info"]).write_text(json.dumps({"frames": frames}), encoding="utf-8")
    folder = Path(request["folder"])
    write_films(scene)
    keep_outputs_in(folder / "outputs")
    for frame in frames:
        before = set((folder / "films").rglob("*.exr"))
        render(scene, frame, folder / "films")
        # Blender says nothing where a scene has nothing to render.
        if set((folder / "films").rglob("*.exr")) == before:
            raise RuntimeError(f"frame {frame} made no film")


main(Path(sys.argv[sys.argv.index("--") + 1]))
