# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's jobs, and what can be done to the selected one."""

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from .. import closer, thumbs
from ..operators.animation import NETRENDER_OT_get_animation, NETRENDER_OT_get_jpegs
from ..operators.jobs import (
    NETRENDER_OT_cancel_all,
    NETRENDER_OT_cancel_job,
    NETRENDER_OT_delete_job,
    NETRENDER_OT_open_folder,
    NETRENDER_OT_pause_job,
    NETRENDER_OT_requeue_job,
    NETRENDER_OT_resume_job,
)
from ..operators.pick_up import NETRENDER_OT_get_frame
from ..words import duration
from .drawing import RenderPanel, draw_small_bar, draw_words, farm_shown

JOB_ICONS = {
    "Queued": "SORTTIME",
    "Rendering": "RENDER_ANIMATION",
    "Paused": "PAUSE",
    "Finished": "CHECKMARK",
    "Failed": "ERROR",
    "Canceled": "CANCEL",
}
PICTURE_SCALE = 5.0
MAX_ERROR = 300  # characters


class NETRENDER_UL_jobs(UIList):
    def draw_item(self, _context, layout, data, item, _icon, _active_data, _active_property):
        split = layout.split(factor=0.5)
        name = split.row(align=True)
        name.label(text="", icon=JOB_ICONS.get(item.status, "DOT"))
        picture = thumbs.icon(data.is_master, item.number) if item.done else 0
        if picture:
            name.label(text="", icon_value=picture)
        name.label(text=f"{item.number}  {item.name}", translate=False)
        split = split.split(factor=0.6)
        draw_small_bar(split, item.done / max(1, item.total), f"{item.done}/{item.total}")
        right = split.row(align=True)
        right.label(text=str(item.priority), icon="SORT_ASC", translate=False)
        if item.failed:
            right.label(text=str(item.failed), icon="ERROR", translate=False)


class RENDER_PT_netrender_jobs(RenderPanel, Panel):
    bl_label = "Jobs"
    bl_parent_id = "RENDER_PT_netrender"
    modes = {"CLIENT", "MASTER"}

    def draw(self, context):
        layout = self.layout
        farm = farm_shown(context)
        if not farm.jobs:
            client = context.scene.netrender.mode == "CLIENT"
            layout.label(text="No jobs yet: press Send Job" if client else "No jobs yet", icon="INFO")
            return
        closer.want(farm.is_master)
        layout.context_pointer_set("netrender_farm", farm)
        row = layout.row()
        # The newest at the top.
        row.template_list("NETRENDER_UL_jobs", "", farm, "jobs", farm, "job_index", rows=7, sort_reverse=True)
        job = farm.selected_job()
        if job is None:
            return
        draw_buttons(row.column(align=True), job)
        draw_details(layout, context, farm, job)


def draw_buttons(column, job):
    column.operator(NETRENDER_OT_get_frame.bl_idname, text="", icon="IMPORT").job = job.number
    column.operator(NETRENDER_OT_open_folder.bl_idname, text="", icon="FILE_FOLDER").job = job.number
    column.separator()
    if job.state == "paused":
        column.operator(NETRENDER_OT_resume_job.bl_idname, text="", icon="PLAY").job = job.number
    else:
        column.operator(NETRENDER_OT_pause_job.bl_idname, text="", icon="PAUSE").job = job.number
    column.operator(NETRENDER_OT_requeue_job.bl_idname, text="", icon="FILE_REFRESH").job = job.number
    column.operator(NETRENDER_OT_cancel_job.bl_idname, text="", icon="X").job = job.number
    column.separator()
    column.operator(NETRENDER_OT_delete_job.bl_idname, text="", icon="TRASH").job = job.number


def draw_details(layout, context, farm, job):
    picture = thumbs.icon(farm.is_master, job.number) if job.done else 0
    if picture:
        layout.template_icon(icon_value=picture, scale=PICTURE_SCALE)
    draw_words(layout, context, job_words(job), "BLANK1")
    seen = closer.glance(farm.mirror(), job.number)
    if seen is not None and seen["errors"]:
        draw_words(layout, context, error_words(seen["errors"][0], farm.mirror()), "ERROR")
    if not farm.is_master:
        row = layout.row(align=True)
        row.operator(NETRENDER_OT_get_animation.bl_idname, icon="RENDER_RESULT").job = job.number
        row.operator(NETRENDER_OT_get_jpegs.bl_idname, icon="IMAGE_DATA").job = job.number
    row = layout.row()
    row.prop(farm, "priority", slider=True)
    row.operator(NETRENDER_OT_cancel_all.bl_idname, text="Cancel All", icon="CANCEL")


def job_words(job):
    words = [iface_("Frames {}: {} of {} done").format(job.frames, job.done, job.total)]
    if job.rendering:
        words.append(iface_("{} rendering").format(job.rendering))
    if job.failed:
        words.append(iface_("{} failed").format(job.failed))
    if job.seconds_left >= 0 and job.state == "active":
        words.append(iface_("{} left").format(duration(job.seconds_left)))
    line = f"{iface_(job.status)}. {', '.join(words)}"
    return f"{line}. {job.why}" if job.why else line


def error_words(error, mirror):
    """Ends with Blender's own last lines, which are for the log."""
    first = error["message"].strip().split("\n", 1)[0][:MAX_ERROR]
    slave = mirror.slaves.get(error["slave"])
    if slave is None:
        return iface_("Frame {}: {}").format(error["frame"], first)
    return iface_("Frame {} on {}: {}").format(error["frame"], slave["name"], first)


CLASSES = (NETRENDER_UL_jobs, RENDER_PT_netrender_jobs)
