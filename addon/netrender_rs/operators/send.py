# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending the open scene to the farm, and checking its files alone."""

import bpy
from bpy.props import BoolProperty

from .. import submission
from ..languages import rpt_
from ..runtime import session
from .base import Waiting


class Look(Waiting):
    """Hands a copy of the scene to the compiled module, which looks at its files."""

    label = ""

    def frames(self, scene) -> str | None:
        """Frames in the artist's notation; None: the scene's own range."""
        return scene.netrender.job.frames.strip() or None

    @classmethod
    def obstacle(cls, _context):
        if any(t.label in (Send.label, NETRENDER_OT_check_files.label) for t in session.transfers.running):
            return rpt_("A job is being sent or checked already")
        return submission.obstacle()


class Send(Look):
    send_anyway: BoolProperty(
        name="Send Anyway",
        description="Send although files are missing or something else would go wrong",
        options={"SKIP_SAVE"},
    )

    label = "Sending"

    def begin(self, context):
        scene = context.scene
        submission.check(scene)
        if scene.netrender.job.save_before_send:
            bpy.ops.wm.save_mainfile()
        submit = submission.client_for(scene).submit
        frames = self.frames(scene)
        return submission.hand_over(
            scene, submit, self.label, frames, self.send_anyway, session.end_submission
        )

    def finish(self, _context, work):
        job, report = work.snapshot["job"], work.snapshot["report"]
        self.report({"INFO"}, rpt_("Job sent: number {}").format(job))
        if report and report["verdict"] != "ok":
            words = rpt_("Frames of job {} may differ from those that this Blender renders, see Files")
            self.report({"WARNING"}, words.format(job))


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
        scene = context.scene
        check = submission.client_for(scene).check
        return submission.hand_over(scene, check, self.label, self.frames(scene), on_end=session.end_check)

    def finish(self, _context, work):
        report = work.snapshot["report"]
        count = report["problem_count"]
        may_differ = report["verdict"] == "may_differ"
        if may_differ:
            words = rpt_("{} files; frames may differ from those that this Blender renders, see Files")
        elif not count:
            words = rpt_("{} files, nothing is missing")
        else:
            words = rpt_("{} files, 1 problem") if count == 1 else rpt_("{} files, {} problems")
        self.report({"WARNING" if count or may_differ else "INFO"}, words.format(report["files"], count))


CLASSES = (NETRENDER_OT_send_job, NETRENDER_OT_send_frame, NETRENDER_OT_check_files)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
