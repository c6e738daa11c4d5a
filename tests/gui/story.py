# SPDX-License-Identifier: GPL-3.0-or-later
"""A story told inside a Blender with windows, in steps that let Blender draw and handle events in between. Ends with
the line DONE, or with a traceback and code 1."""

import os
import sys
import time
import traceback

import bpy

TURN_S = 0.05


def window():
    return bpy.context.window_manager.windows[0]


def area(kind="PROPERTIES"):
    return next(
        (a for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == kind), None
    )


def press(name, **arguments):
    """As a click does it."""
    with bpy.context.temp_override(window=window(), area=area()):
        return getattr(bpy.ops.netrender, name)("INVOKE_DEFAULT", **arguments)


def until(look, seconds=60):
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not happen"
        yield


def draw():
    """Until all that is to be seen was drawn."""
    area().tag_redraw()
    for _ in range(6):
        yield


def properties_alone():
    """The Properties editor fills the window. Maximising it crashes Blender 3.4 from a timer; this does not."""
    for other in [a for a in window().screen.areas if a.type != "PROPERTIES"]:
        with bpy.context.temp_override(window=window(), area=other):
            bpy.ops.screen.area_close()


def tell(story):
    steps = story()

    def turn():
        try:
            next(steps)
        except StopIteration:
            print("DONE", flush=True)
            bpy.ops.wm.quit_blender()
            return None
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        return TURN_S

    bpy.app.timers.register(turn, first_interval=1.0, persistent=True)
