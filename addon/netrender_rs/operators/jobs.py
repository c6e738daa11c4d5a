# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about a job on the farm."""

from collections.abc import Callable

import bpy
from bpy.props import BoolProperty, IntProperty

from .. import native, submission
from ..languages import rpt_
from ..props.farm_rows import NETRENDER_PG_farm, NETRENDER_PG_job_row
from ..runtime import session
from .base import NeedsNative


def rows_beside(context) -> NETRENDER_PG_farm | None:
    """The lists that a button is drawn beside; None for scripts. They, and not a row, are what the
    panel hands to its buttons: rows move in memory.
    """
    return getattr(context, "netrender_farm", None)


def client_for(context):
    """The native Client for the farm that the panels show: the scene's master, or the one in this
    Blender.
    """
    if context.scene.netrender.mode == "MASTER":
        return session.master_farm.client()
    return submission.client_for(context.scene)


class FarmCommand(NeedsNative):
    """A request to the farm. Pressed as a button it returns at once: the lists show the outcome,
    and the panel what went wrong. Called from a script it returns, or raises, when the master has
    answered.
    """

    confirms = False

    # The popup that asks for confirmation runs the operator as a script does.
    is_pressed: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, event):
        self.is_pressed = True
        if self.confirms:
            return context.window_manager.invoke_confirm(self, event)
        return self.execute(context)

    def execute(self, context):
        try:
            call = self.request(context, client_for(context))
            if self.is_pressed:
                session.errands.do(call)
            else:
                call()
        except (RuntimeError, ValueError, *native.errors()) as error:
            return self.refuse(error)
        return {"FINISHED"}

    def request(self, context, client) -> Callable[[], None]:
        """The call that asks. Raises ValueError when there is nothing to ask about."""
        raise NotImplementedError


