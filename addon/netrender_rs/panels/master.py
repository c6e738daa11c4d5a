# SPDX-License-Identifier: GPL-3.0-or-later
"""Master: the service, and the state of its farm."""

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel

from ..farm_lists import FarmLists
from ..operators.monitor import NETRENDER_OT_open_monitor
from ..props import effective
from ..runtime import session
from .drawing import SettingsPanel, draw_text, draw_words, settings_column
from .service import draw_service


def draw_master(layout, context) -> None:
    service = session.master
    draw_service(layout, context, service, "netrender.start_master", "netrender.stop_master")
    snapshot = service.snapshot
    if snapshot["state"] == "running":
        draw_words(layout, context, iface_("Listening on {}").format(snapshot["url"]), "LINKED")
        draw_words(layout, context, farm_words(session.master_farm.lists), "INFO")
        layout.operator(NETRENDER_OT_open_monitor.bl_idname, icon="URL")
        if session.notices.sentence:
            draw_words(layout, context, session.notices.sentence, "ERROR")
    elif not service.phase and not service.error:
        layout.label(text="Not running", icon="UNLINKED")


def farm_words(lists: FarmLists) -> str:
    counts = {}
    for job in lists.jobs.values():
        counts[job["status"]] = counts.get(job["status"], 0) + 1
    jobs = ", ".join(f"{count} {iface_(status).lower()}" for status, count in counts.items())
    ready = [s for s in lists.slaves.values() if s["state"] == "ready"]
    busy = sum(1 for s in ready if s["job"])
    return iface_("Jobs: {}. Slaves: {}, {} rendering").format(jobs or iface_("none"), len(ready), busy)


class RENDER_PT_netrender_master_settings(SettingsPanel, Panel):
    bl_label = "Settings"
    modes = {"MASTER"}

    def draw(self, context):
        master = context.scene.netrender.master
        column = settings_column(self.layout)
        column.enabled = not session.master.is_running()
        draw_text(column, master, "name", iface_("This machine's name"))
        draw_text(column, master, "host", iface_("All interfaces"))
        column.prop(master, "port")
        draw_text(column, master, "folder", effective.default_folder("master"))
        column.separator()
        column.prop(master, "slave_timeout")
        heading = column.column(heading="Network")
        heading.prop(master, "broadcast")
        heading = column.column(heading="Files")
        heading.prop(master, "clear_on_exit")
        heading = column.column(heading="Security")
        heading.prop(master, "allow_scripts")


CLASSES = (RENDER_PT_netrender_master_settings,)
