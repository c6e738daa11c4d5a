# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing Blender's data where Blender may forbid it: in timers and handlers.

Blender forbids writing while Python draws, by one switch for all threads, which each call of Python
from Blender reads, sets and puts back. When the thread of a render calls Python while a panel is
drawn, and returns later, it puts the switch back wrong, and it stays so: "Writing to ID classes in
this context is not allowed", for all add-ons, and no script may call operators. But the window
manager's properties may always be written, and for the time of an update callback writing is allowed.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import bpy

Result = TypeVar("Result")


def is_locked() -> bool:
    """True while Blender refuses that data is written here."""
    try:
        # A value of the wrong type changes nothing. Where writing is forbidden, that is said first.
        bpy.data.scenes[0].frame_step = None
    except TypeError:
        return False
    except AttributeError:
        return True
    return False


def run(call: Callable[[], Result]) -> Result:
    """Returns what `call()` returns and raises what it raises; it may write data. For handlers, which
    Blender may call while it draws.
    """
    if not is_locked():
        return call()
    outcome: dict[str, Any] = {}

    def keep():
        try:
            outcome["result"] = call()
        except Exception as error:  # Blender would print what a callback raises, and go on
            outcome["error"] = error

    calls.append(keep)
    bpy.context.window_manager.netrender_write = True
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


calls: list[Callable[[], None]] = []  # what the callback has to call: one, between two lines of run()


def on_write(_window_manager, _context) -> None:
    calls.pop()()


class NETRENDER_OT_hold(bpy.types.Operator):
    """Part of Network Render: allows scripts to write again"""

    bl_idname = "netrender.hold"
    bl_label = "Hold"
    bl_options = {"INTERNAL"}

    is_held = threading.Event()
    is_over = threading.Event()

    @classmethod
    def poll(cls, _context):
        cls.is_held.set()
        cls.is_over.wait(1)
        return False


def repair() -> None:
    """Puts Blender's switch right if it is wrong. For timers: nothing is drawn then.

    A thread calls Python while writing is allowed and returns later, as that of the render did while
    writing was forbidden.
    """
    if not is_locked():
        return
    NETRENDER_OT_hold.is_held.clear()
    NETRENDER_OT_hold.is_over.clear()
    holder = threading.Thread(target=bpy.ops.netrender.hold.poll)

    def hold():
        holder.start()
        NETRENDER_OT_hold.is_held.wait(1)

    run(hold)
    NETRENDER_OT_hold.is_over.set()
    holder.join()


def register() -> None:
    bpy.utils.register_class(NETRENDER_OT_hold)
    bpy.types.WindowManager.netrender_write = bpy.props.BoolProperty(
        options={"HIDDEN", "SKIP_SAVE"}, update=on_write
    )


def unregister() -> None:
    del bpy.types.WindowManager.netrender_write
    bpy.utils.unregister_class(NETRENDER_OT_hold)
