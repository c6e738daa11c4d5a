# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and stopping the master and the slave in this Blender. Both may run in one."""

import bpy

from ..languages import rpt_
from ..runtime import Background, session
from .base import Waiting


class Start(Waiting):
    kind = ""

    @classmethod
    def obstacle(cls, _context):
        service = session.services[cls.kind]
        if service.is_running() and service.snapshot["state"] != "failed":
            return rpt_("The {} is running already").format(rpt_(cls.kind))
        return ""

    def begin(self, context):
        service = session.services[self.kind]
        handle = service.new_handle(context.scene)

        def restart():
            service.stop()  # one that failed still holds its folder
            service.start(handle)

        service.phase = "starting"
        return Background(restart)

    def finish(self, _context, _work):
        snapshot = session.services[self.kind].read()
        where = f": {snapshot['url']}" if self.kind == "master" else ""
        self.report({"INFO"}, rpt_("{} started").format(self.kind.title()) + where)


class Stop(Waiting):
    kind = ""

    @classmethod
    def obstacle(cls, _context):
        return (
            ""
            if session.services[cls.kind].is_running()
            else rpt_("The {} is not running").format(rpt_(cls.kind))
        )

    def begin(self, _context):
        service = session.services[self.kind]
        service.phase = "stopping"
        return Background(service.stop)

    def finish(self, _context, _work):
        self.report({"INFO"}, rpt_("{} stopped").format(self.kind.title()))


class NETRENDER_OT_start_master(Start, bpy.types.Operator):
    """Keep jobs and hand out work from this Blender. You can go on working meanwhile"""

    bl_idname = "netrender.start_master"
    bl_label = "Start Service"
    kind = "master"


class NETRENDER_OT_stop_master(Stop, bpy.types.Operator):
    """Stop handing out work. Jobs and frames are kept, unless Clear on Exit is on"""

    bl_idname = "netrender.stop_master"
    bl_label = "Stop Service"
    kind = "master"


class NETRENDER_OT_start_slave(Start, bpy.types.Operator):
    """Render for the farm in the background, in Blender processes of their own"""

    bl_idname = "netrender.start_slave"
    bl_label = "Start Service"
    kind = "slave"


class NETRENDER_OT_stop_slave(Stop, bpy.types.Operator):
    """Stop rendering for the farm. The frame under way goes back to the queue"""

    bl_idname = "netrender.stop_slave"
    bl_label = "Stop Service"
    kind = "slave"


CLASSES = (
    NETRENDER_OT_start_master,
    NETRENDER_OT_stop_master,
    NETRENDER_OT_start_slave,
    NETRENDER_OT_stop_slave,
)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
