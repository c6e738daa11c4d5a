# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows while a farm of many jobs changes all the time: how long the add-on keeps the main
thread. `-- MASTER JOBS SECONDS`. Prints a line WATCHING when it is time to begin, and one `FIGURES {...}`."""

import json
import sys
import time

import bpy

from support.gui.stop_watch import as_declared
from support.gui.story import area, tell, until

MASTER, JOBS, SECONDS = sys.argv[sys.argv.index("--") + 1 :]
# What of ours ran on the main thread -> how long, each time, in seconds: of the processor's time, which other programs
# on the machine don't lengthen, and by the clock.
spent = {}


def timed(name, call):
    def run(*arguments):
        began = time.perf_counter(), time.thread_time()
        try:
            return call(*arguments)
        finally:
            now = time.perf_counter(), time.thread_time()
            spent.setdefault(name, []).append((now[1] - began[1], now[0] - began[0]))

    return as_declared(call, run)


def story():
    from netrender_rs import panels
    from netrender_rs.runtime import session

    session.timer.turn = timed("timer", lambda: session.read_all())
    for panel in panels.CLASSES:
        for name in ("draw", "draw_item"):
            if name in vars(panel):
                setattr(panel, name, timed(f"{panel.__name__}.{name}", getattr(panel, name)))
    bpy.context.scene.render.engine = "NET_RENDER"  # its panels come first
    bpy.context.scene.netrender.client.master = MASTER
    area().spaces.active.context = "RENDER"
    farm = bpy.context.window_manager.netrender.client_farm
    yield from until(lambda: len(farm.jobs) == int(JOBS))
    filling = max(spent["timer"])[0]
    assert farm.selected_job().number == int(JOBS), "the newest is not selected"
    print("WATCHING", flush=True)
    before = {row.number: row.priority for row in farm.jobs}
    yield from until(lambda: sum(before[row.number] != row.priority for row in farm.jobs) > 10)
    spent.clear()
    began, version = time.monotonic(), session.client_farm.lists.version
    while time.monotonic() - began < float(SECONDS):
        yield
    changed = sum(before[row.number] != row.priority for row in farm.jobs)
    figures = {
        "filling_ms": round(1000 * filling, 2),
        "turns": len(spent["timer"]), "with_changes": session.client_farm.lists.version - version,
        "rows_changed": changed,
        "longest_ms": {name: round(1000 * max(times)[0], 2) for name, times in spent.items()},
        "longest_by_the_clock_ms": {
            name: round(1000 * max(clock for _, clock in times), 2) for name, times in spent.items()
        },
    }  # fmt: skip
    print("FIGURES", json.dumps(figures), flush=True)


tell(story)
