# SPDX-License-Identifier: GPL-3.0-or-later
"""The master's own page in a web browser."""

import bpy

from ..runtime import session
from .base import NeedsNative


class NETRENDER_OT_open_monitor(NeedsNative, bpy.types.Operator):
    """Open the master's own page in a web browser: every job, slave and frame, live"""

    bl_idname = "netrender.open_monitor"
    bl_label = "Open Master Monitor"

    @classmethod
    def obstacle(cls, context):
        return session.shown_farm(context).why_unreachable()

    def execute(self, context):
        bpy.ops.wm.url_open(url=session.shown_farm(context).lists.address())
        return {"FINISHED"}


CLASSES = (NETRENDER_OT_open_monitor,)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
