# SPDX-License-Identifier: GPL-3.0-or-later
"""The open scene on its way to the farm, whoever asked for it: buttons, or a render with the engine Network Render.
Here only a copy of it is saved, which is the one thing that needs this Blender and takes it time; listing the scene's
files, reading and sending them is done elsewhere while the artist goes on working.
"""

import os

import bpy

from . import services, session, settings
from .languages import rpt_
from .trace.netrender_trace_scene import has_camera


def obstacle():
    """Why the open file can't be sent; "" when it can."""
    if not bpy.data.filepath:
        return rpt_("Save the .blend file first: the farm needs its place to find textures and libraries")
    return ""


def check(scene):
    """Raises ValueError for a scene that nobody could render."""
    if scene.frame_start > scene.frame_end:
        raise ValueError(
            rpt_("The frame range {} to {} is empty. Set it in Output > Frame Range").format(
                scene.frame_start, scene.frame_end
            )
        )
    if not has_camera(scene):
        raise ValueError(rpt_("Scene '{}' has no camera to render from. Add one").format(scene.name))


def client_for(scene):
    """The native Client for the scene's master."""
    return session.client_for(settings.master_address(scene.netrender.client.master))


def hand_over(scene, call, label, frames, send_anyway=False, on_end=None):
    """Saves a copy and gives it to `call`, a native Client's submit or check. `frames` in the artist's notation; None:
    the scene's own range. Returns the Transfer. Raises RuntimeError (bpy), OSError or a native error."""
    source = os.path.abspath(bpy.data.filepath)
    folder = session.private_folder()
    try:
        copy = os.path.join(folder, os.path.basename(source))
        bpy.ops.wm.save_as_mainfile(filepath=copy, copy=True, relative_remap=False, compress=False)
        handle = call(request(scene, source, copy, frames, send_anyway))
    except BaseException:
        session.remove_folder(folder)
        raise
    session.forget_report()
    transfer = session.Transfer(handle, label, folder, on_end)
    session.transfers.append(transfer)
    return transfer


def unsaved_images():
    """Painted images that are in no file yet: the copy has them as they were."""
    return [i.name for i in bpy.data.images if i.is_dirty and i.source != "VIEWER" and i.library is None]


def request(scene, source, copy, frames, send_anyway):
    """What native Client.submit and Client.check take."""
    wanted = scene.netrender.job
    return {
        "name": wanted.name.strip() or os.path.splitext(os.path.basename(source))[0],
        "blend": copy,
        "source": source,
        "program": services.this_blender(),
        "scene": scene.name,
        "engine": settings.engine_of(scene),
        "frames": frames,
        "category": wanted.category.strip(),
        "priority": wanted.priority,
        "chunk": wanted.chunk,
        "tags": settings.tags(wanted.tags),
        "split": wanted.split.lower(),
        "unsaved_images": unsaved_images(),
        "send_anyway": send_anyway,
    }
