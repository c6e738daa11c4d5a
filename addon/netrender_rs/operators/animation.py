# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a job played through Blender's own render: shown in its window, composited, written
where and as the scene says. And fetching them as JPEGs.
"""

import os

import bpy
from bpy.props import IntProperty, StringProperty

from .. import native, submission, whole_picture
from ..farm_render import FarmRender, runs
from ..languages import rpt_
from ..playback import play
from ..props import effective
from ..runtime import Background, session
from .base import Waiting
from .send import Send


def obstacle(scene: bpy.types.Scene) -> str:
    """Reason why nothing can be played now; "" when it can."""
    if bpy.app.is_job_running("RENDER"):
        return rpt_("Blender is rendering")
    return whole_picture.obstacle(scene)


class Plays(Waiting):
    """Plays frames when the work before that is done. A script waits for the end of all of it."""

    _is_script = True

    def invoke(self, context, event):
        self._is_script = False
        return super().invoke(context, event)

    def play(self, context, render: FarmRender) -> None:
        scene = context.scene
        if scene.render.is_movie_format and len(runs(render.frames)) > 1:
            render.end()
            raise ValueError(
                rpt_(
                    "These frames have gaps and cannot go into one movie. Choose an image format in "
                    "Output > File Format"
                )
            )
        play(render, scene, self._is_script, say_problem)
        if self._is_script and render.problem:
            raise ValueError(render.problem)


def say_problem(render: FarmRender) -> None:
    """Says in the panel what did not come; what came is seen in the render window."""
    if render.problem and not render.is_canceled:
        session.notices.say(render.problem)


class NETRENDER_OT_animate(Plays, Send, bpy.types.Operator):
    bl_idname = "netrender.animate"
    bl_label = "Animation on Network"
    bl_description = (
        "Send the scene's frames and show each as it comes, then compose and write it as the scene says. "
        "ESC in the render window cancels the job"
    )

    @classmethod
    def obstacle(cls, context):
        return super().obstacle(context) or obstacle(context.scene)

    def finish(self, context, work):
        scene = context.scene
        given = scene.netrender.job.frames.strip()
        frames = native.module().frames(given) if given else None
        frames = frames or list(range(scene.frame_start, scene.frame_end + 1, scene.frame_step))
        self.play(context, FarmRender(scene, effective.engine_of(scene), frames, work.snapshot["job"]))


class NETRENDER_OT_get_animation(Plays, bpy.types.Operator):
    bl_idname = "netrender.get_animation"
    bl_label = "Get Animation"
    bl_description = (
        "Get every finished frame, compose it, and write it to the output path in the scene's format. Overwrite and "
        "Placeholders in Output Properties are respected, so that what broke off can be continued"
    )

    job: IntProperty(
        name="Job",
        description="Number of the job. Not given: the job sent last",
        min=0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def obstacle(cls, context):
        return obstacle(context.scene)

    def begin(self, context):
        number = self.job or session.sent_jobs.last
        if not number:
            raise ValueError(rpt_("No job was sent from this Blender yet. Give the number of the job to get"))
        return Background(submission.client_for(context.scene).job, number)

    def finish(self, context, work):
        detail = work.result
        frames = [task["frame"] for task in detail["tasks"] if task["state"] == "done"]
        if not frames:
            raise ValueError(rpt_("No frame of job {} is finished yet").format(detail["id"]))
        scene = context.scene
        self.play(
            context,
            FarmRender(scene, detail["spec"]["engine"], frames, detail["id"], is_own=False),
        )


class NETRENDER_OT_get_jpegs(Waiting, bpy.types.Operator):
    """Download the finished frames as JPEGs, which is quick: nothing else is moved"""

    bl_idname = "netrender.get_jpegs"
    bl_label = "Get JPEGs"

    job: IntProperty(
        name="Job",
        description="Number of the job. Not given: the job sent last",
        min=0,
        options={"SKIP_SAVE"},
    )
    directory: StringProperty(
        name="Directory",
        description="Where they go. Not given: a folder for the job beside the scene's output",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    def begin(self, context):
        number = self.job or session.sent_jobs.last
        if not number:
            raise ValueError(rpt_("No job was sent from this Blender yet. Give the number of the job to get"))
        output = os.path.dirname(os.path.abspath(bpy.path.abspath(context.scene.render.filepath)))
        folder = os.path.abspath(bpy.path.abspath(self.directory)) if self.directory else ""
        folder = folder or os.path.join(output, f"job_{number}_jpeg")
        client = submission.client_for(context.scene)
        return session.transfers.start(client.fetch(number, "", "jpg", folder), "Getting JPEGs")

    def finish(self, _context, work):
        files = work.snapshot["files"]
        self.report({"INFO"}, rpt_("{} JPEGs in {}").format(len(files), os.path.dirname(files[0])))


CLASSES = (NETRENDER_OT_animate, NETRENDER_OT_get_animation, NETRENDER_OT_get_jpegs)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
