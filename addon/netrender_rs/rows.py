# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm's jobs and slaves as rows that Blender's lists can draw and scripts can read: `client_farm` and
`master_farm` of `window_manager.netrender`. Filled by the session from its mirrors; only what changed is written.
"""

import bisect

import bpy
from bpy.props import BoolProperty, CollectionProperty, FloatProperty, IntProperty, StringProperty
from bpy.types import PropertyGroup

from . import session

ENGINE_WORDS = {
    "CYCLES": "Cycles",
    "BLENDER_EEVEE": "EEVEE",
    "BLENDER_EEVEE_NEXT": "EEVEE",
    "BLENDER_WORKBENCH": "Workbench",
}


class NETRENDER_PG_job_row(PropertyGroup):
    """One row of a job list; `name` is PropertyGroup's own, which makes the list's search field work."""

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
    seconds_left: FloatProperty(default=-1.0)


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


def get_priority(farm):
    job = farm.selected_job()
    return farm.mirror().priority(job.number) if job is not None else 0


def set_priority(farm, value):
    """Sent by the timer once the value stands still."""
    job = farm.selected_job()
    if job is not None and farm.mirror().priority(job.number) != value:
        farm.mirror().wish(job.number, value)


class NETRENDER_PG_farm(PropertyGroup):
    """What a master keeps, as rows for lists, in order of numbers. What can be changed of a row is here and not in it:
    rows move in memory when there are more, under the hand of whoever drags a slider."""

    is_master: BoolProperty()
    jobs: CollectionProperty(type=NETRENDER_PG_job_row)
    job_index: IntProperty(name="Job")
    slaves: CollectionProperty(type=NETRENDER_PG_slave_row)
    slave_index: IntProperty(name="Slave")
    chosen: IntProperty()  # number of the job that shall stay selected
    is_settled: BoolProperty()  # the lists are whole: what is selected was chosen
    priority: IntProperty(
        name="Priority",
        description="Of the selected job. Higher goes first",
        min=0,
        max=100,
        get=get_priority,
        set=set_priority,
    )

    def mirror(self):
        return session.master_farm if self.is_master else session.client_farm

    def selected_job(self):
        return self.jobs[self.job_index] if 0 <= self.job_index < len(self.jobs) else None

    def selected_slave(self):
        return self.slaves[self.slave_index] if 0 <= self.slave_index < len(self.slaves) else None

    def show(self, farm, news, select=0):
        """Brings the rows up to date. The selected job stays selected although rows come and go, unless another one
        is named; at first it is the newest."""
        self.is_master = farm is session.master_farm
        job, slave = self.selected_job(), self.selected_slave()
        if job is not None and self.is_settled:
            self.chosen = job.number
        slave = slave.number if slave is not None else 0
        if news.anew:
            self.jobs.clear()
            self.slaves.clear()
        numbers = update_rows(self.jobs, farm.jobs, news.jobs, news.gone_jobs, write_job)
        if select in farm.jobs:
            self.chosen = select
        newest = len(numbers) - 1
        at = min(bisect.bisect_left(numbers, self.chosen), newest) if self.chosen else newest
        put(self, "job_index", max(0, at))
        self.is_settled = farm.is_whole
        numbers = update_rows(self.slaves, farm.slaves, news.slaves, news.gone_slaves, write_slave)
        at = bisect.bisect_left(numbers, slave)
        put(self, "slave_index", max(0, min(at, len(numbers) - 1)))


def update_rows(rows, items, changed, gone, write):
    """The rows' numbers, in order, as the rows are."""
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


def put(row, key, value):
    """Reading is cheaper than writing, and most of a row that changed is as it was."""
    if getattr(row, key) != value:
        setattr(row, key, value)


def write_job(row, job):
    for key in (
        "name",
        "status",
        "state",
        "frames",
        "why",
        "priority",
        "done",
        "total",
        "failed",
        "rendering",
    ):
        put(row, key, job[key])
    left = job["left_s"]
    put(row, "seconds_left", -1.0 if left is None else left)


def write_slave(row, slave):
    put(row, "engines", ", ".join(ENGINE_WORDS.get(engine, engine) for engine in slave["engines"]))
    put(row, "blender", ".".join(map(str, slave["blender"])))
    for key in ("name", "state", "status", "progress", "paused", "draining", "threads"):
        put(row, key, slave[key])
    for key in ("job", "frame"):
        put(row, key, slave[key] or 0)


CLASSES = (NETRENDER_PG_job_row, NETRENDER_PG_slave_row, NETRENDER_PG_farm)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
