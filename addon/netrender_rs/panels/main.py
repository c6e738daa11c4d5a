# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel that the others hang below: which mode, and what that mode is about."""

from bpy.types import Panel

from .. import native
from .client import draw_client
from .drawing import RenderPanel, draw_words
from .master import draw_master
from .slave import draw_slave


class RENDER_PT_netrender(RenderPanel, Panel):
    bl_label = "Network Render"

    def draw(self, context):
        layout = self.layout
        layout.row().prop(context.scene.netrender, "mode", expand=True)
        if native.problem():
            draw_words(layout, context, native.problem(), "ERROR")
        {"CLIENT": draw_client, "MASTER": draw_master, "SLAVE": draw_slave}[context.scene.netrender.mode](
            layout, context
        )


CLASSES = (RENDER_PT_netrender,)
