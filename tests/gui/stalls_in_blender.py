# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows: measures how late a timer is that does nothing else; in turns at rest, redrawing the
editor without the add-on while the program `netrender` does the work, and with the add-on doing it.
`-- LOAD PROGRAM MASTER TURNS WHAT...`, where LOAD is

- `send`: sends the scene with a file beside it; WHAT: two files a turn.
- `fetch`: four downloads at once; WHAT: the number of a job, and a folder.
- `list`: the panel shows the jobs of the master, as they change; WHAT: seconds a turn.

Prints one line `FIGURES {...}`: a list a turn, lateness in milliseconds.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from stop_watch import TURN_S, saving, spent, watch

LOAD, PROGRAM, MASTER, TURNS, *WHAT = sys.argv[sys.argv.index("--") + 1 :]
QUIET_S = 8
REDRAW_S = 0.25
late = []  # in seconds, one for each turn of the timer
last_turn = [None]


def until(look, seconds=900):
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not happen"
        yield


def while_passing(seconds):
    end = time.monotonic() + seconds
    yield from until(lambda: time.monotonic() > end)


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
            for area in bpy.context.window_manager.windows[0].screen.areas:
                if area.type == "PROPERTIES":
                    next(region for region in area.regions if region.type == "WINDOW").tag_redraw()
        yield
    assert [program.returncode for program in work] == [0] * len(work)


def measured():
    """The lateness since the last clearing: 50th, 99th percentile, maximum."""
    found = sorted(late)
    return {
        "turns": len(found),
        "p50": round(1000 * found[len(found) // 2], 2),
        "p99": round(1000 * found[len(found) * 99 // 100], 2),
        "max": round(1000 * found[-1], 2),
    }


def send(turn):
    from netrender_rs import session

    extra = bpy.context.scene.netrender.job.extra
    extra.clear()
    extra.add().path = WHAT[2 * turn + 1]
    session.last_job, session.notice = 0, ""
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == "PROPERTIES")
    with bpy.context.temp_override(window=window, area=area):
        assert bpy.ops.netrender.send_job("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield from until(lambda: session.last_job or session.notice)
    assert session.last_job, session.notice


def fetch(turn):
    from netrender_rs import handing_over, session

    job, folder = WHAT
    client = handing_over.client_for(bpy.context.scene)
    downloads = []
    for n in range(4):
        handle = client.fetch(int(job), "", "exr", f"{folder}/{turn}-{n}-here")
        downloads.append(session.Transfer(handle, "Getting Frame"))
        session.transfers.append(downloads[-1])
    yield from until(lambda: all(d.over() for d in downloads))
    assert [d.error for d in downloads] == [""] * 4
    shutil.rmtree(folder)


def show_list(_turn):
    from netrender_rs import session

    yield from while_passing(float(WHAT[0]))
    assert session.client_snapshot()["state"] == "connected"


LOADS = {"send": send, "fetch": fetch, "list": show_list}


def story():
    window = bpy.context.window_manager.windows[0]
    for area in window.screen.areas:
        if area.type == "PROPERTIES":
            area.spaces.active.context = "RENDER"
        else:
            area.type = "CONSOLE"  # a 3D view costs a machine without a GPU most of its time
    figures = []
    for turn in range(int(TURNS)):
        yield from while_passing(1)
        late.clear()
        yield from while_passing(QUIET_S)
        rest = measured()
        late.clear()
        yield from beside_the_program(turn)
        program = measured()

        bpy.ops.preferences.addon_enable(module="netrender_rs")
        from netrender_rs import session

        if turn == 0:
            watch()
        bpy.context.scene.netrender.client.master = MASTER
        yield from until(lambda: session.client_snapshot()["state"] == "connected")
        yield from while_passing(1)
        spent.clear()
        saving[0] = 0.0
        late.clear()
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


steps = story()


def turn():
    now = time.perf_counter()
    if last_turn[0] is not None:
        late.append(max(0.0, now - last_turn[0] - TURN_S))
    try:
        next(steps)  # what a button does at once, such as saving the copy, is not counted as lateness
    except StopIteration:
        bpy.ops.wm.quit_blender()
        return None
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    last_turn[0] = time.perf_counter()
    return TURN_S


bpy.app.timers.register(turn, first_interval=1.0, persistent=True)
