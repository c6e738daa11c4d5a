# SPDX-License-Identifier: GPL-3.0-or-later
"""Start of a master with a long history, to its first answer; its memory and disk. Medians.

The first start of all reads the whole log, later ones a snapshot of it.
"""

import contextlib
import json
import sqlite3
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from bench import build
from bench.history import job_accepted, task_done, write_log
from support import text

DEFAULTS = {"frames": 1_000_000, "starts": 5}
SHORT = {"frames": 50_000, "starts": 2}
FRAMES_PER_JOB = 1000


def events(frames):
    """The log of a master that got these frames rendered, without the leases."""
    for job in range(1, -(-frames // FRAMES_PER_JOB) + 1):
        last = min(FRAMES_PER_JOB, frames - (job - 1) * FRAMES_PER_JOB)
        yield job_accepted(job, f"shot {job}", last, engine="CYCLES", width=1920, height=1080)
        for frame in range(1, last + 1):
            yield task_done(job, frame, slave=frame % 20 + 1, seconds=frame / 7)


class Master:
    """One start: seconds to the first answer (about a job), and the most memory it had until then."""

    def __init__(self, program, folder, job=None):
        began = time.perf_counter()
        command = [program, "master", "--data", folder, "--host", "127.0.0.1", "--port", "0"]
        command.append("--no-broadcast")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        url = text.found(r"listening on (http://\S+)", self.process.stdout.readline())[1]
        with urllib.request.urlopen(f"{url}/api/v1/{f'jobs/{job}' if job else 'info'}") as answer:
            self.answer = json.load(answer)
        self.seconds = time.perf_counter() - began
        self.peak_mb = 0.0  # where the system is not Linux
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            self.peak_mb = int(text.found(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def weight(database):
    """Bytes of the database that hold something."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def measure(frames, starts, program=None):
    program = program or build.program()
    jobs = -(-frames // FRAMES_PER_JOB)
    with tempfile.TemporaryDirectory(prefix="netrender-bench-") as folder:
        database = Path(folder) / "farm.db"
        Master(program, folder).stop()
        bare = weight(database)
        write_log(database, events(frames))
        first = Master(program, folder, jobs)
        first.stop()
        bytes_per_frame = (weight(database) - bare) / frames
        runs = []
        for _ in range(starts):
            run = Master(program, folder, jobs)
            run.stop()
            assert run.answer["state"] == "finished", run.answer["state"]
            runs.append(run)
    median = statistics.median(run.seconds for run in runs)
    peak = max(run.peak_mb for run in runs)
    print(f"{frames} frames in {jobs} jobs")
    print(f"start to first answer: {median:.2f} s (median of {starts})")
    print(f"with the whole log still to be read: {first.seconds:.2f} s")
    print(f"memory: {peak:.0f} MB at most")
    print(f"on disk: {bytes_per_frame:.0f} bytes a frame after the snapshot")
    return {
        "first_answer_s": median,
        "first_answer_from_log_s": first.seconds,
        "memory_mb": peak,
        "disk_bytes_per_frame": bytes_per_frame,
    }
