# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's jobs, with the buttons for the selected one."""

from typing import TYPE_CHECKING

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from ..farm_lists import FarmLists
from ..format import duration
from ..operators.animation import NETRENDER_OT_get_animation, NETRENDER_OT_get_jpegs
from ..operators.get_frame import NETRENDER_OT_get_frame
from ..operators.jobs import (
    NETRENDER_OT_cancel_all,
    NETRENDER_OT_cancel_job,
    NETRENDER_OT_delete_job,
    NETRENDER_OT_open_folder,
    NETRENDER_OT_pause_job,
    NETRENDER_OT_requeue_job,
    NETRENDER_OT_resume_job,
)
from ..props.farm_rows import NETRENDER_PG_farm, NETRENDER_PG_job_row
from ..runtime import session
from .drawing import RenderPanel, draw_small_bar, draw_words

if TYPE_CHECKING:
    from netrender_native import Finding, FrameError

JOB_ICONS = {
    "Queued": "SORTTIME",
    "Baking": "PHYSICS",
    "Rendering": "RENDER_ANIMATION",
    "Paused": "PAUSE",
    "Finished": "CHECKMARK",
    "Failed": "ERROR",
    "Canceled": "CANCEL",
}
PICTURE_SCALE = 5.0
MAX_ERROR = 300  # characters
MAX_WARNINGS = 3


class NETRENDER_UL_jobs(UIList):
    def draw_item(self, _context, layout, data, item, _icon, _active_data, _active_property):
        split = layout.split(factor=0.5)
        name = split.row(align=True)
        name.label(text="", icon=JOB_ICONS.get(item.status, "DOT"))
        picture = session.thumbnails.icon(data.is_master, item.number) if item.done else 0
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
        farm = context.window_manager.netrender.shown_rows(context.scene)
        if not farm.jobs:
            client = context.scene.netrender.mode == "CLIENT"
            layout.label(text="No jobs yet: press Send Job" if client else "No jobs yet", icon="INFO")
            return
        session.details.want(session.farm_of(farm))
        layout.context_pointer_set("netrender_farm", farm)
        row = layout.row()
        # The newest at the top.
        row.template_list("NETRENDER_UL_jobs", "", farm, "jobs", farm, "job_index", rows=7, sort_reverse=True)
        job = farm.selected_job()
        if job is None:
            return
        draw_buttons(row.column(align=True), job)
        draw_details(layout, context, farm, job)


def draw_buttons(column, job: NETRENDER_PG_job_row) -> None:
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


def draw_details(layout, context, farm: NETRENDER_PG_farm, job: NETRENDER_PG_job_row) -> None:
    picture = session.thumbnails.icon(farm.is_master, job.number) if job.done else 0
    if picture:
        layout.template_icon(icon_value=picture, scale=PICTURE_SCALE)
    draw_words(layout, context, job_words(job), "BLANK1")
    details = session.details.of(session.farm_of(farm), job.number)
    if details is not None and details["errors"]:
        draw_words(layout, context, error_words(details["errors"][0], farm.lists()), "ERROR")
    if details is not None and details["warnings"]:
        draw_warnings(layout, context, details["warnings"])
    if not farm.is_master:
        row = layout.row(align=True)
        row.operator(NETRENDER_OT_get_animation.bl_idname, icon="RENDER_RESULT").job = job.number
        row.operator(NETRENDER_OT_get_jpegs.bl_idname, icon="IMAGE_DATA").job = job.number
    row = layout.row()
    row.prop(farm, "priority", slider=True)
    row.operator(NETRENDER_OT_cancel_all.bl_idname, text="Cancel All", icon="CANCEL")


def draw_warnings(layout, context, warnings: "list[Finding]") -> None:
    """Says why the job's frames may differ from those that the artist's Blender renders."""
    draw_words(
        layout, context, iface_("Frames may differ from those that the artist's Blender renders:"), "QUESTION"
    )
    for warning in warnings[:MAX_WARNINGS]:
        words = ": ".join(words for words in (warning["where"], warning["message"]) if words)
        draw_words(layout, context, words[:MAX_ERROR], "BLANK1")
    if len(warnings) > MAX_WARNINGS:
        words = iface_("and {} more, see the monitor").format(len(warnings) - MAX_WARNINGS)
        draw_words(layout, context, words, "BLANK1")


def job_words(job: NETRENDER_PG_job_row) -> str:
    words = [iface_("Frames {}: {} of {} done").format(job.frames, job.done, job.total)]
    if job.rendering:
        words.append(iface_("{} rendering").format(job.rendering))
    if job.failed:
        words.append(iface_("{} failed").format(job.failed))
    if job.seconds_left >= 0 and job.state == "active":
        words.append(iface_("{} left").format(duration(job.seconds_left)))
    line = f"{iface_(job.status)}. {', '.join(words)}"
    return f"{line}. {job.why}" if job.why else line


def error_words(error: "FrameError", lists: FarmLists) -> str:
    """The first line of an error: Blender's own last lines follow it, which are for the log."""
    first = error["message"].strip().split("\n", 1)[0][:MAX_ERROR]
    slave = lists.slaves.get(error["slave"] or 0)
    if slave is None:
        return iface_("Frame {}: {}").format(error["frame"], first)
    return iface_("Frame {} on {}: {}").format(error["frame"], slave["name"], first)


CLASSES = (NETRENDER_UL_jobs, RENDER_PT_netrender_jobs)
