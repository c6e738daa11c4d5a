# SPDX-License-Identifier: GPL-3.0-or-later
"""The web monitor of a large farm: what the page and the master cost, and how late the page is.

A thousand jobs with 100,000 frames, 500 made-up slaves that send 200 updates a second, 50 open
pages.
"""

import contextlib
import http.client
import itertools
import json
import os
import re
import selectors
import socket
import threading
import time
from pathlib import Path
from typing import Any

from bench.farms import new_farm
from bench.history import job_accepted, task_done, write_log
from support import fake_blender, text
from support.api import PROTOCOL, digest_of
from support.browser import Browser
from support.farm import wait_until

DEFAULTS = {"minutes": 10.0}  # that the page stays open
SHORT = {"minutes": 0.5}
JOBS, FRAMES, SLAVES, UPDATES_PER_S, PAGES = 1000, 100_000, 500, 200, 50
DONE_SHARE = 0.6
HAND_INS_PER_S = 10
SENDERS = 4
QUIET_S = 20
MARK = "aaa"  # a slave whose name stands first in the list, so that it is in sight
MARK_EVERY_S = 0.5

# What a real Blender says of itself, more or less.
BUILD = [f"option_number_{n}" for n in range(40)]


def jobs():
    """The log of a farm in which many frames are done and many wait."""
    frames = FRAMES // JOBS
    for job in range(1, JOBS + 1):
        yield job_accepted(job, f"sh{job:04}_lighting", frames, category=f"Episode {job % 12}")
        if job <= JOBS * DONE_SHARE:
            for frame in range(1, frames + 1):
                yield task_done(job, frame, frame % SLAVES + 1, 30 + frame / 7, preview=None, log=None)


