# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that several slaves render together: the artist's choice, its outcome for the selected
job, and progress.
"""

from typing import TYPE_CHECKING

from bpy.app.translations import pgettext_iface as iface_
from bpy.types import Panel

from ..format import speed
from ..runtime import session
from .drawing import SettingsPanel, draw_small_bar, draw_words, settings_column

if TYPE_CHECKING:
    from netrender_native import JobSummary, SharedFrame

SPLIT_WORDS = {"off": "Off", "auto": "Auto", "samples": "Every Frame", "tiles": "Every Frame in Tiles"}


class RENDER_PT_netrender_split(SettingsPanel, Panel):
    bl_label = "Split Frames"
    bl_options = {"DEFAULT_CLOSED"}
    modes = {"CLIENT", "MASTER"}

    def draw(self, context):
        layout = self.layout
        if context.scene.netrender.mode == "CLIENT":
            settings_column(self.layout).prop(context.scene.netrender.job, "split")
        farm = context.window_manager.netrender.shown_rows(context.scene)
        job = farm.selected_job()
        if job is None:
            layout.label(text="No job is selected", icon="INFO")
            return
        shown = session.farm_of(farm)
        session.details.want(shown)
        details = session.details.of(shown, job.number)
        if details is None:
            layout.label(text="Looking at the job", icon="SORTTIME")
            return
        draw_words(layout, context, choice_words(details), "INFO")
        layout.use_property_split = False
        for frame in details["sharing"]:
            done, total = frame["samples"]
            in_lines = details["unit"] == "lines"
            words = iface_("Frame {}, {} of {} lines") if in_lines else iface_("Frame {}, {} of {} samples")
            draw_small_bar(layout, done / max(1, total), words.format(frame["frame"], done, total))
            draw_words(layout, context, frame_words(frame), "BLANK1")
        for one in details["speeds"]:
            slave = shown.lists.slaves.get(one["slave"])
            if slave is not None:
                row = layout.row()
                row.label(text=slave["name"], icon="DESKTOP", translate=False)
                row.label(text=speed(one["kilosamples_per_s"], details["unit"]), translate=False)


def choice_words(details: "JobSummary") -> str:
    words = iface_("Job {}: {}").format(details["id"], iface_(SPLIT_WORDS[details["split"]]))
    if details["split"] != "off" and details["samples"]:
        in_lines = details["unit"] == "lines"
        frame = iface_("{} lines a frame") if in_lines else iface_("{} samples a frame")
        words += ", " + frame.format(details["samples"])
    return f"{words}. {details['split_note']}" if details["split_note"] else words


def frame_words(frame: "SharedFrame") -> str:
    count = len(frame["slaves"])
    words = iface_("1 slave") if count == 1 else iface_("{} slaves").format(count)
    if frame["efficiency"] is not None:
        words += ", " + iface_("{} of their time spent rendering").format(f"{frame['efficiency']:.0%}")
    return words


CLASSES = (RENDER_PT_netrender_split,)
