# SPDX-License-Identifier: GPL-3.0-or-later
"""How much later Blender's main thread is with the add-on at work than without it: while GIBIBYTES are sent, while
four downloads run, and while the jobs of a list of a thousand change a thousand times a second. What moves has to be
drawn, and the machine has the work to do whoever does it; so the add-on is held beside a Blender that draws the same
editor as often, without the add-on, while the program `netrender` does the same. Each load in TURNS; medians."""

import contextlib
import http.client
import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("NETRENDER_TEST_PROGRAM", "target/release/netrender")
os.environ["NETRENDER_TEST_PROGRAM"] = str(Path(os.environ["NETRENDER_TEST_PROGRAM"]).absolute())
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "scripts"))

import blenders
from bench_restart import digest, write_log
from blenders import HERE
from chaos import fake_blender
from processes import PROGRAM, FarmEnv
from screens import new_screen
from test_headless import Addon
from test_leaks import QUIET

STORY = HERE / "gui" / "stalls_in_blender.py"
JOBS, UPDATES_PER_S, SENDERS, LIST_S, FILMS = 1000, 1000, 4, 20, 36


def queue():
    """The log of a master with jobs that nobody renders."""
    for job in range(1, JOBS + 1):
        spec = {
            "name": f"sh{job:04}_lighting",
            "category": f"Episode {job % 12}",
            "frames": "1-100",
            "engine": fake_blender.ENGINE,
            "blender": fake_blender.VERSION[:2],
            "width": fake_blender.WIDTH,
            "height": fake_blender.HEIGHT,
            "manifest": digest("manifest", job),
        }
        yield {"type": "job_accepted", "job": job, "spec": spec}


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
        self.environ = {**addon.environ, "DISPLAY": screen, "LIBGL_ALWAYS_SOFTWARE": "1"}

    def run(self, load, blend, master, *what):
        command = [self.blender.path, "--python-exit-code", 1, "--window-geometry", 0, 0, 1200, 900]
        command += [blend, "--python", STORY]
        what = [load, PROGRAM, master.url, self.turns, *what]
        done = self.farm.run([*command, "--", *what], timeout_s=3000, **self.environ)
        assert done.code == 0, done.out + done.err
        return json.loads(re.search(r"^FIGURES (.*)", done.out, re.MULTILINE)[1])

    def master(self, name):
        """In life it is another machine: here it takes of this one what Blender leaves."""
        self.farm.prefix = ["chrt", "--idle", "0"]
        try:
            master = self.farm.master(name=name, data=self.farm.folder / name)
        finally:
            self.farm.prefix = []
        # Linux shares the processors out among sessions first, of which it has one to itself, like Blender.
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
        self.farm.environ["RUST_LOG"] = "warn,netrender_farm::cli=info"
        master = self.master("busy")
        editors = Editors(master.url)
        try:
            return self.run("list", blend, master, LIST_S)
        finally:
            print(f"list: {JOBS} jobs, {editors.close():.0f} updates a second")
            self.farm.stop(master)


def show(load, figures):
    for key in ("p99", "max"):
        rest, program, addon = (
            statistics.median(turn[side][key] for turn in figures) for side in ("rest", "program", "addon")
        )
        added = statistics.median(turn["addon"][key] - turn["program"][key] for turn in figures)
        print(
            f"{load}: {key:4} at rest {rest:6.1f} ms, redrawing beside the program {program:6.1f} ms, "
            f"with the add-on {addon:6.1f} ms, added {added:6.1f} ms"
        )
    longest = {}
    for turn in figures:
        for name, took in turn["ours_ms"].items():
            longest[name] = max(longest.get(name, 0), took)
    listed = ", ".join(f"{n} {ms}" for n, ms in sorted(longest.items(), key=lambda x: -x[1])[:6])
    print(f"{load}: longest of ours, ms: {listed}")
    took = statistics.median(turn["took_s"] for turn in figures)
    saving = max(turn["saving_the_copy_ms"] for turn in figures)
    print(f"{load}: {took:.1f} s a turn; saving the copy {saving:.0f} ms, not counted above", flush=True)


def main(gibibytes, turns, loads):
    blender = blenders.find_program()
    with contextlib.ExitStack() as stack:
        screen = stack.enter_context(new_screen())
        # Not in /tmp, which may be memory: what is sent is written to a disk.
        target = Path(__file__).resolve().parent.parent / "target"
        farm = FarmEnv(Path(stack.enter_context(tempfile.TemporaryDirectory(dir=target))))
        stack.callback(farm.close)
        bench = Bench(farm, screen, blender, turns)
        blender.build(farm.folder / "shots" / "a.blend", "rich")
        for load in loads:
            show(load, bench.send(gibibytes) if load == "send" else getattr(bench, load)())


main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or ["send", "fetch", "list"])
