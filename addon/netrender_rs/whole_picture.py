# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that Blender makes of other scenes: by strips of the sequencer, or by Render Layers nodes of
other scenes. It would render those itself and not ask the farm for their frames.

So while Blender renders such a scene with the engine Network Render, sequencer and compositor are
off, and the engine gives it the finished picture of the farm's film. What File Output nodes wrote on
the farm then comes as files, because the compositor does not run here. A saved file never holds
these settings.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import safe_write
from .languages import rpt_
from .worker.netrender_worker_facts import compositor_nodes, file_output_nodes, strips


def is_needed(scene: bpy.types.Scene) -> bool:
    """True if Blender would render other scenes for this one."""
    shown = (strip for strip in strips(scene) if strip.type != "SOUND" and not strip.mute)
    if scene.render.use_sequencer and any(shown):
        return True
    layers = (n for n in compositor_nodes(scene) if n.type == "R_LAYERS" and not n.mute)
    return any(node.scene not in (None, scene) for node in layers)


def obstacle(scene: bpy.types.Scene) -> str:
    """Reason why the frames of a scene can't be written here; "" when they can."""
    if scene.render.image_settings.file_format == "OPEN_EXR_MULTILAYER" and is_needed(scene):
        return rpt_(
            "Scene '{}' is made of other scenes, and their layers are not in its film. Choose another "
            "format than multilayer EXR in Output > File Format, or get the films with Get Frame"
        ).format(scene.name)
    return ""


class WholePicture:
    """The scene whose settings are changed for a render, and what they were."""

    def __init__(self):
        self._scene = ""
        self._kept: dict[str, Any] = {}
        self._own_camera = ""  # made for a scene in a file without any
        self.folders: dict[str, str] = {}  # of File Output nodes, by the name of their folder on the farm

    def is_on(self, scene: str) -> bool:
        return bool(self._kept) and self._scene == scene

    def begin(self, scene: bpy.types.Scene) -> None:
        """Changes the settings if the scene needs it. They stay until `end()`."""
        if self.is_on(scene.name):
            return
        self.end()
        if not is_needed(scene):
            return
        self.folders = {label: folder_of(node, scene) for label, node in file_output_nodes(scene)}
        render = scene.render
        self._scene = scene.name
        self._kept = {
            "use_sequencer": render.use_sequencer,
            "use_compositing": render.use_compositing,
            "has_camera": scene.camera is not None,
        }
        safe_write.run(lambda: self._change(scene))

    def _change(self, scene: bpy.types.Scene) -> None:
        scene.render.use_sequencer = scene.render.use_compositing = False
        if scene.camera is None:
            # Blender renders no scene without one, and a scene of strips may have none.
            camera = next((o for o in bpy.data.objects if o.type == "CAMERA"), None)
            if camera is None:
                camera = bpy.data.objects.new("netrender", bpy.data.cameras.new("netrender"))
                self._own_camera = camera.name
            scene.camera = camera

    def end(self) -> None:
        """Puts the settings back."""
        if not self._kept:
            return
        safe_write.run(self._restore)
        self._kept = {}

    def _restore(self) -> None:
        scene = bpy.data.scenes.get(self._scene)
        if scene is not None:
            scene.render.use_sequencer = self._kept["use_sequencer"]
            scene.render.use_compositing = self._kept["use_compositing"]
            if not self._kept["has_camera"]:
                scene.camera = None
        camera = bpy.data.objects.get(self._own_camera) if self._own_camera else None
        if camera is not None:
            bpy.data.cameras.remove(camera.data)  # takes the object along
        self._own_camera = ""

    def before_save(self) -> None:
        if self._kept:
            self._restore()

    def after_save(self) -> None:
        scene = bpy.data.scenes.get(self._scene)
        if self._kept and scene is not None:
            self._change(scene)

    def forget(self) -> None:
        """Another file is opened: its scenes are none of these."""
        self._kept, self._own_camera = {}, ""


whole_picture = WholePicture()


@contextlib.contextmanager
def artists_settings():
    """Within this context the scene has the artist's settings."""
    whole_picture.before_save()
    try:
        yield
    finally:
        whole_picture.after_save()


def folder_of(node: bpy.types.Node, scene: bpy.types.Scene) -> str:
    """The folder that a File Output node writes into here."""
    library = node.id_data.library
    if hasattr(node, "directory"):  # 5.0
        path = node.directory
        if "{" in path:
            path = without_templates(path.replace("{node_name}", node.name), scene)
    else:
        # With multi-layer files the base path is the file's name, not a folder.
        is_file = node.format.file_format == "OPEN_EXR_MULTILAYER"
        path = node.base_path.replace("\\", "/") if os.name == "nt" else node.base_path
        path = path.rpartition("/")[0] + "/" if is_file else path
    return os.path.abspath(bpy.path.abspath(path, library=library))


def without_templates(path: str, scene: bpy.types.Scene) -> str:
    """The path with `{blend_name}` and the like filled in, which Blender does for the output path."""
    kept = scene.render.filepath
    try:
        scene.render.filepath = os.path.join(path, "x")
        return os.path.dirname(scene.render.frame_path(frame=scene.frame_current))
    finally:
        scene.render.filepath = kept


def put_outputs(folder: str) -> list[str]:
    """Moves fetched files of File Output nodes to where this Blender would have written them, each into
    its node's own folder. Returns the names of folders of which no node is known here.
    """
    strange = []
    for label in sorted(os.listdir(folder)):
        target = whole_picture.folders.get(label)
        if target is None:
            strange.append(label)
            continue
        source = os.path.join(folder, label)
        for below, _folders, names in os.walk(source):
            into = os.path.normpath(os.path.join(target, os.path.relpath(below, source)))
            os.makedirs(into, exist_ok=True)
            for name in names:
                # Over the line of file systems, a file without its last bytes must not have its name.
                passing = os.path.join(into, f".{name}.netrender")
                shutil.move(os.path.join(below, name), passing)
                os.replace(passing, os.path.join(into, name))
    return strange


@persistent
def before_save(*_):
    whole_picture.before_save()


@persistent
def after_save(*_):
    whole_picture.after_save()


@persistent
def before_load(*_):
    whole_picture.forget()


def handlers():
    all_ = bpy.app.handlers
    yield all_.save_pre, before_save
    yield all_.save_post, after_save
    if hasattr(all_, "save_post_fail"):
        yield all_.save_post_fail, after_save
    yield all_.load_pre, before_load


def register() -> None:
    for handler_list, handler in handlers():
        handler_list.append(handler)


def unregister() -> None:
    whole_picture.end()
    for handler_list, handler in handlers():
        handler_list.remove(handler)
