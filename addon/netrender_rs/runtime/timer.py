# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer of the add-on: when it has its turns, so that it takes little of Blender's time."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

import bpy

from .. import safe_write

INTERVAL_S = 0.25  # while something moves
IDLE_INTERVAL_S = 1.0
FILLING_INTERVAL_S = 0.05  # while there are rows of the lists that did not fit into one turn
SHARE_OF_TIME = 0.05  # the timer takes no more of Blender's time than this
LONGEST_PAUSE_S = 2.0  # a turn is long, too, when the machine is busy with other things


class Timer:
    def __init__(self, turn: Callable[[], tuple[bool, bool]], say: Callable[[str], None]):
        """`turn()` returns whether there is more to read at once, and whether something moves.
        `say(sentence)` shows what went wrong.
        """
        self.turn = turn
        self._say = say
        self.tick = self._tick  # one object: Blender knows a timer's function by its identity

    def start(self) -> None:
        if not bpy.app.background:  # timers never fire there
            bpy.app.timers.register(self.tick, first_interval=INTERVAL_S, persistent=True)

    def stop(self) -> None:
        if bpy.app.timers.is_registered(self.tick):
            bpy.app.timers.unregister(self.tick)

    def _tick(self) -> float:
        """One turn. Returns the seconds until the next."""
        began = time.perf_counter()
        try:
            safe_write.repair()
            has_more, is_busy = self.turn()
        except Exception as error:  # a timer that raises is never called again
            self._say(f"{type(error).__name__}: {error}. Please report this")
            traceback.print_exc()
            has_more = is_busy = False
        spent = time.perf_counter() - began
        pause = FILLING_INTERVAL_S if has_more else INTERVAL_S if is_busy else IDLE_INTERVAL_S
        return max(pause, min(spent / SHARE_OF_TIME, LONGEST_PAUSE_S))
