# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a timer may write Blender's properties.

Blender forbids writing while Python draws, by one switch for all threads, which each call of Python from Blender sets
and puts back. When the thread of a render comes in between, the switch may be put back wrong, and stay so: "Writing to
ID classes in this context is not allowed". An operator may always write, so what a timer has to write then goes through
one.
"""

import bpy

_waiting = None  # what the operator is to run


class NETRENDER_OT_write(bpy.types.Operator):
    """Part of Network Render: shows what is new"""

    bl_idname = "netrender.write"
    bl_label = "Show News"
    bl_options = {"INTERNAL"}

    def execute(self, _context):
        global _waiting
        call, _waiting = _waiting, None
        if call is not None:
            call()
        return {"FINISHED"}


def is_locked():
    state = bpy.context.window_manager.netrender
    try:
        state.finding_index = state.finding_index
    except AttributeError:
        return True
    return False


def run(call):
    """What `call()` returns, run where it may write. It raises what `call` raises."""
    global _waiting
    if not is_locked():
        return call()
    outcome = {}

    def keep():
        try:
            outcome["result"] = call()
        except Exception as error:  # operators lose what an exception is
            outcome["error"] = error

    _waiting = keep
    bpy.ops.netrender.write()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


register, unregister = bpy.utils.register_classes_factory((NETRENDER_OT_write,))
