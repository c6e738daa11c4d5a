# SPDX-License-Identifier: GPL-3.0-or-later
"""Submission of the open scene, whoever asked for it: buttons, or a render with the engine Network
Render. Here only a copy of it is saved, which is the one thing that needs this Blender and takes
its time; the compiled module lists the scene's files, reads and sends them while the artist goes on
working.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import bpy

from .languages import rpt_
from .props import effective
from .runtime import Transfer, private_folder, remove_folder, session, this_blender
from .worker.netrender_worker_facts import has_camera

if TYPE_CHECKING:
    import netrender_native as native


def obstacle() -> str:
    """Reason why the open file can't be sent; "" when it can."""
    if not bpy.data.filepath:
        return rpt_("Save the .blend file first: the farm needs its place to find textures and libraries")
    return ""


def check(scene: bpy.types.Scene) -> None:
    """Raises ValueError for a scene that nobody could render."""
    if scene.frame_start > scene.frame_end:
        raise ValueError(
            rpt_("The frame range {} to {} is empty. Set it in Output > Frame Range").format(
                scene.frame_start, scene.frame_end
            )
        )
    if not has_camera(scene):
        raise ValueError(rpt_("Scene '{}' has no camera to render from. Add one").format(scene.name))


def client_for(scene: bpy.types.Scene) -> native.Client:
    """The native Client for the scene's master."""
    return session.client_farm.client_for(effective.master_address(scene.netrender.client.master))


def hand_over(
    scene: bpy.types.Scene,
    call: Callable[[native.JobRequest], native.Transfer],
    label: str,
    frames: str | None,
    send_anyway: bool = False,
    on_end: Callable[[native.TransferSnapshot], None] | None = None,
) -> Transfer:
    """Saves a copy and gives it to `call`, a native Client's submit or check. `frames` in the
    artist's notation; None: the scene's own range. Raises RuntimeError (bpy), OSError or a native
    error.
    """
    source = os.path.abspath(bpy.data.filepath)
    folder = private_folder()
    try:
        copy = os.path.join(folder, os.path.basename(source))
        bpy.ops.wm.save_as_mainfile(filepath=copy, copy=True, relative_remap=False, compress=False)
        handle = call(request(scene, source, copy, frames, send_anyway))
    except BaseException:
        remove_folder(folder)
        raise
    session.begin_submission()
    return session.transfers.start(handle, label, folder, on_end)


def unsaved_images() -> list[str]:
    """Names of painted images that are in no file yet: the copy has them as they were."""
    return [i.name for i in bpy.data.images if i.is_dirty and i.source != "VIEWER" and i.library is None]


def request(
    scene: bpy.types.Scene, source: str, copy: str, frames: str | None, send_anyway: bool
) -> native.JobRequest:
    """The argument of a native Client's submit and check."""
    wanted = scene.netrender.job
    return {
        "name": wanted.name.strip() or os.path.splitext(os.path.basename(source))[0],
        "blend": copy,
        "source": source,
        "program": this_blender(),
        "scene": scene.name,
        "engine": effective.engine_of(scene),
        "frames": frames,
        "category": wanted.category.strip(),
        "priority": wanted.priority,
        "chunk": wanted.chunk,
        "tags": effective.tags(wanted.tags),
        "split": wanted.split.lower(),
        "simulations": wanted.simulations.lower(),
        "unsaved_images": unsaved_images(),
        "send_anyway": send_anyway,
    }
