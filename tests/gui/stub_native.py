# SPDX-License-Identifier: GPL-3.0-or-later
"""A netrender_native without a farm, for tests of the add-on's face alone: what Blender shows and asks for. It keeps
to netrender_native.pyi. STUB_SECONDS is how long a transfer takes, STUB_FAIL makes services fail to start."""

import os
import shutil
import time
from pathlib import Path

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
        "status": "Idle",
        "blender": "3.4.1",
        "job": None,
        "frame": None,
        "progress": "",
        "threads": 16,
        "engines": ["CYCLES", "BLENDER_WORKBENCH"],
    }
]
masters = [{"id": "a", "name": "Studio", "url": "http://127.0.0.1:8000", "host": "h", "port": 8000}]


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
        return {
            "state": self.state,
            "url": f"http://127.0.0.1:{self.keywords['port']}",
            "port": self.keywords["port"],
            "name": self.keywords["name"] or "Studio",
            "data": self.data,
            "error": None,
            "jobs": list(jobs),
            "slaves": slaves,
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
        self.problems, self.refused = list(problems), refused

    def snapshot(self):
        length = float(os.environ.get("STUB_SECONDS", "0.2"))
        share = min(1.0, (time.monotonic() - self.began) / length)
        done = share == 1.0
        failed = done and self.refused
        report = {
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
        self.master, self.state = master, "stopped"

    def start(self):
        calls.append("start client")
        self.state = "connected"

    def stop(self):
        calls.append("stop client")
        self.state = "stopped"

    def snapshot(self):
        return {
            "state": self.state,
            "message": "",
            "master": self.master or "http://127.0.0.1:8000",
            "name": "Studio",
            "revision": len(jobs),
            "jobs": list(jobs),
            "slaves": slaves,
        }

    def submit(self, request):
        assert Path(request["blend"]).read_bytes()[:7] == b"BLENDER", (
            "the copy is not there, or is compressed"
        )
        requests.append(request)
        if problems and not request["send_anyway"]:
            return Transfer(None, problems=problems, refused=True)
        number = len(jobs) + 1
        jobs.append(
            {
                "id": number,
                "name": request["name"],
                "category": request["category"],
                "priority": request["priority"],
                "state": "active",
                "status": "Rendering",
                "frames": request["frames"] or "1-250",
                "total": 3,
                "done": 1,
                "failed": 0,
                "rendering": 1,
                "why": "",
                "created_ms": 0,
            }
        )
        return Transfer(number)

    def check(self, request):
        requests.append(request)
        return Transfer(None, problems=problems)

    def fetch(self, job, frames, what, output):
        path = f"{output}/render_{job}_{frames}.{what}"
        shutil.copy(os.environ["STUB_EXR"], path)
        return Transfer(job, [path])

    def cancel(self, job):
        if job > len(jobs):
            raise RefusedError(f"There is no job {job}")
        jobs[job - 1].update(state="canceled", status="Canceled")


def discover(timeout_s=0.3):
    time.sleep(timeout_s)
    return [dict(master, protocol=1, version=__version__) for master in masters]
