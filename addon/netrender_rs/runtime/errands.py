# SPDX-License-Identifier: GPL-3.0-or-later
"""Errands: calls in the background that no operator waits for, such as stopping a client or
changing a priority.
"""

from collections.abc import Callable

from .background import Background


class Errands:
    """The errands under way. A failure is shown in the panel; success shows by itself."""

    def __init__(self):
        self._running: list[Background] = []

    def __len__(self) -> int:
        return len(self._running)

    def do(self, call: Callable, *arguments) -> None:
        """Starts an errand. May be called on any thread."""
        self._running.append(Background(call, *arguments))

    def take_ended(self) -> list[Background]:
        """Removes the errands that are over and returns them."""
        ended = [errand for errand in self._running if errand.is_over()]
        for errand in ended:
            self._running.remove(errand)  # in place: another thread may add one now
        return ended

    def finish(self) -> None:
        """Waits for all of them."""
        for errand in self._running:
            errand.wait()
        self._running.clear()
