# SPDX-License-Identifier: GPL-3.0-or-later
"""A netrender_native without a farm, for tests of the add-on's face alone: what Blender shows and asks for. It keeps
to netrender_native.pyi. STUB_SECONDS is how long a transfer takes; STUB_LOOKS, if it is set, how often one must look at
it until it is over, however slow the machine is. STUB_FAIL makes services fail to start."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

__version__ = "0.0.0"


class NetrenderError(Exception):
    pass


class UsageError(NetrenderError):
    pass


class NoMasterError(NetrenderError):
    pass


class ServiceError(NetrenderError):
    pass


class RefusedError(NetrenderError):
    pass


requests = []  # what submit() got
calls = []  # names of what was started and stopped, in order
problems = []  # findings that the next look at a scene's files brings
jobs = []
slaves = [
    {
        "id": 1,
        "name": "anna",
        "state": "ready",
        "status": "Ready",
        "paused": False,
        "draining": False,
        "blender": (3, 4, 1),
        "job": None,
        "frame": None,
        "progress": "",
        "threads": 16,
        "engines": ["CYCLES", "BLENDER_WORKBENCH"],
        "info": {},
        "edits": 0,
        "pending": [],
    }
]
blacklist: dict[int, set[int]] = {}  # job -> slaves kept from it
masters = [{"id": "a", "name": "Studio", "url": "http://127.0.0.1:8000", "host": "h", "port": 8000}]


def new_job(number, **known):
    job = {
        "id": number, "name": "shot", "category": "", "priority": 50, "state": "active", "status": "Rendering",
        "frames": "1-250", "total": 3, "done": 1, "failed": 0, "rendering": 1, "why": "", "left_s": 12.0,
        "created_ms": 0, "edits": 0, "scripts": False,
    }  # fmt: skip
    return {**job, **known}


def find(job):
    for row in jobs:
        if row["id"] == job:
            return row
    raise RefusedError(f"There is no job {job}")


class Told:
    """What a reader of changes() knows."""

    def __init__(self):
        self.known = {}

    def changes(self, anew, limit):
        if anew:
            self.known = {}
        answer: dict[str, Any] = {"more": False}
        for kind, rows in (("jobs", jobs), ("slaves", slaves)):
            news = [row for row in rows if self.known.get((kind, row["id"])) != row]
            there = {(kind, row["id"]) for row in rows}
            gone = [key for key in self.known if key[0] == kind and key not in there]
            for key in gone:
                del self.known[key]
            self.known.update({(kind, row["id"]): dict(row) for row in news[:limit]})
            answer[kind] = [dict(row) for row in news[:limit]]
            answer[f"gone_{kind}"] = [number for _, number in gone]
            answer["more"] = answer["more"] or len(news) > limit
        return answer


class Service:
    kind = ""

    def __init__(self, data, *arguments, **keywords):
        self.data, self.arguments, self.keywords = data, arguments, keywords
        self.state = "stopped"

    def start(self):
        if os.environ.get("STUB_FAIL"):
            raise ServiceError("Port 8000 is taken. Choose another one")
        calls.append(f"start {self.kind}")
        self.state = "running" if self.kind == "master" else "rendering"

    def stop(self):
        calls.append(f"stop {self.kind}")
        self.state = "stopped"


class Master(Service):
    kind = "master"

    def snapshot(self):
        return {**self.head(), "jobs": list(jobs), "slaves": slaves}

    def changes(self, anew=False, limit=100):
        self.told = getattr(self, "told", None) or Told()
        return {**self.head(), **self.told.changes(anew, limit)}

    def head(self):
        return {
            "state": self.state,
            "url": f"http://127.0.0.1:{self.keywords['port']}",
            "port": self.keywords["port"],
            "name": self.keywords["name"] or "Studio",
            "data": self.data,
            "error": None,
        }


class Slave(Service):
    kind = "slave"

    def snapshot(self):
        return {
            "state": self.state,
            "message": "",
            "master": self.keywords["master"],
            "name": self.keywords["name"] or "anna",
            "blender": "3.4.1",
            "job": 1,
            "frame": 4,
            "progress": "Sample 12/64",
            "rendered": 3,
            "failed": 0,
            "error": None,
        }


class Transfer:
    def __init__(self, job, files=(), problems=(), refused=False):
        self.job, self.files, self.began, self.canceled = job, list(files), time.monotonic(), False
        self.problems, self.refused, self.looks = list(problems), refused, 0

    def snapshot(self):
        length = float(os.environ.get("STUB_SECONDS", "0.2"))
        share = min(1.0, (time.monotonic() - self.began) / length)
        if "STUB_LOOKS" in os.environ:
            self.looks += 1
            share = min(1.0, self.looks / int(os.environ["STUB_LOOKS"]))
        done = share == 1.0
        failed = done and self.refused
        report = {
            "verdict": "wrong" if self.problems else "ok", "findings": [],
            "headings": [{"kind": p["kind"], "severity": "wrong", "heading": "Missing files", "count": 1}
                         for p in self.problems],
            "files": 3, "bytes": 24_000_000, "problem_count": len(self.problems), "problems": self.problems,
            "notes": [], "largest": [],
        }  # fmt: skip
        return {
            "state": "canceled" if self.canceled else "failed" if failed else "done" if done else "running",
            "phase": "sending",
            "bytes_done": int(share * 24e6),
            "bytes_total": 24_000_000,
            "bytes_per_s": 24e6 / length,
            "bytes_sent": int(share * 4e6),
            "seconds": share * length,
            "seconds_left": (1 - share) * length,
            "reading": "",
            "waiting": "",
            "job": self.job if done and not failed else None,
            "files": self.files if done else [],
            "error": "; ".join(f"{p['path']}: {p['why']}" for p in self.problems) if failed else None,
            "report": report,
            "no_master": False,
        }

    def wait(self, timeout_s):
        end = time.monotonic() + timeout_s
        while self.snapshot()["state"] == "running":
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def cancel(self):
        self.canceled = True


class Client:
    def __init__(self, master=""):
        self.master, self.state, self.told = master, "stopped", Told()

    def start(self):
        calls.append("start client")
        self.state = "connected"

    def stop(self):
        calls.append("stop client")
        self.state = "stopped"

    def head(self):
        return {
            "state": self.state,
            "message": "",
            "master": self.master or "http://127.0.0.1:8000",
            "name": "Studio",
            "revision": len(jobs),
        }

    def snapshot(self):
        return {**self.head(), "jobs": list(jobs), "slaves": slaves}

    def changes(self, anew=False, limit=100):
        return {**self.head(), **self.told.changes(anew, limit)}

    def submit(self, request):
        assert Path(request["blend"]).read_bytes()[:7] == b"BLENDER", (
            "the copy is not there, or is compressed"
        )
        requests.append(request)
        if problems and not request["send_anyway"]:
            return Transfer(None, problems=problems, refused=True)
        number = max((job["id"] for job in jobs), default=0) + 1
        known = {key: request[key] for key in ("name", "category", "priority")}
        jobs.append(new_job(number, frames=request["frames"] or "1-250", **known))
        return Transfer(number)

    def check(self, request):
        requests.append(request)
        return Transfer(None, problems=problems)

    def fetch(self, job, frames, what, output):
        path = f"{output}/render_{job}_{frames}.{what}"
        shutil.copy(os.environ["STUB_EXR"], path)
        return Transfer(job, [path])

    def job_summary(self, job):
        find(job)
        return {
            "id": job, "blacklist": sorted(blacklist.get(job, ())), "split": "samples", "samples": 64,
            "unit": "samples",
            "split_note": "Frames are shared by samples",
            "errors": [{"frame": 2, "slave": 1, "message": "Blender crashed\nits last lines"}],
            "sharing": [{"frame": 4, "samples": (16, 64), "slaves": [1], "efficiency": 0.95}],
            "speeds": [{"slave": 1, "samples_per_s": 2.0, "kilosamples_per_s": 4147.2}],
            "warnings": [{"kind": "simulation", "severity": "may_differ", "where": "Object 'Grid'",
                          "message": "its cloth ends at frame 2", "hint": "Bake it"}],
        }  # fmt: skip

    def thumbnail(self, job, side=256):
        calls.append(f"thumbnail {job}")
        return 4, 2, bytes([200, 100, 50, 255]) * 8

    def cancel(self, job):
        find(job).update(state="canceled", status="Canceled")

    def cancel_all(self):
        for job in jobs:
            if job["state"] in ("active", "paused"):
                self.cancel(job["id"])

    def pause(self, job):
        find(job).update(state="paused", status="Paused")

    def resume(self, job):
        find(job).update(state="active", status="Rendering")

    def requeue(self, job, frames=""):
        find(job).update(failed=0, state="active", status="Queued")

    def delete(self, job):
        jobs.remove(find(job))

    def edit(self, job, settings):
        find(job).update(settings)

    def blacklist(self, job, slave, listed=True):
        listing = blacklist.setdefault(job, set())
        (listing.add if listed else listing.discard)(slave)

    def order(self, slave, verb):
        row = next(row for row in slaves if row["id"] == slave)
        row["paused"] = verb == "pause"


def data_folder(service):
    return Path(os.environ["XDG_DATA_HOME"]) / "netrender" / service


def end_threads():
    pass


def slave_settings():
    """As the native module's; test_contract.py compares them."""

    def info(setting, label, meaning, unit, least, most, default, limits):
        keys = ("setting", "label", "help", "unit", "min", "max", "default", "limits")
        return dict(zip(keys, (setting, label, meaning, unit, least, most, default, limits), strict=True))

    return [
        info(
            "name",
            "name",
            "Name shown in lists of slaves",
            "",
            1,
            200,
            None,
            "a slave's name has 1 to 200 characters",
        ),
        info(
            "tags",
            "tags",
            "Words that jobs may ask for",
            "",
            0,
            100,
            None,
            "a slave has at most 100 tags of 1 to 200 characters each",
        ),
        info(
            "threads",
            "number of threads",
            "Threads rendering may use",
            "",
            1,
            1024,
            None,
            "a slave renders with 1 to 1024 threads",
        ),
        info(
            "hang_timeout_s",
            "hang timeout",
            "A rendering Blender that prints nothing and uses no processor time for this long is killed and the "
            "frame tried again. 0: never",
            "s",
            0,
            604800,
            600,
            "the hang timeout is 0 (wait for ever) to 604800 seconds (a week)",
        ),
        info(
            "cache_limit_gb",
            "cache limit",
            "How much disk the files kept for jobs may take; the least recently used go first",
            "GB",
            0,
            1000000,
            50,
            "the cache limit is 0 to 1000000 GB",
        ),
        info(
            "upload_interval_s",
            "upload interval",
            "How long samples of a frame that slaves render together may take before they are sent: a crash costs "
            "no more",
            "s",
            1,
            3600,
            8,
            "the upload interval is 1 to 3600 seconds",
        ),
    ]


def discover(timeout_s=0.3):
    time.sleep(timeout_s)
    return [dict(master, protocol=1, version=__version__) for master in masters]
