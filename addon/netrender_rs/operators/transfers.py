# SPDX-License-Identifier: GPL-3.0-or-later
"""Canceling a transfer that no operator waits for any more."""

import bpy
from bpy.props import IntProperty

from ..runtime import session


class NETRENDER_OT_cancel_transfer(bpy.types.Operator):
    """Stop this transfer. What the farm has already is not sent again next time"""

    bl_idname = "netrender.cancel_transfer"
    bl_label = "Cancel Transfer"
    bl_options = {"INTERNAL"}

    index: IntProperty(min=0, options={"SKIP_SAVE"})

    def execute(self, _context):
        if self.index < len(session.transfers.running):
            session.transfers.running[self.index].cancel()
        return {"FINISHED"}


CLASSES = (NETRENDER_OT_cancel_transfer,)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
