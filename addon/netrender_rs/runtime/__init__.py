# SPDX-License-Identifier: GPL-3.0-or-later
"""All that lives as long as this Blender: native handles, their last snapshots, and the one timer
that reads them.

Threading rules. Rust threads do the work and fill snapshots. Python threads (`Background`) only
wait for calls that take time, and never touch bpy. Only the main thread touches bpy: operators,
draw functions (which read what is here and ask for more with `watch()` and `want()`, but start
nothing), and the timer, which copies snapshots into WindowManager properties and redraws the
Properties editors only when something that people can see has changed.

Nothing in here is saved, and nothing in here knows panels or operators.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

import bpy

from ..farm_lists import client_lists, master_lists
from ..format import fraction_of
from ..status_bar import StatusBar
from .background import Background
from .errands import Errands
from .farms import ClientFarm, Farm, MasterFarm, may_look_around
from .fetched_frames import FetchedFrames, passing_folder
from .job_details import JobDetails
from .notices import Notices
from .redraw import redraw
from .sent_jobs import SentJobs
from .services import Service, new_master, new_slave, this_blender
from .thumbnails import Thumbnails
from .timer import Timer
from .transfers import Transfer, Transfers, private_folder, remove_folder

if TYPE_CHECKING:
    from netrender_native import TransferSnapshot

    from ..props.farm_rows import NETRENDER_PG_farm
    from ..props.state import NETRENDER_PG_state

__all__ = [
    "Background",
    "Farm",
    "Service",
    "Transfer",
    "may_look_around",
    "private_folder",
    "redraw",
    "remove_folder",
    "session",
    "this_blender",
]


class Session:
    """Owns the parts, each of which keeps its own state, and does the few things that take several
    of them.
    """

    def __init__(self):
        self.notices = Notices()
        self.errands = Errands()
        self.transfers = Transfers()
        self.sent_jobs = SentJobs()
        self.fetched_frames = FetchedFrames()
        self.details = JobDetails()
        self.thumbnails = Thumbnails()
        self.status_bar = StatusBar()
        self.master = Service("master", new_master, master_lists)
        self.slave = Service("slave", new_slave)
        self.services = {"master": self.master, "slave": self.slave}
        self.client_farm = ClientFarm(client_lists, self.errands, on_drop=self._forget_details)
        self.master_farm = MasterFarm(master_lists, self.master)
        self.timer = Timer(self.read_all, self.notices.say)
        self._seen: tuple | None = None  # all that was shown last; None: it must be shown again

    def shown_farm(self, context) -> Farm:
        """The farm that the panels show in the scene's mode."""
        return self.master_farm if context.scene.netrender.mode == "MASTER" else self.client_farm

    def farm_of(self, rows: NETRENDER_PG_farm) -> Farm:
        """The farm whose rows these are."""
        return self.master_farm if rows.is_master else self.client_farm

    # ----------------------------------------------------------------------- a turn of the timer

    def read_all(self) -> tuple[bool, bool]:
        """Reads every snapshot and shows what changed. Returns whether there is more to read at
        once, and whether something moves.
        """
        has_more = self.client_farm.read()
        self.transfers.read()
        self.master.read()
        self.slave.read()
        for farm in (self.client_farm, self.master_farm):
            for job, priority in farm.lists.ripe_wishes():
                self.errands.do(farm.client().edit, job, {"priority": priority})
        for errand in self.errands.take_ended():
            self.details.invalidate()
            if errand.error:
                self.notices.say(errand.error)
        state = bpy.context.window_manager.netrender
        self._fetch_details(state)
        seen = self._all_that_is_seen()
        if seen != self._seen:
            self._seen = seen
            self.show(state)
            redraw()
        self.status_bar.show(self.transfers.running)
        self.notices.show_passing()
        is_busy = bool(
            self.transfers.running
            or self.errands
            or self.client_farm.is_watched()
            or self.master.is_running()
            or self.slave.is_running()
        )
        return has_more or self.master.has_more, is_busy

    def _fetch_details(self, state: NETRENDER_PG_state) -> None:
        """Asks for details of the job selected where a panel was drawn, and for pictures of the
        rows that were.
        """
        farm = self.details.farm or self.client_farm
        if not farm.lists.is_connected():
            return
        is_master = farm is self.master_farm
        job = (state.master_farm if is_master else state.client_farm).selected_job()
        self.details.turn(farm, job.number if job is not None else 0)
        self.thumbnails.turn(farm, is_master)

    def _all_that_is_seen(self) -> tuple:
        return (
            [transfer.snapshot for transfer in self.transfers.running],
            (self.master.phase, self.master.error, master_lists.head, master_lists.version),
            (self.slave.phase, self.slave.error, self.slave.snapshot),
            (client_lists.head, client_lists.version),
            (self.notices.sentence, self.sent_jobs.last, self.fetched_frames.last_file),
            self.transfers.report,
            (self.details.version, self.thumbnails.version),
        )

    def show(self, state: NETRENDER_PG_state) -> None:
        """Copies what changed into the properties that panels and scripts read."""
        news = client_lists.take_news()
        self.sent_jobs.announce_ends(self.client_farm.address, client_lists, news, self.notices)
        state.client_farm.show(client_lists, news, self.sent_jobs.to_select)
        if self.sent_jobs.to_select in client_lists.jobs:
            self.sent_jobs.to_select = 0
        state.master_farm.show(master_lists, master_lists.take_news())
        state.show_progress(self.transfers.fraction(), fraction_of(self.slave.snapshot.get("progress")))
        state.show_findings(self.transfers.report)

    def publish(self) -> None:
        """Copies what scripts look up at once into `window_manager.netrender`."""
        state = bpy.context.window_manager.netrender
        state.last_job = self.sent_jobs.last
        state.last_file = self.fetched_frames.last_file

    def show_all_again(self) -> None:
        """Fills the properties of a file that was opened: they are empty."""
        self._seen = None
        self.status_bar.forget()
        client_lists.forget()
        master_lists.forget()
        self.publish()

    # ------------------------------------------------------------------------ operators' outcome

    def begin_submission(self) -> None:
        """Forgets what was said about the submission before."""
        self.transfers.report = None
        self.notices.say("")

    def end_submission(self, snapshot: TransferSnapshot) -> None:
        """Remembers a job that was sent, or says why it was not."""
        if snapshot["state"] == "done" and snapshot["job"] is not None:
            self.notices.say("")
            self.sent_jobs.add(self.client_farm.address, snapshot["job"])
        elif snapshot["state"] == "failed":
            # The list of problems has a place of its own in the panel.
            self.notices.say("" if self.transfers.problem_count() else snapshot["error"] or "")
        self.publish()

    def end_check(self, snapshot: TransferSnapshot) -> None:
        """Says why files could not be checked."""
        self.notices.say((snapshot["error"] or "") if snapshot["state"] == "failed" else "")

    def passing_folder(self, farm: Farm, job: int) -> str:
        """A folder for frames of a job that goes when Blender quits."""
        return passing_folder(farm.lists.address() or self.client_farm.address or "farm", job)

    def remember_frame(self, farm: Farm, job: int, path: str) -> None:
        """Remembers where a frame was fetched to."""
        self.fetched_frames.add(farm is self.master_farm, job, path)
        self.publish()

    # ----------------------------------------------------------------------------------- the end

    def stop(self) -> None:
        """Ends all threads and processes of the add-on. Safe to call twice, and at the end of the
        process.
        """
        self.client_farm.unwatch()
        self.transfers.cancel()
        self.client_farm.drop()
        for service in (self.slave, self.master):
            try:
                service.stop()
            except Exception as error:  # the others must still be stopped
                print(f"netrender: the {service.kind} did not stop cleanly: {error}")
        self.errands.finish()

    def forget(self) -> None:
        """Leaves nothing to be seen when the add-on is enabled again, but for what scripts may
        still look up.
        """
        self._seen = None
        self.status_bar.show([])
        self.notices.forget()
        self.transfers.report = None
        self.sent_jobs.running.clear()
        self.fetched_frames.forget()
        self.master_farm.drop()
        client_lists.close()
        master_lists.close()
        self.master.error = self.slave.error = ""

    def _forget_details(self) -> None:
        self.details.forget()
        self.thumbnails.forget()


session = Session()


@bpy.app.handlers.persistent
def after_load(*_):
    session.show_all_again()


def register() -> None:
    atexit.register(session.stop)
    bpy.app.handlers.load_post.append(after_load)
    session.timer.start()


def unregister() -> None:
    session.timer.stop()
    if after_load in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(after_load)
    session.stop()
    atexit.unregister(session.stop)
    session.forget()
