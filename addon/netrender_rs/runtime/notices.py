# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences for the artist that no button's report says: one that the panel shows, and passing ones
for Blender's status bar.
"""

import bpy


class Notices:
    def __init__(self):
        self.sentence = ""  # about the last thing that went wrong out of sight; the panel shows it
        self._passing: list[tuple[str, str]] = []  # (icon of a report, sentence)

    def say(self, sentence: str) -> None:
        """Shows a sentence in the panel until the next one; "" shows none."""
        self.sentence = sentence

    def say_in_passing(self, icon: str, sentence: str) -> None:
        """Queues a sentence for the status bar."""
        self._passing.append((icon, sentence))

    def show_passing(self) -> None:
        """Shows the oldest queued sentence, as Blender shows a report. One a turn: each stays for
        some seconds.
        """
        windows = bpy.context.window_manager.windows
        if not self._passing or not windows:
            return
        icon, sentence = self._passing.pop(0)
        with bpy.context.temp_override(window=windows[0]):
            bpy.ops.netrender.note("INVOKE_DEFAULT", kind=icon, sentence=sentence)

    def forget(self) -> None:
        self.sentence = ""
        self._passing.clear()
