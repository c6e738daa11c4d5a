# SPDX-License-Identifier: GPL-3.0-or-later
"""The files sent with the scene: the missing ones, and those that the artist adds."""

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from ..format import size
from ..operators.files import NETRENDER_OT_add_files, NETRENDER_OT_remove_file
from ..operators.send import NETRENDER_OT_check_files, NETRENDER_OT_send_job
from ..runtime import session
from .drawing import RenderPanel, draw_words


class NETRENDER_UL_findings(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        icon = "ERROR" if item.is_problem else "QUESTION" if item.may_differ else "INFO"
        layout.label(text=bpy.path.basename(item.name) or item.name, icon=icon, translate=False)


class NETRENDER_UL_extra(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        layout.prop(item, "path", text="", emboss=False, icon="FILE")


class RENDER_PT_netrender_files(RenderPanel, Panel):
    bl_label = "Files"
    bl_parent_id = "RENDER_PT_netrender"
    modes = {"CLIENT"}

    def draw(self, context):
        layout = self.layout
        layout.operator(NETRENDER_OT_check_files.bl_idname, icon="VIEWZOOM")
        state = context.window_manager.netrender
        report, problems = session.transfers.report, session.transfers.problem_count()
        if report:
            words = iface_("{} files, {}").format(report["files"], size(report["bytes"]))
            if not problems:
                words += ". " + iface_("Nothing is missing")
            draw_words(layout, context, words, "CHECKMARK" if not problems else "FILE")
            if report["verdict"] == "may_differ":
                draw_words(
                    layout,
                    context,
                    iface_("Frames may differ from those that this Blender renders"),
                    "QUESTION",
                )
        if len(state.findings):
            layout.template_list(
                "NETRENDER_UL_findings", "", state, "findings", state, "finding_index", rows=3
            )
            finding = state.findings[min(state.finding_index, len(state.findings) - 1)]
            if finding.heading:
                layout.label(text=finding.heading, translate=False)
            draw_words(layout, context, f"{finding.name}: {finding.why}", "BLANK1")
        if problems:
            row = layout.row()
            row.enabled = not session.transfers.running
            row.operator(NETRENDER_OT_send_job.bl_idname, text="Send Anyway", icon="ERROR").send_anyway = True
        job = context.scene.netrender.job
        layout.label(text="Sent Along")
        row = layout.row()
        row.template_list("NETRENDER_UL_extra", "", job, "extra", job, "extra_index", rows=2)
        column = row.column(align=True)
        column.operator(NETRENDER_OT_add_files.bl_idname, text="", icon="ADD")
        column.operator(NETRENDER_OT_remove_file.bl_idname, text="", icon="REMOVE")


CLASSES = (NETRENDER_UL_findings, NETRENDER_UL_extra, RENDER_PT_netrender_files)
