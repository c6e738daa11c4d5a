# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about a slave of the farm."""

import bpy
from bpy.props import IntProperty

from ..languages import rpt_
from ..props.farm_rows import NETRENDER_PG_slave_row
from ..runtime import session
from .jobs import FarmCommand, JobCommand, number_of_job, rows_beside


class SlaveCommand(FarmCommand):
    """A request about one slave: `ask(client, number)`."""

    slave: IntProperty(
        name="Slave",
        description="Number of the slave. Not given: the one selected in the list",
        min=0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def obstacle(cls, context):
        rows = rows_beside(context)
        if rows is None:
            return ""
        row = rows.selected_slave()
        return session.farm_of(rows).why_unreachable() or (
            rpt_("Select a slave first") if row is None else cls.unfit(row)
        )

    @classmethod
    def unfit(cls, _row: NETRENDER_PG_slave_row) -> str:
        """Reason why the command makes no sense for the selected slave; "" when it does."""
        return ""

    def request(self, context, client):
        # The operator is gone when the answer comes.
        ask, number = self.ask, number_of_slave(self.slave, context)
        return lambda: ask(client, number)

    @staticmethod
    def ask(client, number: int) -> None:
        raise NotImplementedError


def number_of_slave(given: int, context) -> int:
    """The slave that a command is about. Raises ValueError when none is meant."""
    row = context.window_manager.netrender.shown_rows(context.scene).selected_slave()
    number = given or (row.number if row is not None else 0)
    if not number:
        raise ValueError(rpt_("No slave is selected. Give the number of the slave"))
    return number


class NETRENDER_OT_pause_slave(SlaveCommand, bpy.types.Operator):
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


class NETRENDER_OT_resume_slave(SlaveCommand, bpy.types.Operator):
    """Give this slave work again"""

    bl_idname = "netrender.resume_slave"
    bl_label = "Resume Slave"

    @classmethod
    def unfit(cls, row):
        return "" if row.paused else rpt_("{} is not paused").format(row.name)

    @staticmethod
    def ask(client, number):
        client.order(number, "resume")


class BlacklistCommand(SlaveCommand):
    """Keeps a slave from a job, or lets it have the job again."""

    job: JobCommand.__annotations__["job"]
    is_listed = True

    @classmethod
    def obstacle(cls, context):
        rows = rows_beside(context)
        if rows is not None and rows.selected_job() is None:
            return rpt_("Select a job in the list above first")
        return super().obstacle(context)

    def request(self, context, client):
        job, slave = number_of_job(self.job, context), number_of_slave(self.slave, context)
        is_listed = self.is_listed
        return lambda: client.blacklist(job, slave, is_listed)


class NETRENDER_OT_blacklist_slave(BlacklistCommand, bpy.types.Operator):
    """Keep this slave from the selected job. The frame it renders of it goes to others"""

    bl_idname = "netrender.blacklist_slave"
    bl_label = "Keep Slave from Job"


class NETRENDER_OT_unblacklist_slave(BlacklistCommand, bpy.types.Operator):
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
