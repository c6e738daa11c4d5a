# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the add-on keeps Blender's main thread, door by door, and how late Blender's timers are."""

import os
import time

import bpy

TURN_S = 0.004
spent = {}  # what of ours ran on the main thread -> the longest time it took, in seconds
saving = [0.0]
_queue = os.open("/proc/thread-self/schedstat", os.O_RDONLY)  # of the main thread, which is who imports this


def clock():
    """Seconds that pass, but for those in which the main thread could have gone on and others had the processors."""
    return time.perf_counter() - int(os.pread(_queue, 100, 0).split()[1]) / 1e9


def as_declared(call, run):
    """`run` with as many arguments as `call` declares: Blender looks at that and gives no others."""
    return {
        0: lambda: run(),
        2: lambda a, b: run(a, b),
        3: lambda a, b, c: run(a, b, c),
        8: lambda a, b, c, d, e, f, g, h: run(a, b, c, d, e, f, g, h),
    }[call.__code__.co_argcount]


def timed(name, call):
    def run(*arguments):
        began, saved = clock(), saving[0]
        try:
            return call(*arguments)
        finally:
            took = clock() - began - (saving[0] - saved)
            spent[name] = max(spent.get(name, 0.0), took)

    return as_declared(call, run)


def watch():
    """Every door by which Blender's main thread comes into the add-on."""
    from netrender_rs import panels, submission
    from netrender_rs.operators import base
    from netrender_rs.runtime import session

    session.timer.turn = timed("timer", lambda: session.read_all())
    base.Waiting.modal = timed("modal", base.Waiting.modal)
    base.Waiting.invoke = timed("invoke", base.Waiting.invoke)
    base.Waiting.conclude = timed("conclude", base.Waiting.conclude)
    for panel in panels.CLASSES:
        for name in ("draw", "draw_item"):
            if name in vars(panel):
                setattr(panel, name, timed(f"{panel.__name__}.{name}", getattr(panel, name)))

    class Saving:
        """`bpy.ops.wm` with a stop watch: saving the copy is the one thing that may take its time."""

        def __getattr__(self, name):
            operator = getattr(bpy.ops.wm, name)

            def run(*arguments, **keywords):
                began = clock()
                try:
                    return operator(*arguments, **keywords)
                finally:
                    saving[0] += clock() - began

            return run

    class Operators:
        wm = Saving()

        def __getattr__(self, name):
            return getattr(bpy.ops, name)

    class Blender:
        ops = Operators()

        def __getattr__(self, name):
            return getattr(bpy, name)

    submission.bpy = Blender()
