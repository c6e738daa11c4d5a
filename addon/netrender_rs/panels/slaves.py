# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's slaves, with the buttons for the selected one."""

from typing import TYPE_CHECKING

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from ..format import fraction_of, speed
from ..operators.slaves import (
    NETRENDER_OT_blacklist_slave,
    NETRENDER_OT_pause_slave,
    NETRENDER_OT_resume_slave,
    NETRENDER_OT_unblacklist_slave,
)
from ..props.farm_rows import NETRENDER_PG_job_row, NETRENDER_PG_slave_row
from ..runtime import session
from .drawing import RenderPanel, draw_small_bar, draw_words

if TYPE_CHECKING:
    from netrender_native import JobSummary


class NETRENDER_UL_slaves(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        split = layout.split(factor=0.36)
        split.active = item.state == "ready"
        split.label(text=item.name, icon=slave_icon(item), translate=False)
        split = split.split(factor=0.7)
        if item.job:
            text = iface_("Job {}, frame {}").format(item.job, item.frame)
            draw_small_bar(split, fraction_of(item.progress), text)
        else:
            split.label(text=iface_(item.status), translate=False)
        split.label(text=item.blender, translate=False)


def slave_icon(slave: NETRENDER_PG_slave_row) -> str:
    if slave.state != "ready":
        return "UNLINKED"
    if slave.paused:
        return "PAUSE"
    if slave.draining:
        return "SNAP_FACE"
    return "RENDER_STILL" if slave.job else "DESKTOP"


class RENDER_PT_netrender_slaves(RenderPanel, Panel):
    bl_label = "Slaves"
    bl_parent_id = "RENDER_PT_netrender"
    modes = {"CLIENT", "MASTER"}

    def draw(self, context):
        layout = self.layout
        farm = context.window_manager.netrender.shown_rows(context.scene)
        if not farm.slaves:
            layout.label(text="No slaves yet: start one on a spare machine", icon="INFO")
            return
        session.details.want(session.farm_of(farm))
        layout.context_pointer_set("netrender_farm", farm)
        row = layout.row()
        row.template_list("NETRENDER_UL_slaves", "", farm, "slaves", farm, "slave_index", rows=3)
        slave = farm.selected_slave()
        if slave is None:
            return
        job = farm.selected_job()
        details = session.details.of(session.farm_of(farm), job.number) if job is not None else None
        draw_buttons(row.column(align=True), slave, job, details)
        for line in slave_lines(slave, details):
            draw_words(layout, context, line, "BLANK1")


def draw_buttons(
    column, slave: NETRENDER_PG_slave_row, job: NETRENDER_PG_job_row | None, details: "JobSummary | None"
) -> None:
    kind = NETRENDER_OT_resume_slave if slave.paused else NETRENDER_OT_pause_slave
    column.operator(kind.bl_idname, text="", icon="PLAY" if slave.paused else "PAUSE").slave = slave.number
    is_listed = details is not None and slave.number in details["blacklist"]
    kind = NETRENDER_OT_unblacklist_slave if is_listed else NETRENDER_OT_blacklist_slave
    button = column.operator(kind.bl_idname, text="", icon="ADD" if is_listed else "REMOVE")
    button.slave = slave.number
    button.job = job.number if job is not None else 0


def slave_lines(slave: NETRENDER_PG_slave_row, details: "JobSummary | None") -> list[str]:
    """Facts about a slave, some of them about it in the selected job, whose `details` these are."""
    lines = [f"{iface_(slave.status)}. {slave.progress}" if slave.progress else iface_(slave.status)]
    lines.append(iface_("Blender {}, {} threads, {}").format(slave.blender, slave.threads, slave.engines))
    if details is not None:
        for one in details["speeds"]:
            if one["slave"] == slave.number:
                lines.append(
                    iface_("{} in job {}").format(
                        speed(one["kilosamples_per_s"], details["unit"]), details["id"]
                    )
                )
        if slave.number in details["blacklist"]:
            lines.append(iface_("Kept from job {}").format(details["id"]))
    return lines


CLASSES = (NETRENDER_UL_slaves, RENDER_PT_netrender_slaves)
