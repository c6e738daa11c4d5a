# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm's lists of jobs and slaves as this Blender knows them, from which Blender's rows are
filled. The compiled module reports only what changed, and only some rows in one turn, so that a
thousand jobs cost the main thread no more than a hundred. Knows nothing of bpy. Main thread only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netrender_native import Client, JobRow, Master, SlaveRow

STOPPED = {"state": "stopped", "message": "", "master": "", "name": "", "url": "", "error": None}
OF_LISTS = ("jobs", "slaves", "gone_jobs", "gone_slaves", "more")  # the others are the head
ROWS = 100  # taken over in one turn
QUIET_S = 0.4  # how long a dragged slider must stand still before its value is sent
PATIENCE_S = 5.0  # how long a value that was sent is shown before the farm confirms it


class FarmLists:
    """The rows by number, what of them Blender has not been given yet, and the priorities that the
    artist set.
    """

    def __init__(self):
        self.handle: Client | Master | None = None  # whose changes these are
        self.head: dict[str, Any] = STOPPED  # a snapshot without its rows
        self.jobs: dict[int, JobRow] = {}
        self.slaves: dict[int, SlaveRow] = {}  # only those that are there or lost
        self.version = 0  # grows with every change
        self.is_whole = False  # every row was received at least once
        self._is_new = True  # the next turn begins from nothing
        self._news = News()
        self._wishes: dict[int, Wish] = {}  # by number of the job

    def forget(self) -> None:
        """Begins from nothing: the rows in Blender may be gone, or this is another farm."""
        self.jobs.clear()
        self.slaves.clear()
        self._wishes.clear()
        self._is_new, self.is_whole, self._news = True, False, News(replaces_all=True)
        self.version += 1

    def close(self) -> None:
        """Forgets a farm that is left. Safe to call twice."""
        if self.handle is not None:
            self.handle, self.head = None, STOPPED
            self.forget()

    def read(self, handle: Client | Master) -> bool:
        """Takes over some changes. True when there are more at once. Raises native errors."""
        if handle is not self.handle:
            self.forget()
            self.handle = handle
        changes = handle.changes(anew=self._is_new, limit=ROWS)
        self._is_new = False
        self.head = {key: value for key, value in changes.items() if key not in OF_LISTS}
        jobs, slaves = changes["jobs"], changes["slaves"]
        gone_jobs, gone_slaves = changes["gone_jobs"], changes["gone_slaves"]
        has_more = changes["more"]
        for job in jobs:
            self._news.jobs.add(job["id"])
            self.jobs[job["id"]] = job
        for slave in slaves:
            if slave["state"] == "gone":
                gone_slaves.append(slave["id"])
            else:
                self._news.slaves.add(slave["id"])
                self.slaves[slave["id"]] = slave
        for number in gone_jobs:
            self.jobs.pop(number, None)
            self._news.gone_jobs.add(number)
        for number in gone_slaves:
            self.slaves.pop(number, None)
            self._news.gone_slaves.add(number)
        self.is_whole = self.is_whole or (self.is_connected() and not has_more)
        if jobs or slaves or gone_jobs or gone_slaves:
            self.version += 1
        return has_more

    def take_news(self) -> News:
        """The changes since the last call, which from now on count as shown."""
        news, self._news = self._news, News()
        return news

    def is_connected(self) -> bool:
        return self.head["state"] in ("connected", "running")

    def address(self) -> str:
        """The master's URL; "" while it is not known."""
        return self.head.get("url") or self.head.get("master") or ""

    def priority(self, number: int) -> int:
        """A job's priority as the artist set it, else as the farm has it."""
        wish = self._wishes.get(number)
        if wish is not None:
            return wish.priority
        job = self.jobs.get(number)
        return job["priority"] if job is not None else 0

    def wish(self, number: int, priority: int) -> None:
        """The artist sets a job's priority. It is sent once the value stands still."""
        self._wishes[number] = Wish(priority)

    def ripe_wishes(self) -> list[tuple[int, int]]:
        """[(job, priority)] to be sent now. Drops the wishes that the farm has confirmed, or will
        not.
        """
        now = time.monotonic()
        ripe = []
        for number, wish in list(self._wishes.items()):
            job = self.jobs.get(number)
            is_confirmed = job is None or job["priority"] == wish.priority
            if wish.is_sent and (is_confirmed or now - wish.at > PATIENCE_S):
                del self._wishes[number]
                self.version += 1
            elif not wish.is_sent and now - wish.at > QUIET_S:
                wish.is_sent = True
                ripe.append((number, wish.priority))
        return ripe


class News:
    """Numbers of the rows that changed and of those that are gone."""

    def __init__(self, replaces_all: bool = False):
        self.replaces_all = replaces_all  # whatever rows Blender has are void
        self.jobs: set[int] = set()
        self.gone_jobs: set[int] = set()
        self.slaves: set[int] = set()
        self.gone_slaves: set[int] = set()


class Wish:
    """A priority that the artist set, until the farm confirms it."""

    def __init__(self, priority: int):
        self.priority, self.at, self.is_sent = priority, time.monotonic(), False


client_lists = FarmLists()  # of the farm that this Blender sends to
master_lists = FarmLists()  # of the master in this Blender


def lists_of(is_master: bool) -> FarmLists:
    return master_lists if is_master else client_lists
