# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender, with or without windows: enables the add-on, starts a master and a slave, sends the scene,
disables the add-on, again and again, and counts what this process has. `-- CYCLES BLEND FOLDER`. Prints one line
`COUNTS {...}`.

Every third cycle breaks off while the scene is sent, every third while a frame is rendered; the others pick a frame up.
"""

import contextlib
import ctypes
import gc
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import bpy

from support.gui.story import click, properties_beside_consoles, tell, until, window

CYCLES, BLEND, FOLDER = sys.argv[sys.argv.index("--") + 1 :]
KINDS = 3  # of cycles
SETTLING_S = 15  # what ends by itself: idle threads, connections that say goodbye
THIS = Path("/proc/self")
given_timers = []  # every function that Blender was asked to call later
heard = [0]  # timer events that windows got, while somebody listens


# ------------------------------------------------------------------------------------------------------- counting


def remember_timers():
    """Blender does not tell which timers it has: whoever sets one is noted, and Blender is asked about each."""
    register = bpy.app.timers.register

    def remembering(function, **keywords):
        given_timers.append(function)
        return register(function, **keywords)

    bpy.app.timers.register = remembering


class TEST_OT_listen(bpy.types.Operator):
    """Hears the timers of windows, whoever set them."""

    bl_idname = "test.listen"
    bl_label = "Listen"

    def invoke(self, context, _event):
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, _context, event):
        heard[0] += event.type == "TIMER"
        return {"PASS_THROUGH"}


def descriptors():
    kinds = {"sockets": 0, "pipes": 0, "files": 0}
    for entry in (THIS / "fd").iterdir():
        with contextlib.suppress(OSError):  # the one that reads this folder
            kind = str(entry.readlink()).split(":")[0]
            kinds[{"socket": "sockets", "pipe": "pipes"}.get(kind, "files")] += 1
    return kinds


def children():
    found = 0
    for task in (THIS / "task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ended just now
            found += len((task / "children").read_text().split())
    return found


def handlers():
    lists = (getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers))
    return sum(len(found) for found in lists if isinstance(found, list))


def thread_names():
    found = []
    for task in (THIS / "task").iterdir():
        with contextlib.suppress(OSError):
            found.append((task / "comm").read_text().strip())
    return sorted(found)


def resident_mb():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int((THIS / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def count():
    given_timers[:] = [function for function in given_timers if bpy.app.timers.is_registered(function)]
    return {
        "threads": len(list((THIS / "task").iterdir())),
        **descriptors(),
        "children": children(),
        "timers": len(given_timers),
        "handlers": handlers(),
        "types": len(dir(bpy.types)),
        "operators": len(dir(bpy.ops.netrender)),
        "import paths": len(sys.path),
        "folders of copies": len(list(Path(tempfile.gettempdir()).glob("netrender-*"))),
    }


def settled(limit):
    """The counts, once none is above the limit, or as they stay."""
    end = time.monotonic() + SETTLING_S
    while True:
        found = count()
        if all(found[key] <= limit[key] for key in found) or time.monotonic() > end:
            return found
        yield


def window_timers():
    """How many timers run in the windows, by the events of half a second. The add-on's have ten turns a second."""
    heard[0], end = 0, time.monotonic() + 0.5
    while time.monotonic() < end:
        yield
    return heard[0] // 4


# ---------------------------------------------------------------------------------------------------------- story


def press(operator, **keywords):
    """As a button where there is one."""
    if bpy.app.background:
        assert getattr(bpy.ops.netrender, operator)(**keywords) == {"FINISHED"}
    else:
        assert click(operator, **keywords) == {"RUNNING_MODAL"}


def seen(session):
    """What the master says of its only job."""
    session.master.read()
    return next(iter(session.master_farm.lists.jobs.values()), {"rendering": 0, "done": 0})


def cycle(number):
    bpy.ops.preferences.addon_enable(module="netrender_rs")
    from netrender_rs.runtime import session

    folder = f"{FOLDER}/master-{number}"  # a new one: old jobs would make each cycle dearer
    settings = bpy.context.scene.netrender
    settings.mode = "CLIENT"
    settings.master.folder, settings.slave.folder = folder, f"{FOLDER}/slave"
    settings.master.host, settings.master.port, settings.master.broadcast = "127.0.0.1", 0, False
    settings.slave.threads_mode, settings.slave.threads = "FIXED", 1

    press("start_master")
    yield from until(lambda: session.master.read()["state"] == "running", "the master runs")
    settings.client.master = settings.slave.master = session.master.read()["url"]
    press("start_slave")
    yield from until(lambda: session.slave.read()["state"] not in ("stopped", "starting"), "the slave runs")
    if not bpy.app.background:  # the panels watch the farm
        yield from until(
            lambda: session.client_farm.lists.head["state"] == "connected", "the panel is connected"
        )
    session.sent_jobs.last, session.fetched_frames.last_file = 0, ""
    press("send_job")
    if number % KINDS:
        yield from until(lambda: session.sent_jobs.last, "the job is sent")
        if number % KINDS == 1:
            yield from until(lambda: seen(session)["rendering"], "a frame is rendered")
        else:
            yield from until(lambda: seen(session)["done"], "a frame is done")
            press("get_frame", job=session.sent_jobs.last, frame=1)
            yield from until(lambda: session.fetched_frames.last_file, "a frame is picked up")
    bpy.ops.preferences.addon_disable(module="netrender_rs")
    for image in list(bpy.data.images):
        if image.filepath.endswith(".exr"):
            bpy.data.images.remove(image)
    shutil.rmtree(folder, ignore_errors=True)


def story():
    has_windows = not bpy.app.background
    remember_timers()
    if has_windows:
        properties_beside_consoles()
        bpy.utils.register_class(TEST_OT_listen)
        with bpy.context.temp_override(window=window()):
            bpy.ops.test.listen("INVOKE_DEFAULT")
    else:
        bpy.ops.wm.open_mainfile(filepath=BLEND)
    untouched = count()
    # What Blender, Python and tokio (two sockets for signals) keep after the first use of anything is no leak: a cycle
    # of each kind comes first.
    for number in range(KINDS):
        yield from cycle(number)
    before = yield from settled(untouched)
    if has_windows:
        before["timers of windows"] = yield from window_timers()
    memory, took = [], []
    for number in range(int(CYCLES)):
        began = time.monotonic()
        yield from cycle(number)
        took.append(time.monotonic() - began)
        memory.append(resident_mb())
        print(f"cycle {number + 1}: {took[-1]:.1f} s, {memory[-1]:.1f} MB, {count()}", flush=True)
    after = yield from settled(before)
    if has_windows:
        after["timers of windows"] = yield from window_timers()
    warm = memory[len(memory) // 5 :]  # caches fill first
    growth = (warm[-1] - warm[0]) / max(1, len(warm) - 1)
    told = {
        "untouched": untouched,
        "before": before,
        "after": after,
        "threads": thread_names(),
        "cycle_s": sorted(took)[len(took) // 2],
        "memory_mb": [memory[0], memory[-1]],
        "growth_kb_per_cycle": 1000 * growth,
    }
    print("COUNTS", json.dumps(told), flush=True)


tell(story, turn_s=0.02)
