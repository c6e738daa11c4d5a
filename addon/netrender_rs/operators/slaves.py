# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to a slave."""

import bpy
from bpy.props import IntProperty

from ..languages import rpt_
from .farm import unreachable
from .jobs import Asking, OnJob, number_of_job, shown_farm


class OnSlave(Asking):
    """`unfit(row)`: why it makes no sense for the selected slave; "" when it does."""

    slave: IntProperty(
        name="Slave",
        description="Number of the slave. Not given: the one selected in the list",
        min=0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def obstacle(cls, context):
        shown = shown_farm(context)
        if shown is None:
            return ""
        row = shown.selected_slave()
        return unreachable(shown.mirror()) or (
            rpt_("Select a slave first") if row is None else cls.unfit(row)
        )

    @classmethod
    def unfit(cls, _row):
        return ""

    def question(self, context, client):
        # The operator is gone when the answer comes.
        ask, number = self.ask, number_of_slave(self.slave, context)
        return lambda: ask(client, number)

    @staticmethod
    def ask(client, number):
        raise NotImplementedError


def number_of_slave(given, context):
    """Raises ValueError when no slave is meant."""
    state = context.window_manager.netrender
    is_master = context.scene.netrender.mode == "MASTER"
    row = (state.master_farm if is_master else state.client_farm).selected_slave()
    number = given or (row.number if row is not None else 0)
    if not number:
        raise ValueError(rpt_("No slave is selected. Give the number of the slave"))
    return number


class NETRENDER_OT_pause_slave(OnSlave, bpy.types.Operator):
    """Give this slave no new work. What it renders now is finished"""

    bl_idname = "netrender.pause_slave"
    bl_label = "Pause Slave"

    @classmethod
    def unfit(cls, row):
        if row.state != "ready":
            return rpt_("{} is not there now").format(row.name)
        return rpt_("{} is paused already").format(row.name) if row.paused else ""

    @staticmethod
    def ask(client, number):
        client.order(number, "pause")


class NETRENDER_OT_resume_slave(OnSlave, bpy.types.Operator):
    """Give this slave work again"""

    bl_idname = "netrender.resume_slave"
    bl_label = "Resume Slave"

    @classmethod
    def unfit(cls, row):
        return "" if row.paused else rpt_("{} is not paused").format(row.name)

    @staticmethod
    def ask(client, number):
        client.order(number, "resume")


class Blacklist(OnSlave):
    job: OnJob.__annotations__["job"]
    is_listed = True

    @classmethod
    def obstacle(cls, context):
        shown = shown_farm(context)
        if shown is not None and shown.selected_job() is None:
            return rpt_("Select a job in the list above first")
        return super().obstacle(context)

    def question(self, context, client):
        job, slave = number_of_job(self.job, context), number_of_slave(self.slave, context)
        is_listed = self.is_listed
        return lambda: client.blacklist(job, slave, is_listed)


class NETRENDER_OT_blacklist_slave(Blacklist, bpy.types.Operator):
    """Keep this slave from the selected job. The frame it renders of it goes to others"""

    bl_idname = "netrender.blacklist_slave"
    bl_label = "Keep Slave from Job"


class NETRENDER_OT_unblacklist_slave(Blacklist, bpy.types.Operator):
    """Let this slave render the selected job again"""

    bl_idname = "netrender.unblacklist_slave"
    bl_label = "Let Slave Have Job Again"
    is_listed = False


CLASSES = (
    NETRENDER_OT_pause_slave,
    NETRENDER_OT_resume_slave,
    NETRENDER_OT_blacklist_slave,
    NETRENDER_OT_unblacklist_slave,
)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