class Line:
    """One kept connection to the master."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(url.split("//")[1].rstrip("/"), timeout=60)

    def call(self, method, path, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, {"Content-Type": kind})
        answer = self.connection.getresponse()
        read = answer.read()
        assert answer.status < 300, (path, answer.status, read[:300])
        return json.loads(read) if read else None


class Slave:
    def __init__(self, line, name):
        info = {
            "host": name,
            "os": "linux x86_64",
            "blender": fake_blender.VERSION,
            "build_hash": "a1b2c3d4e5f6",
            "build_options": BUILD,
            "engines": ["BLENDER_EEVEE", "BLENDER_WORKBENCH", fake_blender.ENGINE],
            "devices": [
                {"type": "OPTIX", "name": "NVIDIA GeForce RTX 4090"},
                {"type": "CPU", "name": "AMD EPYC"},
            ],
            "threads": 32,
            "memory_bytes": 128 << 30,
        }
        request = {"protocol": PROTOCOL, "key": name, "name": name, "info": info}
        self.id = line.call("POST", "/api/v1/slaves", request)["slave"]
        self.grant: dict[str, Any] = {}
        self.sample = 0

    def lease(self, line):
        held = [{key: self.grant[key] for key in ("lease", "job", "frames")}] if self.grant else []
        reply = line.call("POST", f"/api/v1/slaves/{self.id}/poll", {"held": held, "want": "now"})
        self.grant = reply["grant"] or self.grant

    def beat(self, line, text=None):
        self.sample = self.sample % 512 + 8
        progress = {
            "job": self.grant["job"],
            "frame": self.grant["frames"][0],
            "text": text or f"Sample {self.sample}/512",
        }
        line.call("POST", f"/api/v1/slaves/{self.id}/heartbeat", {"now": progress})

    def hand_in(self, line):
        job, frame = self.grant["job"], self.grant["frames"][0]
        film = fake_blender.film(f"{job}", frame)
        name = digest_of(film)
        line.call("PUT", f"/api/v1/blobs/{name}", film, "application/octet-stream")
        body = {
            "slave": self.id,
            "job": job,
            "frame": frame,
            "film": name,
            "preview": None,
            "log": None,
            "seconds": 40.0,
        }
        line.call("POST", "/api/v1/results", body)
        self.grant = {}
        self.lease(line)


class Farm:
    """Slaves that talk, so many times a second, until it is over."""

    def __init__(self, url):
        self.url, self.over, self.sent, self.errors = url, threading.Event(), itertools.count(), []
        line = Line(url)
        self.mark = Slave(line, MARK)
        self.slaves = [Slave(line, f"node-{n:03}") for n in range(1, SLAVES)]
        for slave in [self.mark, *self.slaves]:
            slave.lease(line)
            slave.beat(line)
        parts = [self.slaves[n::SENDERS] for n in range(SENDERS)]
        self.threads = [threading.Thread(target=self._guard, args=(self._talk, part)) for part in parts]
        self.threads.append(threading.Thread(target=self._guard, args=(self._stamp,)))
        for thread in self.threads:
            thread.start()

    def _guard(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as error:
            self.errors.append(error)
            self.over.set()

    def _talk(self, slaves):
        line, due = Line(self.url), time.monotonic()
        every = SENDERS / UPDATES_PER_S
        for number, slave in enumerate(itertools.cycle(slaves)):
            due += every
            if self.over.wait(max(0.0, due - time.monotonic())):
                return
            if number % (UPDATES_PER_S // HAND_INS_PER_S) == 0:
                slave.hand_in(line)
            else:
                slave.beat(line)
            next(self.sent)

    def _stamp(self):
        """One slave says what time it is; the page is asked when that was seen."""
        line = Line(self.url)
        while not self.over.wait(MARK_EVERY_S):
            self.mark.beat(line, f"at {time.time() * 1000:.0f}")

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


class Listeners:
    """Pages as the master sees them: open event streams, read and thrown away."""

    def __init__(self, url, count):
        self.selector, self.over, self.bytes = selectors.DefaultSelector(), False, 0
        self.connections = []
        host, port = url.split("//")[1].rstrip("/").split(":")
        for _ in range(count):
            connection = socket.create_connection((host, int(port)))
            connection.sendall(f"GET /api/v1/events?what=farm HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            connection.setblocking(False)
            self.connections.append(connection)
            self.selector.register(connection, selectors.EVENT_READ, connection)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        while not self.over:
            for key, _ in self.selector.select(0.2):
                self.bytes += len(key.data.recv(1 << 20))

    def close(self):
        self.over = True
        self.thread.join()
        for connection in self.connections:
            connection.close()


def cpu_s(pid):
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def cpu_share(pid, seconds):
    began, before = time.monotonic(), cpu_s(pid)
    time.sleep(seconds)
    return (cpu_s(pid) - before) / (time.monotonic() - began)


def page_process_mb(root):
    """The most memory that one of the browser's page processes holds, shared parts by their share."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    found = [0.0]
    for pid in parents:
        ancestor = pid
        while ancestor not in (0, root):
            ancestor = parents.get(ancestor, 0)
        with contextlib.suppress(OSError):
            if ancestor == root and b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes():
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                found.append(int(text.found(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) / 1000)
    return max(found)


WATCH = """
window.seen = [];
const look = () => {
  const words = document.querySelector(`tr[data-slave='${arguments[0]}'] .c-state small`);
  const stamp = Number(words?.textContent.slice(3));
  if (stamp && stamp !== window.last) { window.last = stamp; window.seen.push(Date.now() - stamp); }
  requestAnimationFrame(look);
};
look();
"""


def at(share, values):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(minutes):
    with new_farm() as env, contextlib.ExitStack() as closing:
        data = env.folder / "master-data"
        env.stop(env.master(data=data))
        write_log(data / "farm.db", jobs())
        # So many requests a second would be as many lines in its log.
        env.environ["NETRENDER_LOG"] = "warn,netrender_cli=info"
        master = env.master("--slave-timeout", "600", data=data)
        farm = Farm(master.url)
        closing.callback(farm.close)
        pid = master.popen.pid
        time.sleep(5)
        alone = cpu_share(pid, QUIET_S)
        print(f"{JOBS} jobs, {FRAMES} frames, {SLAVES} slaves, {UPDATES_PER_S} updates a second", flush=True)
        print(f"master without pages: {alone:.1%} of a core", flush=True)

        browser = Browser()
        closing.callback(browser.close)
        browser.open(f"{master.url}/#/")
        browser.find("tr[data-slave]")
        figures = browser.run("""
            const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
            const paint = performance.getEntriesByName('first-contentful-paint')[0];
            return [all.reduce((sum, one) => sum + one.encodedBodySize, 0), paint.startTime, all.length];
        """)
        print(
            f"the page: {figures[0] / 1000:.1f} kB in {figures[2]} files, first paint after {figures[1]:.0f} ms",
            flush=True,
        )
        listeners = Listeners(master.url, PAGES - 1)
        closing.callback(listeners.close)
        time.sleep(5)
        before = listeners.bytes
        began = time.monotonic()
        together = cpu_share(pid, QUIET_S)
        sent_rate = (listeners.bytes - before) / (time.monotonic() - began) / (PAGES - 1)
        print(
            f"master with {PAGES} pages: {together:.1%} of a core, so {together - alone:.1%} for the pages; "
            f"{sent_rate / 1000:.0f} kB/s to each",
            flush=True,
        )

        browser.run(WATCH, farm.mark.id)
        sent = next(farm.sent)
        until = time.monotonic() + 60 * minutes
        began = time.monotonic()
        while time.monotonic() < until:
            time.sleep(min(30, until - time.monotonic()))
            wait_until(master.alive, 1, "the master lives")
        rate = (next(farm.sent) - sent) / (time.monotonic() - began)
        seen = browser.run("return window.seen")
        root = browser.driver.service.process.pid
        process = page_process_mb(root)
        browser.cdp("HeapProfiler.collectGarbage")
        heap = browser.run("return performance.memory.usedJSHeapSize") / 1e6
        print(f"updates: {rate:.0f} a second")
        print(
            f"from a slave's word to the page that shows it: median {at(0.5, seen)} ms, p95 {at(0.95, seen)} ms, "
            f"most {max(seen)} ms ({len(seen)} seen)"
        )
        print(
            f"the page after {minutes:g} minutes: {heap:.1f} MB of script memory, its process {process:.0f} MB"
        )
    return {
        "master_cores": {"without_pages": alone, "with_pages": together},
        "page_kb": figures[0] / 1000,
        "first_paint_ms": figures[1],
        "kb_per_s_and_page": sent_rate / 1000,
        "updates_per_s": rate,
        "report_to_page_ms": {"median": at(0.5, seen), "p95": at(0.95, seen), "max": max(seen)},
        "page_mb": {"script": heap, "process": process},
    }
