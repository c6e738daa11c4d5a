# SPDX-License-Identifier: GPL-3.0-or-later
"""Which farm is meant: find a master, look at its page."""

import bpy
from bpy.props import FloatProperty, IntProperty, StringProperty

from .. import handing_over, native, session
from ..languages import rpt_
from .waiting import NeedsNative, Waiting


def address_holder(scene):
    """The settings whose master address the artist sees now."""
    return scene.netrender.slave if scene.netrender.mode == "SLAVE" else scene.netrender.client


def mirror_of(context):
    """The lists of the farm that the panel shows."""
    return session.master_farm if context.scene.netrender.mode == "MASTER" else session.client_farm


def client_of_panel(context):
    """The native Client for the farm that the panel shows."""
    if context.scene.netrender.mode == "MASTER":
        return session.client_of_master()
    return handing_over.client_for(context.scene)


def unreachable(farm):
    """Why nothing can be asked of the farm that the panel shows; "" when it answers."""
    if farm.is_connected():
        return ""
    if farm is session.master_farm:
        return rpt_("The master in this Blender is not running")
    return rpt_("Not connected to a master")


class NETRENDER_OT_find_master(Waiting, bpy.types.Operator):
    """Listen for masters on the local network and fill in the address; choose when there are several"""

    bl_idname = "netrender.find_master"
    bl_label = "Find Master"

    timeout: FloatProperty(
        name="Timeout", description="Seconds to listen", default=0.5, min=0.1, max=10.0, options={"SKIP_SAVE"}
    )

    _interactive = False

    def invoke(self, context, event):
        self._interactive = True
        return super().invoke(context, event)

    def begin(self, _context):
        return session.Background(native.module().discover, self.timeout)

    def finish(self, context, work):
        masters = context.window_manager.netrender.masters
        masters.clear()
        for heard in work.result:
            row = masters.add()
            row.name, row.url, row.version = heard["name"], heard["url"], heard["version"]
        if not masters:
            self.report(
                {"WARNING"},
                rpt_("No master heard. Start one, or type its address if it is in another network"),
            )
            return {"CANCELLED"}
        if len(masters) == 1:
            address_holder(context.scene).master = masters[0].url
            self.report({"INFO"}, rpt_("Found master {}: {}").format(masters[0].name, masters[0].url))
        elif self._interactive:
            bpy.ops.wm.call_menu(name=NETRENDER_MT_masters.__name__)
        else:
            heard = ", ".join(f"{m.name} ({m.url})" for m in masters)
            words = rpt_("Several masters heard, set one as the address: {}").format(heard)
            self.report({"WARNING"}, words)
        return {"FINISHED"}


class NETRENDER_OT_use_master(bpy.types.Operator):
    """Use this master"""

    bl_idname = "netrender.use_master"
    bl_label = "Use Master"
    bl_options = {"INTERNAL"}

    url: StringProperty(name="Address", options={"SKIP_SAVE"})

    def execute(self, context):
        address_holder(context.scene).master = self.url
        session.redraw()
        return {"FINISHED"}


class NETRENDER_MT_masters(bpy.types.Menu):
    bl_label = "Masters Found"

    def draw(self, context):
        for found in context.window_manager.netrender.masters:
            operator = self.layout.operator(
                NETRENDER_OT_use_master.bl_idname, text=f"{found.name}  ({found.url})", icon="NETWORK_DRIVE"
            )
            operator.url = found.url


class NETRENDER_OT_open_monitor(NeedsNative, bpy.types.Operator):
    """Open the master's own page in a web browser: every job, slave and frame, live"""

    bl_idname = "netrender.open_monitor"
    bl_label = "Open Master Monitor"

    @classmethod
    def obstacle(cls, context):
        return unreachable(mirror_of(context))

    def execute(self, context):
        bpy.ops.wm.url_open(url=mirror_of(context).address())
        return {"FINISHED"}


class NETRENDER_OT_cancel_transfer(bpy.types.Operator):
    """Stop this transfer. What the farm has already is not sent again next time"""

    bl_idname = "netrender.cancel_transfer"
    bl_label = "Cancel Transfer"
    bl_options = {"INTERNAL"}

    index: IntProperty(min=0, options={"SKIP_SAVE"})

    def execute(self, _context):
        if self.index < len(session.transfers):
            session.transfers[self.index].cancel()
        return {"FINISHED"}


CLASSES = (
    NETRENDER_OT_find_master,
    NETRENDER_OT_use_master,
    NETRENDER_MT_masters,
    NETRENDER_OT_open_monitor,
    NETRENDER_OT_cancel_transfer,
)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
