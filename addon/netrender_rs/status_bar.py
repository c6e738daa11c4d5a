# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers under way, shown in Blender's status bar to people who look elsewhere than at the
panels.
"""

import time

import bpy
from bpy.app.translations import pgettext_iface as iface_

from .format import duration

REST_S = 1.0  # between two figures: Blender draws the bar again for each


class StatusBar:
    def __init__(self):
        self._shown: str | None = None  # None: Blender's own hints stand there
        self._since = 0.0

    def show(self, transfers) -> None:
        """Takes the place of Blender's hints while there is something to show, and gives it back.
        Called every turn.
        """
        words = ", ".join(map(words_of, transfers)) or None
        if any(transfer.hears_esc for transfer in transfers):
            words = iface_("{}. ESC cancels").format(words)
        now = time.monotonic()
        if words == self._shown or (words and self._shown and now - self._since < REST_S):
            return
        self._shown, self._since = words, now
        for workspace in bpy.data.workspaces:
            workspace.status_text_set(words)

    def forget(self) -> None:
        """The workspaces are those of another file, with Blender's own hints."""
        self._shown = None


def words_of(transfer) -> str:
    words = iface_(transfer.label)
    if not transfer.snapshot["bytes_total"]:
        return words
    left = transfer.snapshot["seconds_left"]
    words = f"{words} {transfer.fraction():.0%}"
    return words if left is None else f"{words} ({iface_('{} left').format(duration(left))})"
