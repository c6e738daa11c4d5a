# SPDX-License-Identifier: GPL-3.0-or-later
"""A passing sentence in Blender's status bar that no button asked for, such as that a job is
finished.
"""

import bpy
from bpy.props import EnumProperty, StringProperty


class NETRENDER_OT_note(bpy.types.Operator):
    """Say something in the status bar"""

    bl_idname = "netrender.note"
    bl_label = "Note"
    bl_options = {"INTERNAL"}

    kind: EnumProperty(items=[("INFO", "Info", ""), ("WARNING", "Warning", "")], options={"SKIP_SAVE"})
    sentence: StringProperty(options={"SKIP_SAVE"})

    _timer = None

    # Blender shows the reports of modal operators; those of one that a script runs go to its
    # console alone.
    def invoke(self, context, _event):
        self._timer = context.window_manager.event_timer_add(0.01, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        self.cancel(context)
        self.report({self.kind}, self.sentence)
        return {"FINISHED", "PASS_THROUGH"}

    def cancel(self, context):
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None


CLASSES = (NETRENDER_OT_note,)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
