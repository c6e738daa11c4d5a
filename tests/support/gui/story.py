# SPDX-License-Identifier: GPL-3.0-or-later
"""A story told inside a Blender: a generator whose steps let Blender draw and handle events in between.

`tell` takes it through the story. Blender then ends with the line DONE, or with a traceback and code 1. Clicks and keys
of a person are in `mouse`; how long something took is in `stop_watch`.
"""

import itertools
import os
import subprocess
import sys
import time
import traceback
from typing import Any

import bpy

TURN_S = 0.05
# When each turn of the story began and ended.
turns: list[tuple[float, float]] = []


def window():
    return bpy.context.window_manager.windows[0]


def place(kind):
    """(window, area): the largest editor of a kind in any window, or None."""
    found = [(w, a) for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == kind]
    return max(found, key=lambda at: at[1].width * at[1].height, default=None)


def area(kind="PROPERTIES") -> Any:
    """The largest editor of a kind, or None."""
    found = place(kind)
    return found and found[1]


def region_of(editor, kind="WINDOW"):
    return next(region for region in editor.regions if region.type == kind)


def click(name, **arguments):
    """Calls one of the add-on's operators as its button does; what it answered."""
    with bpy.context.temp_override(window=window(), area=area()):
        return getattr(bpy.ops.netrender, name)("INVOKE_DEFAULT", **arguments)


def until(look, what="it", seconds=60):
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        yield


def rest(steps=15):
    for _ in range(steps):
        yield


def draw():
    """Until all that is to be seen was drawn."""
    area().tag_redraw()
    yield from rest(6)


def photograph(path, after=10):
    """A picture of the screen after so many turns, for people who want to see what the test sees."""
    yield from rest(after)
    subprocess.run(["import", "-window", "root", path], check=True)


def properties_alone():
    """Lets the Properties editor fill the window. Maximising it from a timer would crash Blender 3.4."""
    for other in [a for a in window().screen.areas if a.type != "PROPERTIES"]:
        with bpy.context.temp_override(window=window(), area=other):
            bpy.ops.screen.area_close()


def properties_beside_consoles():
    """Shows the render properties and no 3D view: without a GPU that costs most of the machine's time."""
    for editor in window().screen.areas:
        if editor.type == "PROPERTIES":
            editor.spaces.active.context = "RENDER"
        else:
            editor.type = "CONSOLE"


def lateness(turn_s):
    """Seconds that Blender let each turn wait longer than was asked for: it was busy, with whatever."""
    return [max(0.0, later - ended - turn_s) for (_, ended), (later, _) in itertools.pairwise(turns)]


def tell(story, turn_s=TURN_S, quits=True):
    """Takes Blender through the story. With `quits` False the process ends without Blender's own farewell, whose exit
    code is 1 once a render was cancelled."""
    steps = story()

    def turn():
        began = time.perf_counter()
        try:
            next(steps)
        except StopIteration:
            print("DONE", flush=True)
            if not quits:
                os._exit(0)
            if not bpy.app.background:
                bpy.ops.wm.quit_blender()
            return None
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        turns.append((began, time.perf_counter()))
        return turn_s

    if bpy.app.background:
        while turn() is not None:
            time.sleep(turn_s)
    else:
        bpy.app.timers.register(turn, first_interval=1.0, persistent=True)
