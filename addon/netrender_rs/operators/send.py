# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the open scene to the farm: look for what would go wrong, copy, trace, hand over."""

import os

import bpy
from bpy.props import BoolProperty

from .. import session, settings, trace
from .farm import client_of
from .waiting import Waiting

SHOWN = 3  # missing things named in a message; a longer list helps nobody in the status bar


class Send(Waiting):
    send_anyway: BoolProperty(
        name="Send Anyway",
        description="Send even if files are missing or painted images are not saved",
        options={"SKIP_SAVE"},
    )

    def frames(self, scene, described):
        raise NotImplementedError

    @classmethod
    def obstacle(cls, _context):
        if not bpy.data.filepath:
            return "Save the .blend file first: the farm needs its place to find textures and libraries"
        if any(t.label == Send.label for t in session.transfers):
            return "A job is being sent already"
        return ""

    label = "Sending"

    def begin(self, context):
        scene = context.scene
        wanted = scene.netrender.job
        if scene.frame_start > scene.frame_end:
            raise ValueError(
                f"The frame range {scene.frame_start} to {scene.frame_end} is empty. Set it in Output > Frame Range"
            )
        described = trace.describe(scene)
        if not described["has_camera"]:
            raise ValueError(f"Scene '{scene.name}' has no camera to render from. Add one")
        if not (self.send_anyway or wanted.send_anyway):
            refuse_incomplete(described)
        if wanted.save_before_send:
            bpy.ops.wm.save_mainfile()
        client = client_of(context)
        folder = session.private_folder()
        try:
            copy = os.path.join(folder, os.path.basename(described["source"]))
            bpy.ops.wm.save_as_mainfile(filepath=copy, copy=True, relative_remap=False, compress=False)
            handle = client.submit(request(scene, described, copy, self.frames(scene, described)))
        except BaseException:
            session.remove_folder(folder)
            raise
        transfer = session.Transfer(handle, Send.label, folder, session.remember_job)
        session.transfers.append(transfer)
        return transfer

    def finish(self, _context, work):
        self.report({"INFO"}, f"Job sent: number {work.snapshot['job']}")


def refuse_incomplete(described):
    """Raises ValueError naming what the slaves would miss."""
    unsaved = described["unsaved_images"]
    if unsaved:
        raise ValueError(
            f"Painted images are not saved: {first_of(unsaved)}. "
            "Save them with Image > Save All Images, or turn on Send with Missing Files"
        )
    missing = [f"{m['path']} (used by {m['user']})" for m in described["missing"]]
    if missing:
        raise ValueError(
            f"{len(missing)} missing: {first_of(missing)}. "
            "Find them with File > External Data > Find Missing Files, or turn on Send with Missing Files"
        )


def first_of(names):
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def request(scene, described, copy, frames):
    """What native Client.submit takes."""
    wanted = scene.netrender.job
    return {
        "name": wanted.name.strip() or os.path.splitext(os.path.basename(described["source"]))[0],
        "blend": copy,
        "source": described["source"],
        "files": described["files"],
        "scene": described["scene"],
        "engine": settings.engine_of(scene),
        "frames": frames,
        "width": described["width"],
        "height": described["height"],
        "blender": described["blender"],
        "category": wanted.category.strip(),
        "priority": wanted.priority,
        "chunk": wanted.chunk,
        "tags": settings.tags(wanted.tags),
        "split": "off",
    }


class NETRENDER_OT_send_job(Send, bpy.types.Operator):
    """Send the scene's frame range to the farm with every file it needs. ESC stops sending"""

    bl_idname = "netrender.send_job"
    bl_label = "Send Job"

    def frames(self, _scene, described):
        return described["frames"]


class NETRENDER_OT_send_frame(Send, bpy.types.Operator):
    """Send the current frame to the farm with every file it needs. ESC stops sending"""

    bl_idname = "netrender.send_frame"
    bl_label = "Send Current Frame"

    def frames(self, scene, _described):
        return str(scene.frame_current)


CLASSES = (NETRENDER_OT_send_job, NETRENDER_OT_send_frame)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
