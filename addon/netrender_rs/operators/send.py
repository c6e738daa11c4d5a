# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the open scene to the farm. Here only a copy of it is saved, which is the one thing that needs this Blender and
takes it time; listing the scene's files, reading and sending them is done elsewhere while the artist goes on working.
"""

import os

import bpy
from bpy.props import BoolProperty

from .. import services, session, settings
from ..trace.netrender_trace_scene import has_camera
from .farm import client_of
from .waiting import Waiting


class Look(Waiting):
    """Hands a copy of the scene to the engine room, which looks at its files."""

    label = ""

    def frames(self, scene):
        """In the artist's notation; None: the scene's own range."""
        return scene.netrender.job.frames.strip() or None

    @classmethod
    def obstacle(cls, _context):
        if not bpy.data.filepath:
            return "Save the .blend file first: the farm needs its place to find textures and libraries"
        if any(t.label in (Send.label, NETRENDER_OT_check_files.label) for t in session.transfers):
            return "A job is being sent or checked already"
        return ""

    def hand_over(self, context, begin, send_anyway=False, on_end=None):
        """`begin(client)` takes the request and gives a native Transfer."""
        scene = context.scene
        client = client_of(context)
        source = os.path.abspath(bpy.data.filepath)
        folder = session.private_folder()
        try:
            copy = os.path.join(folder, os.path.basename(source))
            bpy.ops.wm.save_as_mainfile(filepath=copy, copy=True, relative_remap=False, compress=False)
            handle = begin(client)(request(scene, source, copy, self.frames(scene), send_anyway))
        except BaseException:
            session.remove_folder(folder)
            raise
        session.forget_report()
        transfer = session.Transfer(handle, self.label, folder, on_end)
        session.transfers.append(transfer)
        return transfer


class Send(Look):
    send_anyway: BoolProperty(
        name="Send Anyway",
        description="Send although files are missing or something else would go wrong",
        options={"SKIP_SAVE"},
    )

    label = "Sending"

    def begin(self, context):
        scene = context.scene
        if scene.frame_start > scene.frame_end:
            raise ValueError(
                f"The frame range {scene.frame_start} to {scene.frame_end} is empty. Set it in Output > Frame Range"
            )
        if not has_camera(scene):
            raise ValueError(f"Scene '{scene.name}' has no camera to render from. Add one")
        if scene.netrender.job.save_before_send:
            bpy.ops.wm.save_mainfile()
        return self.hand_over(context, lambda client: client.submit, self.send_anyway, session.remember_job)

    def finish(self, _context, work):
        self.report({"INFO"}, f"Job sent: number {work.snapshot['job']}")


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


class NETRENDER_OT_send_job(Send, bpy.types.Operator):
    """Send the scene's frames to the farm with every file it needs. ESC stops sending"""

    bl_idname = "netrender.send_job"
    bl_label = "Send Job"


class NETRENDER_OT_send_frame(Send, bpy.types.Operator):
    """Send the current frame to the farm with every file it needs. ESC stops sending"""

    bl_idname = "netrender.send_frame"
    bl_label = "Send Current Frame"

    def frames(self, scene):
        return str(scene.frame_current)


class NETRENDER_OT_check_files(Look, bpy.types.Operator):
    """List every file the scene needs and what would go wrong, without sending anything"""

    bl_idname = "netrender.check_files"
    bl_label = "Check Files"

    label = "Checking Files"

    def begin(self, context):
        return self.hand_over(context, lambda client: client.check, on_end=session.remember_check)

    def finish(self, _context, work):
        report = work.snapshot["report"]
        count = report["problem_count"]
        words = "nothing is missing" if not count else f"{count} problem{'s' if count > 1 else ''}"
        self.report({"WARNING" if count else "INFO"}, f"{report['files']} files, {words}")


CLASSES = (NETRENDER_OT_send_job, NETRENDER_OT_send_frame, NETRENDER_OT_check_files)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
