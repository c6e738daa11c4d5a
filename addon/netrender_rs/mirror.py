# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm's lists as this Blender knows them. The compiled module tells only what changed, and only some rows in one
turn, so that a thousand jobs cost the main thread no more than a hundred. Knows nothing of bpy.
"""

import time

STOPPED = {"state": "stopped", "message": "", "master": "", "name": "", "url": "", "error": None}
ROWS = 100  # taken over in one turn
QUIET_S = 0.4  # a slider that is dragged stands still for so long before its value is sent
PATIENCE_S = 5.0  # how long a value that was sent is shown before the farm confirms it


class Mirror:
    def __init__(self):
        self.handle = None
        self.head = STOPPED  # what changes() says apart from the rows
        self.jobs = {}  # number -> row, as in Client.snapshot()
        self.slaves = {}  # only those that are there or lost
        self.version = 0  # grows with every change
        self.is_whole = False  # all rows were told at least once
        self.anew = True  # the next turn begins from nothing
        self.news = News()  # what is not in Blender's rows yet
        self.wishes = {}  # number of a job -> Wish: a priority that the artist set

    def forget(self):
        """The rows in Blender may be gone, or this is another farm."""
        self.jobs.clear()
        self.slaves.clear()
        self.wishes.clear()
        self.anew, self.is_whole, self.news = True, False, News(anew=True)
        self.version += 1

    def close(self):
        if self.handle is not None:
            self.handle, self.head = None, STOPPED
            self.forget()

    def read(self, handle):
        """Takes some of the changes over. True when there are more at once. Raises native errors."""
        if handle is not self.handle:
            self.forget()
            self.handle = handle
        head = handle.changes(anew=self.anew, limit=ROWS)
        self.anew = False
        jobs, slaves = head.pop("jobs"), head.pop("slaves")
        gone_jobs, gone_slaves = head.pop("gone_jobs"), head.pop("gone_slaves")
        more = head.pop("more")
        self.head = head
        for job in jobs:
            self.news.jobs[job["id"]] = self.jobs.get(job["id"])
            self.jobs[job["id"]] = job
        for slave in slaves:
            if slave["state"] == "gone":
                gone_slaves.append(slave["id"])
            else:
                self.news.slaves.add(slave["id"])
                self.slaves[slave["id"]] = slave
        for number in gone_jobs:
            self.jobs.pop(number, None)
            self.news.gone_jobs.add(number)
        for number in gone_slaves:
            self.slaves.pop(number, None)
            self.news.gone_slaves.add(number)
        self.is_whole = self.is_whole or (self.is_connected() and not more)
        if jobs or slaves or gone_jobs or gone_slaves:
            self.version += 1
        return more

    def take_news(self):
        news, self.news = self.news, News()
        return news

    def is_connected(self):
        return self.head["state"] in ("connected", "running")

    def address(self):
        return self.head.get("url") or self.head.get("master") or ""

    def priority(self, number):
        """As the artist set it, else as the farm has it."""
        wish = self.wishes.get(number)
        if wish is not None:
            return wish.value
        job = self.jobs.get(number)
        return job["priority"] if job is not None else 0

    def wish(self, number, priority):
        self.wishes[number] = Wish(priority)

    def ripe_wishes(self):
        """[(job, priority)] to be sent now."""
        now = time.monotonic()
        ripe = []
        for number, wish in list(self.wishes.items()):
            job = self.jobs.get(number)
            if wish.sent and (job is None or job["priority"] == wish.value or now - wish.at > PATIENCE_S):
                del self.wishes[number]
                self.version += 1
            elif not wish.sent and now - wish.at > QUIET_S:
                wish.sent = True
                ripe.append((number, wish.value))
        return ripe


class News:
    """Numbers of rows that changed; of jobs also what they were before (None: they are new)."""

    def __init__(self, anew=False):
        self.anew = anew  # whatever there was is void
        self.jobs = {}
        self.gone_jobs = set()
        self.slaves = set()
        self.gone_slaves = set()


class Wish:
    def __init__(self, value):
        self.value, self.at, self.sent = value, time.monotonic(), False
