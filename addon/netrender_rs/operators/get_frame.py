# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching a finished frame to look at it."""

import functools
import os

import bpy
from bpy.props import IntProperty, StringProperty

from ..languages import rpt_
from ..runtime import session
from .base import Waiting
from .jobs import JobCommand, client_for, job_obstacle, number_of_job


class NETRENDER_OT_get_frame(Waiting, bpy.types.Operator):
    """Download a finished frame as multilayer EXR and show it in an Image Editor"""

    bl_idname = "netrender.get_frame"
    bl_label = "Get Frame"

    job: JobCommand.__annotations__["job"]
    frame: IntProperty(
        name="Frame", description="Frame number. Not given: the scene's current frame", options={"SKIP_SAVE"}
    )
    directory: StringProperty(
        name="Directory",
        description="Where to keep the file. Not given: a folder that goes when Blender quits",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    _number = 0

    @classmethod
    def obstacle(cls, context):
        return job_obstacle(
            context,
            lambda row: "" if row.done else rpt_("No frame of job {} is finished yet").format(row.number),
        )

    def begin(self, context):
        number = self._number = number_of_job(self.job, context)
        frame = self.frame if self.properties.is_property_set("frame") else context.scene.frame_current
        client = client_for(context)
        if self.directory:
            folder = os.path.abspath(bpy.path.abspath(self.directory))
            os.makedirs(folder, exist_ok=True)
        else:
            folder = session.passing_folder(session.shown_farm(context), number)
        return session.transfers.start(client.fetch(number, str(frame), "exr", folder), "Getting Frame")

    def finish(self, context, work):
        files = work.snapshot["files"]
        if not files:
            raise ValueError(rpt_("This frame is not finished yet"))
        image = bpy.data.images.load(files[0], check_existing=True)
        image.reload()  # a frame that was rendered again lies at the same place
        session.remember_frame(session.shown_farm(context), self._number, files[0])
        if not bpy.app.background:
            # Later: a window that opens while a modal operator handles its event makes Blender free
            # the operator.
            bpy.app.timers.register(functools.partial(show, image.name), first_interval=0.0)
        self.report({"INFO"}, rpt_("Frame picked up: {}").format(os.path.basename(files[0])))


def show(name: str) -> None:
    """Shows an image in an Image Editor that is there, else in a new window, as Blender does with
    its own renders.
    """
    image = bpy.data.images.get(name)
    if image is None:  # another file was opened meanwhile
        return
    windows = bpy.context.window_manager.windows
    for window in windows:
        for area in window.screen.areas:
            if area.ui_type == "IMAGE_EDITOR":
                area.spaces.active.image = image
                area.tag_redraw()
                return
    with bpy.context.temp_override(window=windows[0], area=windows[0].screen.areas[0]):
        bpy.ops.wm.window_new()
    area = windows[-1].screen.areas[0]
    area.ui_type = "IMAGE_EDITOR"
    area.spaces.active.image = image


CLASSES = (NETRENDER_OT_get_frame,)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
