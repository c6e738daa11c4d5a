# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's slaves, and what the selected one is."""

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from .drawing import RenderPanel, draw_words, farm_shown


class NETRENDER_UL_slaves(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        row = layout.row(align=True)
        row.active = item.state == "ready"
        row.label(text=item.name, icon="DESKTOP" if item.state == "ready" else "UNLINKED", translate=False)
        right = row.row()
        right.alignment = "RIGHT"
        doing = iface_("Job {}, frame {}").format(item.job, item.frame) if item.job else iface_(item.status)
        right.label(text=doing, translate=False)


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
        layout.template_list("NETRENDER_UL_slaves", "", farm, "slaves", farm, "slave_index", rows=3)
        slave = farm.slaves[min(farm.slave_index, len(farm.slaves) - 1)]
        words = iface_("Blender {}, {} threads, {}").format(slave.blender, slave.threads, slave.engines)
        if slave.progress:
            words = f"{slave.progress}. {words}"
        draw_words(layout, context, words, "BLANK1")


CLASSES = (NETRENDER_UL_slaves, RENDER_PT_netrender_slaves)
