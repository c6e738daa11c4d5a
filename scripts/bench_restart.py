# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a master's folder with many finished frames, starts a master on it several times, and prints medians."""

import contextlib
import hashlib
import json
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

FRAMES_PER_JOB = 1000


def digest(*words):
    return hashlib.blake2s(repr(words).encode()).hexdigest()


def events(frames):
    """What a master wrote down while these frames were rendered, but for the leases."""
    for job in range(1, -(-frames // FRAMES_PER_JOB) + 1):
        last = min(FRAMES_PER_JOB, frames - (job - 1) * FRAMES_PER_JOB)
        spec = {
            "name": f"shot {job}",
            "frames": f"1-{last}",
            "engine": "CYCLES",
            "blender": [3, 4],
            "width": 1920,
            "height": 1080,
            "manifest": digest("manifest", job),
        }
        yield {"type": "job_accepted", "job": job, "spec": spec}
        for frame in range(1, last + 1):
            result = {
                "slave": frame % 20 + 1,
                "film": digest("film", job, frame),
                "film_bytes": 20_000_000 + frame,
                "preview": digest("preview", job, frame),
                "log": digest("log", job, frame),
                "seconds": frame / 7,
            }
            yield {"type": "task_done", "job": job, "frame": frame, "result": result}


def write_log(database, happened):
    """Fills the log of a master that is not running."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA synchronous = OFF")
        rows = ((2, json.dumps({"at": 1_700_000_000_000, "event": event})) for event in happened)
        with db:
            db.executemany("INSERT INTO event (version, body) VALUES (?, ?)", rows)


class Master:
    """One start: seconds to the first answer (about a job), and the most memory it had until then."""

    def __init__(self, program, folder, job=None):
        began = time.perf_counter()
        command = [
            program,
            "master",
            "--data",
            folder,
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-broadcast",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        url = re.search(r"listening on (http://\S+)", line).group(1)
        with urllib.request.urlopen(f"{url}/api/v1/{f'jobs/{job}' if job else 'info'}") as answer:
            self.answer = json.load(answer)
        self.seconds = time.perf_counter() - began
        # Linux tells; elsewhere the figure is left out.
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            self.peak_mb = int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1000

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


def main(program, frames, starts):
    jobs = -(-frames // FRAMES_PER_JOB)
    with tempfile.TemporaryDirectory(prefix="netrender-bench-") as folder:
        database = Path(folder) / "farm.db"
        empty = Master(program, folder)
        empty.stop()
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
        peak = max(getattr(run, "peak_mb", 0) for run in runs)
        print(f"{frames} frames in {jobs} jobs")
        print(f"start to first answer: {median:.2f} s (median of {starts})")
        print(f"with the whole log still to be read: {first.seconds:.2f} s")
        print(f"memory: {peak:.0f} MB at most")
        print(f"on disk: {bytes_per_frame:.0f} bytes a frame after the snapshot")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]), int(sys.argv[3]))
