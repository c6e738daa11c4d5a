# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's jobs, and what can be done to the selected one."""

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from ..operators.farm import NETRENDER_OT_cancel_job
from ..operators.pick_up import NETRENDER_OT_get_frame
from .drawing import RenderPanel, draw_words, farm_shown

JOB_ICONS = {
    "Queued": "SORTTIME",
    "Rendering": "RENDER_ANIMATION",
    "Paused": "PAUSE",
    "Finished": "CHECKMARK",
    "Failed": "ERROR",
    "Canceled": "CANCEL",
}


class NETRENDER_UL_jobs(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        row = layout.row(align=True)
        row.label(text=f"{item.number}  {item.name}", icon=JOB_ICONS.get(item.status, "DOT"), translate=False)
        right = row.row()
        right.alignment = "RIGHT"
        right.label(text=f"{iface_(item.status)}  {item.done}/{item.total}", translate=False)


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
        row = layout.row()
        row.template_list("NETRENDER_UL_jobs", "", farm, "jobs", farm, "job_index", rows=4)
        job = farm.selected_job()
        if job is None:
            return
        if context.scene.netrender.mode == "CLIENT":
            column = row.column(align=True)
            column.operator(NETRENDER_OT_get_frame.bl_idname, text="", icon="IMPORT").job = job.number
            sub = column.column(align=True)
            sub.enabled = job.state in ("active", "paused")
            sub.operator(NETRENDER_OT_cancel_job.bl_idname, text="", icon="X").job = job.number
        draw_words(layout, context, job_words(job), "BLANK1")


def job_words(job):
    words = [iface_("Frames {}: {} of {} done").format(job.frames, job.done, job.total)]
    if job.rendering:
        words.append(iface_("{} rendering").format(job.rendering))
    if job.failed:
        words.append(iface_("{} failed").format(job.failed))
    line = ", ".join(words)
    return f"{line}. {job.why}" if job.why else line


CLASSES = (NETRENDER_UL_jobs, RENDER_PT_netrender_jobs)
