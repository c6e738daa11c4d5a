# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows: sends a scene with much beside it and measures how long the add-on keeps the main
thread. `-- MASTER FILE...`: files to send along. Prints one line `FIGURES {...}`."""

import json
import sys
import time

import bpy

from support.gui.stop_watch import TURN_S, saving, spent, watch
from support.gui.story import area, click, lateness, rest, tell, turns, until

MASTER, *FILES = sys.argv[sys.argv.index("--") + 1 :]
said = []  # in the status bar; None: it is Blender's again


def story():
    from netrender_rs.runtime import session

    scene = bpy.context.scene
    settings = scene.netrender
    settings.client.master = MASTER
    for path in FILES:
        settings.job.extra.add().path = path
    area().spaces.active.context = "RENDER"
    yield from until(lambda: session.client_farm.lists.head["state"] == "connected")
    watch()
    say = bpy.types.WorkSpace.status_text_set
    bpy.types.WorkSpace.status_text_set = lambda workspace, words: (said.append(words), say(workspace, words))
    yield from rest(50)
    spent.clear()
    turns.clear()
    assert click("check_files") == {"RUNNING_MODAL"}
    yield from until(lambda: session.transfers.report and not session.transfers.running)
    assert session.transfers.report["problem_count"] == 0, session.transfers.report
    saving[0] = 0.0
    began = time.perf_counter()
    assert click("send_job") == {"RUNNING_MODAL"}
    yield from until(lambda: session.sent_jobs.last or session.notices.sentence)
    assert session.sent_jobs.last, session.notices.sentence
    took = time.perf_counter() - began
    yield from rest(20)
    assert any(words and words.startswith("Sending ") and "%" in words for words in said), said
    assert any(words and words.endswith("ESC cancels") for words in said), said
    yield from until(lambda: said[-1] is None, seconds=10)  # Blender has its status bar back
    sent = session.transfers.report["bytes"]
    figures = {
        "sent_mb": sent / 1e6, "took_s": took, "saving_the_copy_ms": 1000 * saving[0],
        "ours_ms": {name: round(1000 * s, 2) for name, s in sorted(spent.items(), key=lambda x: -x[1])},
        "longest_gap_ms": 1000 * max(lateness(TURN_S)),
    }  # fmt: skip
    print("FIGURES", json.dumps(figures), flush=True)


tell(story, TURN_S)
