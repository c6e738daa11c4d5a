# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand with a mouse in a Blender with windows that was started with --enable-event-simulate: it finds buttons by what
Blender says is under the mouse, and clicks them. Steps are generators: between two of them Blender draws and handles
events.
"""

import time

import bpy

STEP_PX = 9  # less than a button is high


def window():
    return bpy.context.window_manager.windows[0]


def area(kind):
    """(window, area): the largest editor of a kind, None when there is none."""
    found = [(w, a) for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == kind]
    return max(found, key=lambda at: at[1].width * at[1].height, default=None)


def region_of(place, kind="WINDOW"):
    return next(region for region in place.regions if region.type == kind)


def until(look, what, seconds=60):
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"did not happen: {what}"
        yield


def move(to, x, y):
    to.event_simulate(type="MOUSEMOVE", value="NOTHING", x=int(x), y=int(y))
    yield


def under_mouse(where, place, region):
    """What the button under the mouse does or shows, as Python; "" when there is none."""
    manager = bpy.context.window_manager
    with bpy.context.temp_override(window=where, area=place, region=region):
        for operator in (bpy.ops.ui.copy_python_command_button, bpy.ops.ui.copy_data_path_button):
            if operator.poll():
                manager.clipboard = ""
                operator()
                if manager.clipboard:
                    return manager.clipboard
    return ""


def find(kind, word, parts, region="WINDOW"):
    """(window, x, y) of the button whose doing has this word, as the mouse comes upon it from the bottom up at these
    parts of the width; None when it is not to be seen."""
    where, place = area(kind)
    ground = region_of(place, region)
    for part in parts:
        x = ground.x + ground.width * part
        for y in range(ground.y + 4, ground.y + ground.height - 2, STEP_PX):
            yield from move(where, x, y)
            if word in under_mouse(where, place, ground):
                return where, x, y
    return None


def click(at):
    where, x, y = at
    yield from move(where, x, y)
    yield from move(where, x + 1, y)
    for value in ("PRESS", "RELEASE"):
        where.event_simulate(type="LEFTMOUSE", value=value, x=int(x), y=int(y))
        yield


def wheel(kind, down, turns=40):
    where, place = area(kind)
    ground = region_of(place)
    x, y = ground.x + ground.width // 2, ground.y + ground.height // 2
    yield from move(where, x, y)
    for _ in range(turns):
        where.event_simulate(type="WHEELDOWNMOUSE" if down else "WHEELUPMOUSE", value="PRESS", x=x, y=y)
        yield


def press(where, key, x, y):
    for value in ("PRESS", "RELEASE"):
        where.event_simulate(type=key, value=value, x=int(x), y=int(y))
        yield


def run(story, tick_s=0.02):
    """Goes through the story; Blender ends with DONE, or with a traceback and code 1."""
    import os
    import sys
    import traceback

    steps = story()

    def step():
        try:
            next(steps)
            return tick_s
        except StopIteration:
            print("DONE", flush=True)
            code = 0
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    bpy.app.timers.register(step, first_interval=1.0, persistent=True)