class JobCommand(FarmCommand):
    """A request about one job: `ask(client, number)`."""

    job: IntProperty(
        name="Job",
        description="Number of the job. Not given: the one selected in the list, else the job sent last",
        min=0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def obstacle(cls, context):
        return job_obstacle(context, cls.unfit)

    @classmethod
    def unfit(cls, _row: NETRENDER_PG_job_row) -> str:
        """Reason why the command makes no sense for the selected job; "" when it does."""
        return ""

    def request(self, context, client):
        # The operator is gone when the answer comes.
        ask, number = self.ask, number_of_job(self.job, context)
        return lambda: ask(client, number)

    @staticmethod
    def ask(client, number: int) -> None:
        raise NotImplementedError


def job_obstacle(context, unfit: Callable[[NETRENDER_PG_job_row], str]) -> str:
    """Reason why a button about the selected job makes no sense; "" when it does, and for scripts."""
    rows = rows_beside(context)
    if rows is None:
        return ""
    row = rows.selected_job()
    return session.farm_of(rows).why_unreachable() or (
        rpt_("Select a job first") if row is None else unfit(row)
    )


def number_of_job(given: int, context) -> int:
    """The job that a command is about. Raises ValueError when none is meant."""
    row = context.window_manager.netrender.shown_rows(context.scene).selected_job()
    number = given or (row.number if row is not None else 0) or session.sent_jobs.last
    if not number:
        raise ValueError(
            rpt_("No job is selected, and none was sent from this Blender yet. Give the number of the job")
        )
    return number


class NETRENDER_OT_cancel_job(JobCommand, bpy.types.Operator):
    """Cancel this job. Frames that are finished can still be picked up"""

    bl_idname = "netrender.cancel_job"
    bl_label = "Cancel Job"
    confirms = True

    @classmethod
    def unfit(cls, row):
        return "" if row.state in ("active", "paused") else rpt_("Job {} is over already").format(row.number)

    @staticmethod
    def ask(client, number):
        client.cancel(number)


class NETRENDER_OT_pause_job(JobCommand, bpy.types.Operator):
    """Hand out no more frames of this job. What slaves render now is finished"""

    bl_idname = "netrender.pause_job"
    bl_label = "Pause Job"

    @classmethod
    def unfit(cls, row):
        return "" if row.state == "active" else rpt_("Job {} does not wait or render now").format(row.number)

    @staticmethod
    def ask(client, number):
        client.pause(number)


class NETRENDER_OT_resume_job(JobCommand, bpy.types.Operator):
    """Go on with this job"""

    bl_idname = "netrender.resume_job"
    bl_label = "Resume Job"

    @classmethod
    def unfit(cls, row):
        return "" if row.state == "paused" else rpt_("Job {} is not paused").format(row.number)

    @staticmethod
    def ask(client, number):
        client.resume(number)


class NETRENDER_OT_requeue_job(JobCommand, bpy.types.Operator):
    """Try the frames again that failed or were canceled"""

    bl_idname = "netrender.requeue_job"
    bl_label = "Requeue Failed Frames"

    @classmethod
    def unfit(cls, row):
        if row.failed or row.state == "canceled":
            return ""
        return rpt_("No frame of job {} failed").format(row.number)

    @staticmethod
    def ask(client, number):
        client.requeue(number)


class NETRENDER_OT_delete_job(JobCommand, bpy.types.Operator):
    """Remove this job from the farm, with its files and all its frames. What was picked up stays"""

    bl_idname = "netrender.delete_job"
    bl_label = "Delete Job from the Farm"
    confirms = True

    @staticmethod
    def ask(client, number):
        client.delete(number)


class NETRENDER_OT_set_priority(JobCommand, bpy.types.Operator):
    """Say how soon this job gets its turn"""

    bl_idname = "netrender.set_priority"
    bl_label = "Set Priority"

    priority: IntProperty(
        name="Priority", description="Higher goes first", default=50, min=0, max=100, options={"SKIP_SAVE"}
    )

    def request(self, context, client):
        number, priority = number_of_job(self.job, context), self.priority
        return lambda: client.edit(number, {"priority": priority})


class NETRENDER_OT_cancel_all(FarmCommand, bpy.types.Operator):
    """Cancel every job of the farm that is not over, those of others too"""

    bl_idname = "netrender.cancel_all"
    bl_label = "Cancel All Jobs of the Farm"
    confirms = True

    @classmethod
    def obstacle(cls, context):
        if rows_beside(context) is None:
            return ""
        farm = session.shown_farm(context)
        under_way = any(job["state"] in ("active", "paused") for job in farm.lists.jobs.values())
        return farm.why_unreachable() or ("" if under_way else rpt_("All jobs are over"))

    def request(self, _context, client):
        return client.cancel_all


class NETRENDER_OT_open_folder(NeedsNative, bpy.types.Operator):
    """Open the folder where frames of this job were put"""

    bl_idname = "netrender.open_folder"
    bl_label = "Open Folder"

    job: JobCommand.__annotations__["job"]

    @classmethod
    def obstacle(cls, context):
        rows = rows_beside(context)
        if rows is None:
            return ""
        row = rows.selected_job()
        if row is None:
            return rpt_("Select a job first")
        folder = session.fetched_frames.folder_of(rows.is_master, row.number)
        return "" if folder else rpt_("No frame of job {} was picked up yet").format(row.number)

    def execute(self, context):
        try:
            number = number_of_job(self.job, context)
            is_master = session.shown_farm(context) is session.master_farm
            folder = session.fetched_frames.folder_of(is_master, number)
            if not folder:
                raise ValueError(rpt_("No frame of job {} was picked up yet. Press Get Frame").format(number))
            return bpy.ops.wm.path_open(filepath=folder)
        except (RuntimeError, ValueError) as error:
            return self.refuse(error)


CLASSES = (
    NETRENDER_OT_cancel_job,
    NETRENDER_OT_pause_job,
    NETRENDER_OT_resume_job,
    NETRENDER_OT_requeue_job,
    NETRENDER_OT_delete_job,
    NETRENDER_OT_set_priority,
    NETRENDER_OT_cancel_all,
    NETRENDER_OT_open_folder,
)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
