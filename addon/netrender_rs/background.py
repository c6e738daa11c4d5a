# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that waits, off the main thread. Never touches bpy."""

import threading


class Background:
    """A call that waits, in a thread of its own. Has the same face as Transfer below."""

    def __init__(self, call, *arguments):
        self.result = None
        self.error = ""
        self.hears_esc = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(call, *arguments), daemon=True)
        self._thread.start()

    def _run(self, call, *arguments):
        try:
            self.result = call(*arguments)
        except Exception as error:  # whatever it is, the artist reads it in the panel instead of losing it
            self.error = str(error) or type(error).__name__
        finally:
            self._done.set()

    def over(self):
        return self._done.is_set()

    def wait(self):
        # Short waits, so that Ctrl-C still reaches a script.
        while not self._done.wait(0.1):
            pass

    def cancel(self):
        """Calls on the network end by themselves; whoever started this looks away."""

    def state(self):
        if not self.over():
            return "running"
        return "failed" if self.error else "done"
