# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a master on the local network."""

import bpy
from bpy.props import FloatProperty, StringProperty

from .. import native
from ..languages import rpt_
from ..runtime import Background, redraw
from .base import Waiting


def address_holder(scene):
    """The settings whose master address the artist sees now."""
    return scene.netrender.slave if scene.netrender.mode == "SLAVE" else scene.netrender.client


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
        return Background(native.module().discover, self.timeout)

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
        redraw()
        return {"FINISHED"}


class NETRENDER_MT_masters(bpy.types.Menu):
    bl_label = "Masters Found"

    def draw(self, context):
        for found in context.window_manager.netrender.masters:
            operator = self.layout.operator(
                NETRENDER_OT_use_master.bl_idname, text=f"{found.name}  ({found.url})", icon="NETWORK_DRIVE"
            )
            operator.url = found.url


CLASSES = (NETRENDER_OT_find_master, NETRENDER_OT_use_master, NETRENDER_MT_masters)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
