# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs sent from this Blender: the last one, and those whose end is still to be announced."""

from ..farm_lists import FarmLists, News
from ..languages import rpt_
from .notices import Notices

OVER = ("finished", "failed", "canceled")


class SentJobs:
    def __init__(self):
        self.last = 0  # number of the job sent last; 0: none yet
        self.to_select = 0  # number of a job to be selected once the list has it; 0: none
        self.running: set[tuple[str | None, int]] = set()  # (master's address as given, number)

    def add(self, address: str | None, number: int) -> None:
        self.last = self.to_select = number
        self.running.add((address, number))

    def announce_ends(self, address: str | None, lists: FarmLists, news: News, notices: Notices) -> None:
        """Says in passing which jobs ended. Those that others sent have people of their own."""
        for number in news.jobs:
            job = lists.jobs.get(number)
            if (address, number) not in self.running or job is None or job["state"] not in OVER:
                continue
            self.running.discard((address, number))
            if job["state"] == "finished":
                words = rpt_("Job {} ({}) is finished: {} frames").format(number, job["name"], job["done"])
                notices.say_in_passing("INFO", words)
            elif job["state"] == "failed":
                words = rpt_("Job {} ({}) failed: {} of {} frames")
                words = words.format(number, job["name"], job["failed"], job["total"])
                notices.say_in_passing("WARNING", words)
