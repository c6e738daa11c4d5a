# SPDX-License-Identifier: GPL-3.0-or-later
"""Client: the master, sending, and the transfers under way."""

from typing import TYPE_CHECKING

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel

from .. import native
from ..format import duration, size
from ..operators.monitor import NETRENDER_OT_open_monitor
from ..props import effective
from ..runtime import Transfer, may_look_around, session
from .drawing import SettingsPanel, draw_bar, draw_text, draw_words, settings_column

if TYPE_CHECKING:
    from netrender_native import TransferSnapshot


def draw_client(layout, context) -> None:
    client = context.scene.netrender.client
    draw_address(layout, client)
    address = effective.master_address(client.master)
    session.client_farm.watch(address)
    snapshot = session.client_farm.lists.head
    if not native.problem():
        if not may_look_around(address):
            words = iface_("Allow Online Access is off: press the arrows or type an address")
            icon = "UNLINKED"
        else:
            words, icon = connection_words(snapshot)
        draw_words(layout, context, words, icon)

    column = layout.column()
    column.scale_y = 1.25
    column.operator("netrender.send_job", icon="RENDER_ANIMATION")
    column.operator("netrender.send_frame", icon="RENDER_STILL")
    column.operator("netrender.animate", icon="RENDER_RESULT")
    layout.operator(NETRENDER_OT_open_monitor.bl_idname, icon="URL")
    for index, transfer in enumerate(session.transfers.running):
        draw_transfer(layout, transfer, index)
    last_job = session.sent_jobs.last
    if last_job:
        words = iface_("Job sent: number {}").format(last_job)
        layout.label(text=words, icon="CHECKMARK", translate=False)
    if session.notices.sentence:
        draw_words(layout, context, session.notices.sentence, "ERROR")
    problems = session.transfers.problem_count()
    if problems and not session.transfers.running:
        words = iface_("Not sent: {} would go wrong, see Files below").format(problems)
        draw_words(layout, context, words, "ERROR")


def draw_address(layout, holder) -> None:
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    row = column.row(align=True)
    draw_text(row, holder, "master", effective.master_address("") or iface_("The first one heard"))
    row.operator("netrender.find_master", text="", icon="FILE_REFRESH")


def connection_words(snapshot: dict) -> tuple[str, str]:
    """A sentence about the connection to the master, and its icon."""
    master = snapshot["name"] or snapshot["master"]
    state = snapshot["state"]
    if state == "connected":
        slaves = sum(1 for s in session.client_farm.lists.slaves.values() if s["state"] == "ready")
        words = iface_("Connected to {}, 1 slave") if slaves == 1 else iface_("Connected to {}, {} slaves")
        return words.format(master, slaves), "LINKED"
    if state == "reconnecting":
        return snapshot["message"] or iface_("Connection to {} lost, trying again").format(master), "UNLINKED"
    if state == "looking":
        return snapshot["message"] or iface_("Looking for a master"), "SORTTIME"
    return snapshot["message"] or iface_("Not connected"), "UNLINKED"


def draw_transfer(layout, transfer: Transfer, index: int) -> None:
    snapshot = transfer.snapshot
    column = layout.column(align=True)
    row = column.row(align=True)
    draw_bar(row, "sending", transfer.fraction(), iface_(transfer.label))
    row.operator("netrender.cancel_transfer", text="", icon="X").index = index
    column.label(text=transfer_words(snapshot), translate=False)


PHASES = {
    "connecting": "Looking for the master",
    "tracing": "Listing the scene's files",
    "checking": "Looking at the files",
    "sending": "Sending",
    "receiving": "Receiving",
    "queueing": "Queueing",
}


def transfer_words(snapshot: "TransferSnapshot") -> str:
    if snapshot.get("waiting"):
        return snapshot["waiting"]
    if not snapshot["bytes_total"]:
        return iface_(PHASES.get(snapshot["phase"], snapshot["phase"]))
    words = [
        iface_("{} of {}").format(size(snapshot["bytes_done"]), size(snapshot["bytes_total"])),
        iface_("{}/s").format(size(snapshot["bytes_per_s"])),
    ]
    if snapshot.get("bytes_sent"):
        words.append(iface_("{} were new").format(size(snapshot["bytes_sent"])))
    if snapshot["seconds_left"] is not None:
        words.append(iface_("{} left").format(duration(snapshot["seconds_left"])))
    return ", ".join(words)


class RENDER_PT_netrender_job(SettingsPanel, Panel):
    bl_label = "Job Settings"
    bl_options = {"DEFAULT_CLOSED"}
    modes = {"CLIENT"}

    def draw(self, context):
        job = context.scene.netrender.job
        column = settings_column(self.layout)
        draw_text(column, job, "name", bpy.path.display_name_from_filepath(bpy.data.filepath))
        column.prop(job, "category")
        column.prop(job, "tags")
        column.separator()
        draw_text(column, job, "frames", iface_("The scene's range"))
        column.prop(job, "engine")
        column.prop(job, "priority")
        column.prop(job, "chunk", text="Frames per Chunk")
        column.prop(job, "simulations")
        column.prop(job, "split")
        column.separator()
        column.prop(job, "save_before_send")


CLASSES = (RENDER_PT_netrender_job,)
