# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Blender to draw the add-on's panels again."""

import bpy


def redraw() -> None:
    """Redraws the editors that show the panels, and nothing around them: drawing is what costs
    Blender most.
    """
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PROPERTIES" and area.spaces.active.context == "RENDER":
                for region in area.regions:
                    if region.type == "WINDOW":
                        region.tag_redraw()
