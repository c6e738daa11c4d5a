# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs of masters, made up: as if many jobs had been sent and many frames rendered."""

import contextlib
import hashlib
import json
import sqlite3

from support import fake_blender


def digest(*words):
    return hashlib.blake2s(repr(words).encode()).hexdigest()


def job_accepted(job, name, frames, **more):
    spec = {
        "name": name,
        "frames": f"1-{frames}",
        "engine": fake_blender.ENGINE,
        "blender": fake_blender.VERSION[:2],
        "width": fake_blender.WIDTH,
        "height": fake_blender.HEIGHT,
        "manifest": digest("manifest", job),
        **more,
    }
    return {"type": "job_accepted", "job": job, "spec": spec}


def task_done(job, frame, slave, seconds, **more):
    result = {
        "slave": slave,
        "film": digest("film", job, frame),
        "film_bytes": 20_000_000 + frame,
        "preview": digest("preview", job, frame),
        "log": digest("log", job, frame),
        "seconds": seconds,
        **more,
    }
    return {"type": "task_done", "job": job, "frame": frame, "result": result}


def write_log(database, events):
    """Adds the events to the log of a master that is not running."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA synchronous = OFF")
        rows = ((2, json.dumps({"at": 1_700_000_000_000, "event": event})) for event in events)
        with db:
            db.executemany("INSERT INTO event (version, body) VALUES (?, ?)", rows)
