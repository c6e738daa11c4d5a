# SPDX-License-Identifier: GPL-3.0-or-later
"""Lateness of Blender's main thread with the add-on at work, beside a Blender without it. Medians.

Three loads: files are sent, four downloads run, and the jobs of a list of a thousand change a
thousand times a second. What moves has to be drawn, and the machine has the work to do whoever does
it; so the add-on is held beside a Blender that draws the same editor as often, without the add-on,
while the program `netrender` does the same.
"""

import http.client
import json
import os
import re
import statistics
import threading
import time
from pathlib import Path

from bench import build
from bench.farms import new_farm
from bench.history import job_accepted, write_log
from support import screens, text
from support.addon import Addon
from support.blender import find_program
from support.farm import PROGRAM
from support.leaks import QUIET

DEFAULTS = {"gibibytes": 2.0, "turns": 3, "loads": "send,fetch,list"}
SHORT = {"gibibytes": 0.25, "turns": 1}
STORY = Path(__file__).with_name("stalls_in_blender.py")
JOBS, UPDATES_PER_S, SENDERS, LIST_S, FILMS = 1000, 1000, 4, 20, 36


def queue():
    """The log of a master with jobs that nobody renders."""
    for job in range(1, JOBS + 1):
        yield job_accepted(job, f"sh{job:04}_lighting", 100, category=f"Episode {job % 12}")


class Editors:
    """Edit one job after the other, so many times a second, until it is over."""

    def __init__(self, url):
        self.host, self.over, self.done = url.split("//")[1].rstrip("/"), threading.Event(), [0] * SENDERS
        self.threads = [threading.Thread(target=self.edit, args=(n,)) for n in range(SENDERS)]
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()

    def edit(self, mine):
        line = http.client.HTTPConnection(self.host, timeout=60)
        while not self.over.is_set():
            number = self.done[mine] * SENDERS + mine
            self.over.wait(max(0.0, self.began + number / UPDATES_PER_S - time.monotonic()))
            body = json.dumps({"category": f"Edit {number}"})
            line.request(
                "PATCH", f"/api/v1/jobs/{number % JOBS + 1}", body, {"Content-Type": "application/json"}
            )
            answer = line.getresponse()
            said = answer.read()
            assert answer.status == 200, said
            self.done[mine] += 1

    def close(self):
        """How many a second it became."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        return sum(self.done) / (time.monotonic() - self.began)


class Bench:
    def __init__(self, farm, screen, blender, turns):
        self.farm, self.blender, self.turns = farm, blender, turns
        addon = Addon(farm, blender)
        addon.script(QUIET)
        self.environ = {**addon.environ, **screens.on(screen)}

    def run(self, load, blend, master, *what):
        what = [load, PROGRAM, master.url, self.turns, *what]
        command = self.blender.with_windows(STORY, *what, size=(1200, 900), blend=blend)
        done = self.farm.run(command, timeout_s=3000, **self.environ)
        assert done.code == 0, done.out + done.err
        return json.loads(text.found(r"^FIGURES (.*)", done.out, re.MULTILINE)[1])

    def master(self, name):
        """In life it is another machine: here it takes of this one what Blender leaves."""
        self.farm.prefix = ["chrt", "--idle", "0"]
        try:
            master = self.farm.master(name=name, data=self.farm.folder / name)
        finally:
            self.farm.prefix = []
        # Linux shares the processors out among sessions first, of which it has one to itself, like
        # Blender.
        group = Path(f"/proc/{master.popen.pid}/autogroup")
        if group.exists():
            group.write_text("19")
        return master

    def send(self, gibibytes):
        blend = self.blender.build(self.farm.folder / "shots" / "a.blend", "rich")
        files = []
        for turn in range(2 * self.turns):  # one for the program, one for the add-on
            files.append(blend.parent / f"noise-{turn}.bin")
            with files[-1].open("wb") as file:
                for _ in range(int(gibibytes * 1024)):
                    file.write(os.urandom(1 << 20))
        os.sync()
        master = self.master("sent")
        figures = self.run("send", blend, master, *files)
        for file in files:
            file.unlink()
        self.farm.stop(master)
        return figures

    def fetch(self):
        blend = self.blender.build(
            self.farm.folder / "large" / "a.blend", "rich", "size=1920x1080", f"frames=1-{FILMS}"
        )
        master = self.master("films")
        slave = self.farm.slave(master, self.blender, name="anna")
        job = self.farm.submit(master, self.blender, blend, "--wait")
        self.farm.stop(slave)
        folder = self.farm.folder / "fetched"
        print(f"fetch: {FILMS} films of 1920 x 1080 in each of four downloads")
        figures = self.run("fetch", blend, master, job, folder)
        self.farm.stop(master)
        return figures

    def list(self):
        blend = self.farm.folder / "shots" / "a.blend"
        self.farm.stop(self.master("busy"))
        write_log(self.farm.folder / "busy" / "farm.db", queue())
        # So many requests a second would be as many lines in its log.
        self.farm.environ["NETRENDER_LOG"] = "warn,netrender_cli=info"
        master = self.master("busy")
        editors = Editors(master.url)
        try:
            return self.run("list", blend, master, LIST_S)
        finally:
            print(f"list: {JOBS} jobs, {editors.close():.0f} updates a second")
            self.farm.stop(master)


def show(load, figures):
    told = {}
    for key in ("p99", "max"):
        rest, program, addon = (
            statistics.median(turn[side][key] for turn in figures) for side in ("rest", "program", "addon")
        )
        added = statistics.median(turn["addon"][key] - turn["program"][key] for turn in figures)
        print(
            f"{load}: {key:4} at rest {rest:6.1f} ms, redrawing beside the program {program:6.1f} ms, "
            f"with the add-on {addon:6.1f} ms, added {added:6.1f} ms"
        )
        told[f"{key}_ms"] = {"rest": rest, "program": program, "addon": addon, "added": added}
    longest = {}
    for turn in figures:
        for name, took in turn["ours_ms"].items():
            longest[name] = max(longest.get(name, 0), took)
    listed = ", ".join(f"{n} {ms}" for n, ms in sorted(longest.items(), key=lambda x: -x[1])[:6])
    print(f"{load}: longest of ours, ms: {listed}")
    took = statistics.median(turn["took_s"] for turn in figures)
    saving = max(turn["saving_the_copy_ms"] for turn in figures)
    print(f"{load}: {took:.1f} s a turn; saving the copy {saving:.0f} ms, not counted above", flush=True)
    return {**told, "longest_of_ours_ms": max(longest.values(), default=0), "turn_s": took}


def measure(gibibytes, turns, loads):
    build.native_module()
    blender = find_program()
    assert blender, "no Blender with windows on the PATH"
    with screens.new_screen() as screen, new_farm() as farm:
        bench = Bench(farm, screen, blender, turns)
        blender.build(farm.folder / "shots" / "a.blend", "rich")
        return {
            load: show(load, bench.send(gibibytes) if load == "send" else getattr(bench, load)())
            for load in loads.split(",")
        }
