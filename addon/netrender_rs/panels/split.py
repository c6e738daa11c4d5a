# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that several slaves render together: what is wished, what became of it, and how it goes."""

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel

from .. import closer
from ..words import speed
from .drawing import SettingsPanel, draw_small_bar, draw_words, farm_shown

SPLIT_WORDS = {"off": "Off", "auto": "Auto", "samples": "Every Frame", "tiles": "Every Frame in Tiles"}


class RENDER_PT_netrender_split(SettingsPanel, Panel):
    bl_label = "Split Frames"
    bl_options = {"DEFAULT_CLOSED"}
    modes = {"CLIENT", "MASTER"}

    def draw(self, context):
        layout = self.layout
        if context.scene.netrender.mode == "CLIENT":
            self.column().prop(context.scene.netrender.job, "split")
        farm = farm_shown(context)
        job = farm.selected_job()
        if job is None:
            layout.label(text="No job is selected", icon="INFO")
            return
        closer.want(farm.is_master)
        seen = closer.glance(farm.mirror(), job.number)
        if seen is None:
            layout.label(text="Looking at the job", icon="SORTTIME")
            return
        draw_words(layout, context, choice_words(seen), "INFO")
        layout.use_property_split = False
        for frame in seen["sharing"]:
            done, total = frame["samples"]
            in_lines = seen["unit"] == "lines"
            words = iface_("Frame {}, {} of {} lines") if in_lines else iface_("Frame {}, {} of {} samples")
            draw_small_bar(layout, done / max(1, total), words.format(frame["frame"], done, total))
            draw_words(layout, context, frame_words(frame), "BLANK1")
        for one in seen["speeds"]:
            slave = farm.mirror().slaves.get(one["slave"])
            if slave is not None:
                row = layout.row()
                row.label(text=slave["name"], icon="DESKTOP", translate=False)
                row.label(text=speed(one["kilosamples_per_s"], seen["unit"]), translate=False)


def choice_words(seen):
    words = iface_("Job {}: {}").format(seen["id"], iface_(SPLIT_WORDS[seen["split"]]))
    if seen["split"] != "off" and seen["samples"]:
        in_lines = seen["unit"] == "lines"
        frame = iface_("{} lines a frame") if in_lines else iface_("{} samples a frame")
        words += ", " + frame.format(seen["samples"])
    return f"{words}. {seen['split_note']}" if seen["split_note"] else words


def frame_words(frame):
    count = len(frame["slaves"])
    words = iface_("1 slave") if count == 1 else iface_("{} slaves").format(count)
    if frame["efficiency"] is not None:
        words += ", " + iface_("{} of their time spent rendering").format(f"{frame['efficiency']:.0%}")
    return words


CLASSES = (RENDER_PT_netrender_split,)
