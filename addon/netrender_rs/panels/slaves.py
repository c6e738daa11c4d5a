# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's slaves, and what can be done to the selected one."""

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from .. import closer, session
from ..operators.slaves import (
    NETRENDER_OT_blacklist_slave,
    NETRENDER_OT_pause_slave,
    NETRENDER_OT_resume_slave,
    NETRENDER_OT_unblacklist_slave,
)
from ..words import speed
from .drawing import RenderPanel, draw_small_bar, draw_words, farm_shown


class NETRENDER_UL_slaves(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        split = layout.split(factor=0.36)
        split.active = item.state == "ready"
        split.label(text=item.name, icon=slave_icon(item), translate=False)
        split = split.split(factor=0.7)
        if item.job:
            text = iface_("Job {}, frame {}").format(item.job, item.frame)
            draw_small_bar(split, session.share_done(item.progress), text)
        else:
            split.label(text=iface_(item.status), translate=False)
        split.label(text=item.blender, translate=False)


def slave_icon(slave):
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
        farm = farm_shown(context)
        if not farm.slaves:
            layout.label(text="No slaves yet: start one on a spare machine", icon="INFO")
            return
        closer.want(farm.is_master)
        layout.context_pointer_set("netrender_farm", farm)
        row = layout.row()
        row.template_list("NETRENDER_UL_slaves", "", farm, "slaves", farm, "slave_index", rows=3)
        slave = farm.selected_slave()
        if slave is None:
            return
        job = farm.selected_job()
        seen = closer.glance(farm.mirror(), job.number) if job is not None else None
        draw_buttons(row.column(align=True), slave, job, seen)
        for line in slave_lines(slave, seen):
            draw_words(layout, context, line, "BLANK1")


def draw_buttons(column, slave, job, seen):
    kind = NETRENDER_OT_resume_slave if slave.paused else NETRENDER_OT_pause_slave
    column.operator(kind.bl_idname, text="", icon="PLAY" if slave.paused else "PAUSE").slave = slave.number
    is_listed = seen is not None and slave.number in seen["blacklist"]
    kind = NETRENDER_OT_unblacklist_slave if is_listed else NETRENDER_OT_blacklist_slave
    button = column.operator(kind.bl_idname, text="", icon="ADD" if is_listed else "REMOVE")
    button.slave = slave.number
    button.job = job.number if job is not None else 0


def slave_lines(slave, seen):
    """What there is to say of a slave; `seen`: the selected job, looked at closely."""
    lines = [f"{iface_(slave.status)}. {slave.progress}" if slave.progress else iface_(slave.status)]
    lines.append(iface_("Blender {}, {} threads, {}").format(slave.blender, slave.threads, slave.engines))
    if seen is not None:
        for one in seen["speeds"]:
            if one["slave"] == slave.number:
                lines.append(
                    iface_("{} in job {}").format(speed(one["kilosamples_per_s"], seen["unit"]), seen["id"])
                )
        if slave.number in seen["blacklist"]:
            lines.append(iface_("Kept from job {}").format(seen["id"]))
    return lines


CLASSES = (NETRENDER_UL_slaves, RENDER_PT_netrender_slaves)
