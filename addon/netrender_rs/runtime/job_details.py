# SPDX-License-Identifier: GPL-3.0-or-later
"""Details of the selected job that its row lacks: errors, the blacklist, shared frames. Fetched in
the background, again when the row changed, and not so often that a job of many frames keeps the
master busy. Knows nothing of bpy.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .background import Background
from .farms import Farm

if TYPE_CHECKING:
    from netrender_native import JobRow, JobSummary

INTERVAL_S = 1.0  # between two requests
SHARE_OF_TIME = 0.05  # of a master that takes long to answer


class JobDetails:
    """The details of one job at a time: the one selected in the list that was drawn last."""

    def __init__(self):
        self.version = 0  # grows with every answer
        self.farm: Farm | None = None  # whose list was drawn last
        self._summary: JobSummary | None = None
        self._summary_farm: Farm | None = None
        self._row: tuple[int, JobRow] | None = (
            None  # the job's number and its row when its details were fetched
        )
        self._work = None  # (Background, farm, number, row, when it began)
        self._next_at = 0.0

    def want(self, farm: Farm) -> None:
        """Asks for the details of this farm's selected job. Called while a list is drawn, so it
        starts nothing.
        """
        self.farm = farm

    def of(self, farm: Farm, number: int) -> JobSummary | None:
        """The details of a job; None while they are not known."""
        is_it = self._summary is not None and self._summary_farm is farm and self._summary["id"] == number
        return self._summary if is_it else None

    def invalidate(self) -> None:
        """Fetches the details again: something was done to the job that its row may not show."""
        self._row = None

    def turn(self, farm: Farm, number: int) -> None:
        """Takes an answer over and asks again where need be. Called by the timer."""
        now = time.monotonic()
        if self._work is not None:
            work, asked, job, row, began = self._work
            if not work.is_over():
                return
            self._work = None
            self._next_at = now + max(INTERVAL_S, (now - began) / SHARE_OF_TIME)
            # A job that is gone has no details; why not is said by whoever removed it.
            self._summary, self._summary_farm = None if work.error else work.result, asked
            self._row = (job, row)
            self.version += 1
        row = farm.lists.jobs.get(number)
        if row is None or (self._summary_farm is farm and self._row == (number, row)):
            return
        is_other = self.of(farm, number) is None
        if now >= self._next_at or is_other:
            self._work = (Background(farm.client().job_summary, number), farm, number, row, now)

    def forget(self) -> None:
        self._summary = self._summary_farm = self._work = self._row = None
