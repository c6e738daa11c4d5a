# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that several panels share: when a panel shows, sentences, text fields and bars."""

import textwrap

import bpy


class RenderPanel:
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    modes = {"CLIENT", "MASTER", "SLAVE"}

    @classmethod
    def poll(cls, context):
        return context.scene is not None and context.scene.netrender.mode in cls.modes


class SettingsPanel(RenderPanel):
    bl_parent_id = "RENDER_PT_netrender"


def settings_column(layout):
    """A column of names and values, as Blender's own panels have them."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    return layout.column()


def draw_text(layout, data, name: str, hint: str) -> None:
    """Draws a text field that says what it means to leave it empty, where Blender (4.1) can show
    that.
    """
    if "placeholder" in bpy.types.UILayout.bl_rna.functions["prop"].parameters:
        layout.prop(data, name, placeholder=hint)
    else:
        layout.prop(data, name)


def draw_bar(layout, value: str, fraction: float, text: str) -> None:
    """Draws a progress bar. Before Blender 4.0, which has one, a slider that nobody can move looks
    the same: `value` names its property.
    """
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=f"{text}  {fraction:.0%}", translate=False)
    else:
        layout.prop(bpy.context.window_manager.netrender, value, text=text, slider=True, translate=False)


BLOCKS = 8


def draw_small_bar(layout, fraction: float, text: str) -> None:
    """Draws a progress bar in a row of a list. Before Blender 4.0 it is made of letters: a slider
    would be a property of the row, and rows move in memory while the mouse is over them.
    """
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=text, translate=False)
    else:
        full = round(BLOCKS * fraction)
        layout.label(text=f"{'■' * full}{'□' * (BLOCKS - full)}  {text}", translate=False)


def draw_words(layout, context, words: str, icon: str) -> None:
    """Draws a sentence that may be longer than the editor is wide."""
    scale = context.preferences.system.ui_scale or 1.0
    characters = max(24, int((context.region.width / scale - 70) / 6.2))
    column = layout.column(align=True)
    column.scale_y = 0.85
    for number, line in enumerate(textwrap.wrap(words, characters)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1", translate=False)
