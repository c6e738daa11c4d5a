# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows: sends a scene with much beside it and measures how long the add-on keeps the main
thread. `-- MASTER FILE...`: files to send along. Prints one line `FIGURES {...}`."""

import json
import os
import sys
import time
import traceback
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from stop_watch import TURN_S, saving, spent, watch

MASTER, *FILES = sys.argv[sys.argv.index("--") + 1 :]
gaps = []  # between turns of a timer that does nothing else: how long Blender was busy, with whatever
last_turn = [None]
said = []  # in the status bar; None: it is Blender's again


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
    say = bpy.types.WorkSpace.status_text_set
    bpy.types.WorkSpace.status_text_set = lambda workspace, words: (said.append(words), say(workspace, words))
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
    assert any(words and words.startswith("Sending ") and "%" in words for words in said), said
    assert any(words and words.endswith("ESC cancels") for words in said), said
    yield from until(lambda: said[-1] is None, 10)  # Blender has its status bar back
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
