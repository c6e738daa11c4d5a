# SPDX-License-Identifier: GPL-3.0-or-later
"""Slave: the service, and the frame that it renders."""

from typing import TYPE_CHECKING

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel

from ..format import fraction_of
from ..props import effective
from ..runtime import session
from .client import draw_address
from .drawing import SettingsPanel, draw_bar, draw_text, draw_words, settings_column
from .service import draw_service

if TYPE_CHECKING:
    from netrender_native import SlaveSnapshot


def draw_slave(layout, context) -> None:
    service = session.slave
    editable = draw_service(layout, context, service, "netrender.start_slave", "netrender.stop_slave")
    column = layout.column()
    column.enabled = editable
    draw_address(column, context.scene.netrender.slave)
    snapshot = service.snapshot
    if snapshot["state"] == "stopped":
        if not service.phase and not service.error:
            layout.label(text="Not running", icon="UNLINKED")
        return
    icon = {"rendering": "RENDER_STILL", "idle": "LINKED", "failed": "ERROR"}.get(
        snapshot["state"], "SORTTIME"
    )
    draw_words(layout, context, slave_words(snapshot), icon)
    if snapshot["job"]:
        text = iface_("Job {}, frame {}").format(snapshot["job"], snapshot["frame"])
        progress = snapshot["progress"]
        draw_bar(layout, "rendering", fraction_of(progress), text)
        if progress:
            layout.label(text=progress, icon="BLANK1", translate=False)
    counts = iface_("Rendered {}, failed {}").format(snapshot["rendered"], snapshot["failed"])
    layout.label(text=counts, icon="BLANK1", translate=False)


def slave_words(snapshot: "SlaveSnapshot") -> str:
    master = snapshot["master"]
    if snapshot["state"] == "idle":
        return iface_("Connected to {}, waiting for work").format(master)
    if snapshot["state"] == "rendering":
        return iface_("Rendering for {}").format(master)
    words = {
        "looking": iface_("Looking for a master"),
        "reconnecting": iface_("Connection to {} lost, trying again").format(master),
    }
    return snapshot["message"] or words.get(snapshot["state"], iface_(snapshot["state"].capitalize()))


class RENDER_PT_netrender_slave_settings(SettingsPanel, Panel):
    bl_label = "Settings"
    modes = {"SLAVE"}

    def draw(self, context):
        slave = context.scene.netrender.slave
        column = settings_column(self.layout)
        column.enabled = not session.slave.is_running()
        draw_text(column, slave, "name", iface_("This machine's name"))
        column.prop(slave, "tags")
        draw_text(column, slave, "folder", effective.default_folder("slave"))
        column.prop(slave, "cache_limit")
        column.prop(slave, "clear_on_exit")
        column.prop(slave, "hang_timeout")
        column.prop(slave, "upload_interval")
        column.separator()
        column.prop(slave, "device")
        column.prop(slave, "threads_mode")
        sub = column.column()
        sub.enabled = slave.threads_mode == "FIXED"
        sub.prop(slave, "threads")
        heading = column.column(heading="Output")
        heading.prop(slave, "console")


CLASSES = (RENDER_PT_netrender_slave_settings,)
