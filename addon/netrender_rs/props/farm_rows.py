# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm's jobs and slaves as rows that Blender's lists can draw and scripts can read:
`client_farm` and `master_farm` of `window_manager.netrender`. Filled from the farm's lists; only
what changed is written.
"""

import bisect
from typing import TYPE_CHECKING

from bpy.props import BoolProperty, CollectionProperty, FloatProperty, IntProperty, StringProperty
from bpy.types import PropertyGroup

from ..farm_lists import FarmLists, News, lists_of, master_lists

if TYPE_CHECKING:
    from netrender_native import JobRow, SlaveRow

ENGINE_WORDS = {
    "CYCLES": "Cycles",
    "BLENDER_EEVEE": "EEVEE",
    "BLENDER_EEVEE_NEXT": "EEVEE",
    "BLENDER_WORKBENCH": "Workbench",
}


class NETRENDER_PG_job_row(PropertyGroup):
    """One row of a job list; `name` is PropertyGroup's own, which makes the list's search field
    work.
    """

    number: IntProperty()
    status: StringProperty()
    state: StringProperty()
    frames: StringProperty()
    why: StringProperty()
    priority: IntProperty()
    done: IntProperty()
    total: IntProperty()
    failed: IntProperty()
    rendering: IntProperty()
    seconds_left: FloatProperty(default=-1.0)  # negative: not known


class NETRENDER_PG_slave_row(PropertyGroup):
    number: IntProperty()
    state: StringProperty()
    status: StringProperty()
    blender: StringProperty()
    engines: StringProperty()
    progress: StringProperty()
    paused: BoolProperty()
    draining: BoolProperty()
    job: IntProperty()
    frame: IntProperty()
    threads: IntProperty()


def get_priority(farm: "NETRENDER_PG_farm") -> int:
    job = farm.selected_job()
    return farm.lists().priority(job.number) if job is not None else 0


def set_priority(farm: "NETRENDER_PG_farm", value: int) -> None:
    """Notes the artist's wish; the timer sends it once the value stands still."""
    job = farm.selected_job()
    if job is not None and farm.lists().priority(job.number) != value:
        farm.lists().wish(job.number, value)


class NETRENDER_PG_farm(PropertyGroup):
    """The rows of one farm, in order of numbers. A row's priority is edited here and not in the
    row: rows move in memory when there are more, under the hand of whoever drags a slider.
    """

    is_master: BoolProperty()
    jobs: CollectionProperty(type=NETRENDER_PG_job_row)
    job_index: IntProperty(name="Job")
    slaves: CollectionProperty(type=NETRENDER_PG_slave_row)
    slave_index: IntProperty(name="Slave")
    chosen: IntProperty()  # number of the job that must stay selected
    is_settled: BoolProperty()  # the lists are whole: what is selected was chosen
    priority: IntProperty(
        name="Priority",
        description="Of the selected job. Higher goes first",
        min=0,
        max=100,
        get=get_priority,
        set=set_priority,
    )

    def lists(self) -> FarmLists:
        return lists_of(self.is_master)

    def selected_job(self) -> NETRENDER_PG_job_row | None:
        return self.jobs[self.job_index] if 0 <= self.job_index < len(self.jobs) else None

    def selected_slave(self) -> NETRENDER_PG_slave_row | None:
        return self.slaves[self.slave_index] if 0 <= self.slave_index < len(self.slaves) else None

    def show(self, lists: FarmLists, news: News, select: int = 0) -> None:
        """Brings the rows up to date. The selected job stays selected although rows come and go,
        unless another one is named; at first it is the newest.
        """
        self.is_master = lists is master_lists
        job, slave = self.selected_job(), self.selected_slave()
        if job is not None and self.is_settled:
            self.chosen = job.number
        slave_number = slave.number if slave is not None else 0
        if news.replaces_all:
            self.jobs.clear()
            self.slaves.clear()
        numbers = update_rows(self.jobs, lists.jobs, news.jobs, news.gone_jobs, write_job)
        if select in lists.jobs:
            self.chosen = select
        newest = len(numbers) - 1
        at = min(bisect.bisect_left(numbers, self.chosen), newest) if self.chosen else newest
        put(self, "job_index", max(0, at))
        self.is_settled = lists.is_whole
        numbers = update_rows(self.slaves, lists.slaves, news.slaves, news.gone_slaves, write_slave)
        at = bisect.bisect_left(numbers, slave_number)
        put(self, "slave_index", max(0, min(at, len(numbers) - 1)))


def update_rows(rows, items: dict, changed: set[int], gone: set[int], write) -> list[int]:
    """Removes, inserts and rewrites rows. Returns the rows' numbers in their order."""
    numbers = [row.number for row in rows]
    for number in gone:
        at = bisect.bisect_left(numbers, number)
        if at < len(numbers) and numbers[at] == number and number not in items:
            rows.remove(at)
            del numbers[at]
    for number in sorted(changed):
        if number not in items:
            continue
        at = bisect.bisect_left(numbers, number)
        if at == len(numbers) or numbers[at] != number:
            rows.add().number = number
            rows.move(len(numbers), at)
            numbers.insert(at, number)
        write(rows[at], items[number])
    return numbers


def put(row: PropertyGroup, key: str, value) -> None:
    """Sets a property that differs: reading is cheaper than writing, and most of a row that changed
    is as it was.
    """
    if getattr(row, key) != value:
        setattr(row, key, value)


JOB_KEYS = ("name", "status", "state", "frames", "why", "priority", "done", "total", "failed", "rendering")
SLAVE_KEYS = ("name", "state", "status", "progress", "paused", "draining", "threads")


def write_job(row: NETRENDER_PG_job_row, job: "JobRow") -> None:
    for key in JOB_KEYS:
        put(row, key, job[key])
    left = job["left_s"]
    put(row, "seconds_left", -1.0 if left is None else left)


def write_slave(row: NETRENDER_PG_slave_row, slave: "SlaveRow") -> None:
    put(row, "engines", ", ".join(ENGINE_WORDS.get(engine, engine) for engine in slave["engines"]))
    put(row, "blender", ".".join(map(str, slave["blender"])))
    for key in SLAVE_KEYS:
        put(row, key, slave[key])
    for key in ("job", "frame"):
        put(row, key, slave[key] or 0)


CLASSES = (NETRENDER_PG_job_row, NETRENDER_PG_slave_row, NETRENDER_PG_farm)
