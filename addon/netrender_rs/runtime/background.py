# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that takes time, run off the main thread. Never touches bpy."""

import threading
from collections.abc import Callable
from typing import Any


class Background:
    """A call in a thread of its own. An operator waits for it as it waits for a Transfer: both have
    `is_over`, `wait`, `cancel`, `state`, `error` and `hears_esc`.
    """

    def __init__(self, call: Callable, *arguments):
        self.result: Any = None
        self.error = ""
        self.hears_esc = False  # True while an operator waits for it
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(call, *arguments), daemon=True)
        self._thread.start()

    def _run(self, call: Callable, *arguments) -> None:
        try:
            self.result = call(*arguments)
        except Exception as error:  # of any kind: the artist must read it in the panel
            self.error = str(error) or type(error).__name__
        finally:
            self._done.set()

    def is_over(self) -> bool:
        return self._done.is_set()

    def wait(self) -> None:
        # Short waits, so that Ctrl-C still reaches a script.
        while not self._done.wait(0.1):
            pass

    def cancel(self) -> None:
        """Does nothing: calls on the network end by themselves, and nobody reads the result."""

    def state(self) -> str:
        if not self.is_over():
            return "running"
        return "failed" if self.error else "done"
