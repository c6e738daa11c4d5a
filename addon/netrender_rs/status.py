# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on its way, in Blender's status bar: for who looks elsewhere than at the panels."""

import time

import bpy
from bpy.app.translations import pgettext_iface as iface_

from .words import duration

REST_S = 1.0  # between two figures: Blender draws the bar anew for each

_shown = None  # None: Blender's own hints stand there
_since = 0.0


def show(transfers):
    """Takes the place of Blender's hints while there is something to say, and gives it back. Called at every turn."""
    global _shown, _since
    words = ", ".join(map(words_of, transfers)) or None
    if any(transfer.hears_esc for transfer in transfers):
        words = iface_("{}. ESC cancels").format(words)
    now = time.monotonic()
    if words == _shown or (words and _shown and now - _since < REST_S):
        return
    _shown, _since = words, now
    for workspace in bpy.data.workspaces:
        workspace.status_text_set(words)


def words_of(transfer):
    words = iface_(transfer.label)
    if not transfer.snapshot["bytes_total"]:
        return words
    left = transfer.snapshot["seconds_left"]
    words = f"{words} {transfer.fraction():.0%}"
    return words if left is None else f"{words} ({iface_('{} left').format(duration(left))})"


def forget():
    """Another file's workspaces say nothing yet."""
    global _shown
    _shown = None
