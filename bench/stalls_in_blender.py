# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows: measures how late a timer is that does nothing else; in turns at
rest, redrawing the editor without the add-on while the program `netrender` does the work, and with
the add-on doing it. `-- LOAD PROGRAM MASTER TURNS WHAT...`, where LOAD is

- `send`: sends the scene with a file beside it; WHAT: two files a turn.
- `fetch`: four downloads at once; WHAT: the number of a job, and a folder.
- `list`: the panel shows the jobs of the master, as they change; WHAT: seconds a turn.

Prints one line `FIGURES {...}`: a list a turn, lateness in milliseconds.
"""

import json
import shutil
import subprocess
import sys
import time

import bpy

from support.gui.stop_watch import TURN_S, saving, spent, watch
from support.gui.story import (
    area,
    click,
    lateness,
    properties_beside_consoles,
    region_of,
    tell,
    turns,
    until,
)

LOAD, PROGRAM, MASTER, TURNS, *WHAT = sys.argv[sys.argv.index("--") + 1 :]
QUIET_S = 8
REDRAW_S = 0.25
PATIENCE_S = 900


def while_passing(seconds):
    end = time.monotonic() + seconds
    yield from until(lambda: time.monotonic() > end, seconds=PATIENCE_S)


def beside_the_program(turn):
    """The editor is drawn as often as the add-on does at most, and has nothing of ours in it."""
    commands = []
    if LOAD == "send":
        blender = ("--blender", bpy.app.binary_path)
        commands.append(["submit", bpy.data.filepath, *blender, "--add", WHAT[2 * turn]])
    elif LOAD == "fetch":
        job, folder = WHAT
        commands += [["get", job, "--output", f"{folder}/{turn}-{n}"] for n in range(4)]
    work = [  # steps back behind Blender, as the add-on's threads do
        subprocess.Popen(
            ["nice", "-n", "19", PROGRAM, *command, "--master", MASTER], stdout=subprocess.DEVNULL
        )
        for command in commands
    ]
    end = time.monotonic() + (QUIET_S if LOAD == "list" else 0.0)
    due = 0.0
    while time.monotonic() < end or any(program.poll() is None for program in work):
        if time.monotonic() > due:
            due = time.monotonic() + REDRAW_S
            region_of(area()).tag_redraw()
        yield
    assert [program.returncode for program in work] == [0] * len(work)


def measured():
    """The lateness since `turns` was cleared: 50th, 99th percentile, maximum."""
    found = sorted(lateness(TURN_S))
    return {
        "turns": len(found),
        "p50": round(1000 * found[len(found) // 2], 2),
        "p99": round(1000 * found[len(found) * 99 // 100], 2),
        "max": round(1000 * found[-1], 2),
    }


def send(turn):
    from netrender_rs.runtime import session

    extra = bpy.context.scene.netrender.job.extra
    extra.clear()
    extra.add().path = WHAT[2 * turn + 1]
    session.sent_jobs.last, session.notices.sentence = 0, ""
    assert click("send_job") == {"RUNNING_MODAL"}
    yield from until(lambda: session.sent_jobs.last or session.notices.sentence, seconds=PATIENCE_S)
    assert session.sent_jobs.last, session.notices.sentence


def fetch(turn):
    from netrender_rs import submission
    from netrender_rs.runtime import session

    job, folder = WHAT
    client = submission.client_for(bpy.context.scene)
    downloads = []
    for n in range(4):
        handle = client.fetch(int(job), "", "exr", f"{folder}/{turn}-{n}-here")
        downloads.append(session.Transfer(handle, "Getting Frame"))
        session.transfers.append(downloads[-1])
    yield from until(lambda: all(d.over() for d in downloads), seconds=PATIENCE_S)
    assert [d.error for d in downloads] == [""] * 4
    shutil.rmtree(folder)


def show_list(_turn):
    from netrender_rs.runtime import session

    yield from while_passing(float(WHAT[0]))
    assert session.client_farm.lists.head["state"] == "connected"


LOADS = {"send": send, "fetch": fetch, "list": show_list}


def story():
    properties_beside_consoles()
    figures = []
    for turn in range(int(TURNS)):
        yield from while_passing(1)
        turns.clear()
        yield from while_passing(QUIET_S)
        rest = measured()
        turns.clear()
        yield from beside_the_program(turn)
        program = measured()

        bpy.ops.preferences.addon_enable(module="netrender_rs")
        from netrender_rs.runtime import session

        if turn == 0:
            watch()
        bpy.context.scene.netrender.client.master = MASTER
        yield from until(lambda: session.client_farm.lists.head["state"] == "connected", seconds=PATIENCE_S)
        yield from while_passing(1)
        spent.clear()
        saving[0] = 0.0
        turns.clear()
        began = time.perf_counter()
        yield from LOADS[LOAD](turn)
        figures.append(
            {
                "rest": rest,
                "program": program,
                "addon": measured(),
                "took_s": round(time.perf_counter() - began, 2),
                "saving_the_copy_ms": round(1000 * saving[0], 1),
                "ours_ms": {n: round(1000 * s, 2) for n, s in sorted(spent.items(), key=lambda x: -x[1])},
            }
        )
        print("TURN", json.dumps(figures[-1]), flush=True)
        bpy.ops.preferences.addon_disable(module="netrender_rs")
    print("FIGURES", json.dumps(figures), flush=True)


tell(story, TURN_S)
