# SPDX-License-Identifier: GPL-3.0-or-later
"""What several panels are made of: when a panel shows, sentences, text fields and bars."""

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

    def column(self):
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout.column()


def draw_text(layout, data, name, hint):
    """A text field that says what it means to leave it empty, where Blender (4.1) can show that."""
    if "placeholder" in bpy.types.UILayout.bl_rna.functions["prop"].parameters:
        layout.prop(data, name, placeholder=hint)
    else:
        layout.prop(data, name)


def draw_bar(layout, value, fraction, text):
    """Blender 4.0 has a progress bar. Before, a slider nobody can move looks the same: `value` names the property."""
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=f"{text}  {fraction:.0%}", translate=False)
    else:
        layout.prop(bpy.context.window_manager.netrender, value, text=text, slider=True, translate=False)


BLOCKS = 8


def draw_small_bar(layout, fraction, text):
    """In a row of a list. Before Blender 4.0 in letters: a slider there would be a property of a row, and rows move in
    memory while the mouse is over them."""
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=text, translate=False)
    else:
        full = round(BLOCKS * fraction)
        layout.label(text=f"{'■' * full}{'□' * (BLOCKS - full)}  {text}", translate=False)


def draw_words(layout, context, words, icon):
    """A sentence that may be longer than the editor is wide."""
    scale = context.preferences.system.ui_scale or 1.0
    characters = max(24, int((context.region.width / scale - 70) / 6.2))
    column = layout.column(align=True)
    column.scale_y = 0.85
    for number, line in enumerate(textwrap.wrap(words, characters)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1", translate=False)


def farm_shown(context):
    state = context.window_manager.netrender
    return state.master_farm if context.scene.netrender.mode == "MASTER" else state.client_farm
