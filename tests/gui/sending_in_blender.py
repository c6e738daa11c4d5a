# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows: sends a scene with much beside it and measures how long the add-on keeps the main
thread. `-- MASTER FILE...`: files to send along. Prints one line `FIGURES {...}`."""

import json
import os
import sys
import time
import traceback

import bpy

MASTER, *FILES = sys.argv[sys.argv.index("--") + 1 :]
TURN_S = 0.004
spent = {}  # what of ours ran on the main thread -> the longest time it took, in seconds
saving = [0.0]
gaps = []  # between turns of a timer that does nothing else: how long Blender was busy, with whatever
last_turn = [None]


def timed(name, call):
    def run(*arguments):
        began, saved = time.perf_counter(), saving[0]
        try:
            return call(*arguments)
        finally:
            took = time.perf_counter() - began - (saving[0] - saved)
            spent[name] = max(spent.get(name, 0.0), took)

    # Blender gives a function as many arguments as it says it takes.
    return {
        0: lambda: run(),
        2: lambda a, b: run(a, b),
        3: lambda a, b, c: run(a, b, c),
        8: lambda a, b, c, d, e, f, g, h: run(a, b, c, d, e, f, g, h),
    }[call.__code__.co_argcount]


def watch():
    """Every door by which Blender's main thread comes into the add-on."""
    from netrender_rs import handing_over, panels, session
    from netrender_rs.operators import waiting

    session.read_all = timed("timer", session.read_all)
    waiting.Waiting.modal = timed("modal", waiting.Waiting.modal)
    waiting.Waiting.invoke = timed("invoke", waiting.Waiting.invoke)
    waiting.Waiting.conclude = timed("conclude", waiting.Waiting.conclude)
    for panel in panels.CLASSES:
        for name in ("draw", "draw_item"):
            if name in vars(panel):
                setattr(panel, name, timed(f"{panel.__name__}.{name}", getattr(panel, name)))

    class Saving:
        """`bpy.ops.wm` with a stop watch: saving the copy is the one thing that may take its time."""

        def __getattr__(self, name):
            operator = getattr(bpy.ops.wm, name)

            def run(*arguments, **keywords):
                began = time.perf_counter()
                try:
                    return operator(*arguments, **keywords)
                finally:
                    saving[0] += time.perf_counter() - began

            return run

    class Operators:
        wm = Saving()

        def __getattr__(self, name):
            return getattr(bpy.ops, name)

    class Blender:
        ops = Operators()

        def __getattr__(self, name):
            return getattr(bpy, name)

    handing_over.bpy = Blender()


def area():
    return next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "PROPERTIES")


def until(look, seconds=300):
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not happen"
        yield


def story():
    from netrender_rs import session

    scene = bpy.context.scene
    settings = scene.netrender
    settings.client.master = MASTER
    for path in FILES:
        settings.job.extra.add().path = path
    area().spaces.active.context = "RENDER"
    yield from until(lambda: session.client_snapshot()["state"] == "connected")
    watch()
    for _ in range(50):
        yield
    spent.clear()
    gaps.clear()
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area()):
        assert bpy.ops.netrender.check_files("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield from until(lambda: session.report and not session.transfers)
    assert session.report["problem_count"] == 0, session.report
    saving[0] = 0.0
    began = time.perf_counter()
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area()):
        assert bpy.ops.netrender.send_job("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield from until(lambda: session.last_job or session.notice)
    assert session.last_job, session.notice
    took = time.perf_counter() - began
    for _ in range(20):
        yield
    sent = session.report["bytes"]
    figures = {
        "sent_mb": sent / 1e6, "took_s": took, "saving_the_copy_ms": 1000 * saving[0],
        "ours_ms": {name: round(1000 * s, 2) for name, s in sorted(spent.items(), key=lambda x: -x[1])},
        "longest_gap_ms": 1000 * max(gaps),
    }  # fmt: skip
    print("FIGURES", json.dumps(figures), flush=True)


steps = story()


def turn():
    now = time.perf_counter()
    if last_turn[0] is not None:
        gaps.append(now - last_turn[0] - TURN_S)
    try:
        next(steps)
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
