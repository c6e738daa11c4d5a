# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees in Properties > Render. Draw functions read properties and the session's snapshots,
which cost nothing; they start nothing and wait for nothing.
"""

import textwrap

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel, UIList

from . import native, session, settings
from .operators.farm import NETRENDER_OT_cancel_job
from .operators.files import NETRENDER_OT_add_files, NETRENDER_OT_remove_file
from .operators.pick_up import NETRENDER_OT_get_frame
from .operators.send import NETRENDER_OT_check_files, NETRENDER_OT_send_job

JOB_ICONS = {
    "Queued": "SORTTIME",
    "Rendering": "RENDER_ANIMATION",
    "Paused": "PAUSE",
    "Finished": "CHECKMARK",
    "Failed": "ERROR",
    "Canceled": "CANCEL",
}


class RenderPanel:
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    modes = {"CLIENT", "MASTER", "SLAVE"}

    @classmethod
    def poll(cls, context):
        return context.scene is not None and context.scene.netrender.mode in cls.modes


class RENDER_PT_netrender(RenderPanel, Panel):
    bl_label = "Network Render"

    def draw(self, context):
        layout = self.layout
        layout.row().prop(context.scene.netrender, "mode", expand=True)
        if native.problem():
            draw_words(layout, context, native.problem(), "ERROR")
        {"CLIENT": draw_client, "MASTER": draw_master, "SLAVE": draw_slave}[context.scene.netrender.mode](
            layout, context
        )


def draw_client(layout, context):
    client = context.scene.netrender.client
    draw_address(layout, client)
    address = settings.master_address(client.master)
    session.watch(address)
    snapshot = session.client_snapshot()
    if not native.problem():
        if not session.may_look_around(address):
            words = iface_("Allow Online Access is off: press the arrows or type an address")
            icon = "UNLINKED"
        else:
            words, icon = connection_words(snapshot)
        draw_words(layout, context, words, icon)

    column = layout.column()
    column.scale_y = 1.25
    column.operator("netrender.send_job", icon="RENDER_ANIMATION")
    column.operator("netrender.send_frame", icon="RENDER_STILL")
    for index, transfer in enumerate(session.transfers):
        draw_transfer(layout, transfer, index)
    if session.last_job:
        layout.label(
            text=iface_("Job sent: number {}").format(session.last_job), icon="CHECKMARK", translate=False
        )
    if session.notice:
        draw_words(layout, context, session.notice, "ERROR")
    if session.problems() and not session.transfers:
        words = iface_("Not sent: {} would go wrong, see Files below").format(session.problems())
        draw_words(layout, context, words, "ERROR")


def draw_address(layout, holder):
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    row = column.row(align=True)
    draw_text(row, holder, "master", settings.master_address("") or iface_("The first one heard"))
    row.operator("netrender.find_master", text="", icon="FILE_REFRESH")


def draw_text(layout, data, name, hint):
    """A text field that says what it means to leave it empty, where Blender (4.1) can show that."""
    if "placeholder" in bpy.types.UILayout.bl_rna.functions["prop"].parameters:
        layout.prop(data, name, placeholder=hint)
    else:
        layout.prop(data, name)


def connection_words(snapshot):
    master = snapshot["name"] or snapshot["master"]
    state = snapshot["state"]
    if state == "connected":
        slaves = sum(1 for s in snapshot["slaves"] if s["state"] == "ready")
        words = iface_("Connected to {}, 1 slave") if slaves == 1 else iface_("Connected to {}, {} slaves")
        return words.format(master, slaves), "LINKED"
    if state == "reconnecting":
        return snapshot["message"] or iface_("Connection to {} lost, trying again").format(master), "UNLINKED"
    if state == "looking":
        return snapshot["message"] or iface_("Looking for a master"), "SORTTIME"
    return snapshot["message"] or iface_("Not connected"), "UNLINKED"


def draw_transfer(layout, transfer, index):
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


def transfer_words(snapshot):
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


def draw_bar(layout, value, fraction, text):
    """Blender 4.0 has a progress bar. Before, a slider nobody can move looks the same: `value` names the property."""
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=f"{text}  {fraction:.0%}", translate=False)
    else:
        layout.prop(bpy.context.window_manager.netrender, value, text=text, slider=True, translate=False)


def size(count):
    """As Blender's own file browser counts: 1000 bytes are a kilobyte."""
    if count < 1e6:
        return f"{count / 1e3:.0f} KB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def duration(seconds):
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def draw_words(layout, context, words, icon):
    """A sentence that may be longer than the editor is wide."""
    scale = context.preferences.system.ui_scale or 1.0
    characters = max(24, int((context.region.width / scale - 70) / 6.2))
    column = layout.column(align=True)
    column.scale_y = 0.85
    for number, line in enumerate(textwrap.wrap(words, characters)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1", translate=False)


def draw_service(layout, context, service, start, stop):
    """Start or stop button and, below it, what went wrong. True when settings may be edited."""
    running = service.running() or bool(service.phase)
    row = layout.row()
    row.scale_y = 1.25
    if service.phase:
        row.enabled = False
        row.operator(
            stop,
            text="Stopping" if service.phase == "stopping" else "Starting",
            icon="SORTTIME",
            depress=True,
        )
    elif running and service.snapshot["state"] != "failed":
        row.operator(stop, icon="SNAP_FACE", depress=True)
    else:
        row.operator(start, icon="PLAY")
    if service.error:
        draw_words(layout, context, service.error, "ERROR")
    return not running or service.snapshot["state"] == "failed"


def draw_master(layout, context):
    service = session.master
    draw_service(layout, context, service, "netrender.start_master", "netrender.stop_master")
    snapshot = service.snapshot
    if snapshot["state"] == "running":
        draw_words(layout, context, iface_("Listening on {}").format(snapshot["url"]), "LINKED")
        draw_words(layout, context, farm_words(snapshot), "INFO")
    elif not service.phase and not service.error:
        layout.label(text="Not running", icon="UNLINKED")


def farm_words(snapshot):
    counts = {}
    for job in snapshot["jobs"]:
        counts[job["status"]] = counts.get(job["status"], 0) + 1
    jobs = ", ".join(f"{count} {iface_(status).lower()}" for status, count in counts.items())
    ready = [s for s in snapshot["slaves"] if s["state"] == "ready"]
    busy = sum(1 for s in ready if s["job"])
    return iface_("Jobs: {}. Slaves: {}, {} rendering").format(jobs or iface_("none"), len(ready), busy)


def draw_slave(layout, context):
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
        draw_bar(layout, "rendering", session.rendering(), text)
        if progress:
            layout.label(text=progress, icon="BLANK1", translate=False)
    counts = iface_("Rendered {}, failed {}").format(snapshot["rendered"], snapshot["failed"])
    layout.label(text=counts, icon="BLANK1", translate=False)


def slave_words(snapshot):
    master = snapshot["master"]
    if snapshot["state"] == "idle":
        return iface_("Connected to {}, waiting for work").format(master)
    if snapshot["state"] == "rendering":
        return iface_("Rendering for {}").format(master)
    words = {
        "looking": iface_("Looking for a master"),
        "reconnecting": iface_("Connection to {} lost, trying again").format(master),
    }
    return snapshot["message"] or words.get(snapshot["state"], snapshot["state"].capitalize())


class SettingsPanel(RenderPanel):
    bl_parent_id = "RENDER_PT_netrender"

    def column(self):
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout.column()


class RENDER_PT_netrender_master_settings(SettingsPanel, Panel):
    bl_label = "Settings"
    modes = {"MASTER"}

    def draw(self, context):
        master = context.scene.netrender.master
        column = self.column()
        column.enabled = not session.master.running()
        draw_text(column, master, "name", iface_("This machine's name"))
        draw_text(column, master, "host", iface_("All interfaces"))
        column.prop(master, "port")
        draw_text(column, master, "folder", settings.working_folder("", "master"))
        column.separator()
        column.prop(master, "slave_timeout")
        heading = column.column(heading="Network")
        heading.prop(master, "broadcast")
        heading = column.column(heading="Files")
        heading.prop(master, "clear_on_exit")
        heading = column.column(heading="Security")
        heading.prop(master, "allow_scripts")


class RENDER_PT_netrender_slave_settings(SettingsPanel, Panel):
    bl_label = "Settings"
    modes = {"SLAVE"}

    def draw(self, context):
        slave = context.scene.netrender.slave
        column = self.column()
        column.enabled = not session.slave.running()
        draw_text(column, slave, "name", iface_("This machine's name"))
        column.prop(slave, "tags")
        draw_text(column, slave, "folder", settings.working_folder("", "slave"))
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


class RENDER_PT_netrender_job(SettingsPanel, Panel):
    bl_label = "Job Settings"
    bl_options = {"DEFAULT_CLOSED"}
    modes = {"CLIENT"}

    def draw(self, context):
        job = context.scene.netrender.job
        column = self.column()
        draw_text(column, job, "name", bpy.path.display_name_from_filepath(bpy.data.filepath))
        column.prop(job, "category")
        column.prop(job, "tags")
        column.separator()
        draw_text(column, job, "frames", iface_("The scene's range"))
        column.prop(job, "engine")
        column.prop(job, "priority")
        column.prop(job, "chunk", text="Frames per Chunk")
        column.prop(job, "split")
        column.separator()
        column.prop(job, "save_before_send")


class NETRENDER_UL_findings(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        icon = "ERROR" if item.is_problem else "INFO"
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
        report = session.report
        if report:
            words = iface_("{} files, {}").format(report["files"], size(report["bytes"]))
            if not session.problems():
                words += ". " + iface_("Nothing is missing")
            draw_words(layout, context, words, "CHECKMARK" if not session.problems() else "FILE")
        if len(state.findings):
            layout.template_list(
                "NETRENDER_UL_findings", "", state, "findings", state, "finding_index", rows=3
            )
            finding = state.findings[min(state.finding_index, len(state.findings) - 1)]
            draw_words(layout, context, f"{finding.name}: {finding.why}", "BLANK1")
        if session.problems():
            row = layout.row()
            row.enabled = not session.transfers
            row.operator(NETRENDER_OT_send_job.bl_idname, text="Send Anyway", icon="ERROR").send_anyway = True
        job = context.scene.netrender.job
        layout.label(text="Sent Along")
        row = layout.row()
        row.template_list("NETRENDER_UL_extra", "", job, "extra", job, "extra_index", rows=2)
        column = row.column(align=True)
        column.operator(NETRENDER_OT_add_files.bl_idname, text="", icon="ADD")
        column.operator(NETRENDER_OT_remove_file.bl_idname, text="", icon="REMOVE")


def farm_shown(context):
    state = context.window_manager.netrender
    return state.master_farm if context.scene.netrender.mode == "MASTER" else state.client_farm


class NETRENDER_UL_jobs(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        row = layout.row(align=True)
        row.label(text=f"{item.number}  {item.name}", icon=JOB_ICONS.get(item.status, "DOT"), translate=False)
        right = row.row()
        right.alignment = "RIGHT"
        right.label(text=f"{iface_(item.status)}  {item.done}/{item.total}", translate=False)


class NETRENDER_UL_slaves(UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        row = layout.row(align=True)
        row.active = item.state == "ready"
        row.label(text=item.name, icon="DESKTOP" if item.state == "ready" else "UNLINKED", translate=False)
        right = row.row()
        right.alignment = "RIGHT"
        doing = iface_("Job {}, frame {}").format(item.job, item.frame) if item.job else iface_(item.status)
        right.label(text=doing, translate=False)


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


CLASSES = (
    NETRENDER_UL_jobs,
    NETRENDER_UL_slaves,
    NETRENDER_UL_findings,
    NETRENDER_UL_extra,
    RENDER_PT_netrender,
    RENDER_PT_netrender_files,
    RENDER_PT_netrender_job,
    RENDER_PT_netrender_master_settings,
    RENDER_PT_netrender_slave_settings,
    RENDER_PT_netrender_jobs,
    RENDER_PT_netrender_slaves,
)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
