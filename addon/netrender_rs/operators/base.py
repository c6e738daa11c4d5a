# SPDX-License-Identifier: GPL-3.0-or-later
"""Base classes of the operators. Work that takes time follows the pattern of Blender's own
extension operators: modal with ESC from a button, blocking in `execute` for scripts. Not registered
themselves.
"""

from typing import TYPE_CHECKING

import bpy

from .. import native
from ..languages import rpt_
from ..runtime import Background, Transfer, redraw

if TYPE_CHECKING:
    from bpy.types import Operator as Base
else:
    Base = object  # each operator names bpy.types.Operator itself, after these

_timers = []  # of operators that wait


def register() -> None:
    """Nothing: these classes are no operators yet."""


def unregister() -> None:
    """Removes the timers of operators that wait: Blender forgets these when their classes go,
    without `cancel`.
    """
    while _timers:
        bpy.context.window_manager.event_timer_remove(_timers.pop())


class NeedsNative(Base):
    """Greys a button out, with the reason, while the compiled module is not there."""

    @classmethod
    def poll(cls, context):
        reason = native.problem() or cls.obstacle(context)
        if reason and hasattr(cls, "poll_message_set"):
            cls.poll_message_set(reason)
        return not reason

    @classmethod
    def obstacle(cls, _context) -> str:
        """Reason why the button makes no sense now; "" when it does."""
        return ""

    def refuse(self, error: object) -> set[str]:
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}


class Waiting(NeedsNative):
    """An operator that starts work with `begin` and waits for it; `finish` runs on the main thread
    once it is done.
    """

    def begin(self, context) -> Background | Transfer:
        """Starts the work. Raises OSError, ValueError, RuntimeError (bpy) or a native error to
        refuse.
        """
        raise NotImplementedError

    def finish(self, context, work) -> set[str] | None:
        """Shows the result. Raises as `begin` does. Returns what an operator returns; None means
        FINISHED.
        """
        raise NotImplementedError

    def execute(self, context):
        try:
            work = self.begin(context)
        except (OSError, ValueError, RuntimeError, *native.errors()) as error:
            return self.refuse(error)
        try:
            work.wait()
        except KeyboardInterrupt:
            work.cancel()
            raise
        return self.conclude(context, work)

    def invoke(self, context, _event):
        try:
            self._work = self.begin(context)
        except (OSError, ValueError, RuntimeError, *native.errors()) as error:
            return self.refuse(error)
        self._work.hears_esc = True
        self._timer = context.window_manager.event_timer_add(0.1, window=context.window)
        _timers.append(self._timer)
        context.window_manager.modal_handler_add(self)
        redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type == "ESC" and event.value == "PRESS" and not self._work.is_over():
            self._work.cancel()
            self.cancel(context)
            self.report({"WARNING"}, rpt_("Canceled"))
            return {"CANCELLED"}
        if event.type == "TIMER" and self._work.is_over():
            self.cancel(context)
            return self.conclude(context, self._work)
        return {"PASS_THROUGH"}  # the artist goes on working

    def cancel(self, context):
        """Called by Blender when a file is opened meanwhile: the work goes on, the session looks
        after it.
        """
        self._work.hears_esc = False
        if self._timer is not None:  # removing a timer twice crashes Blender
            _timers.remove(self._timer)
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        redraw()

    def conclude(self, context, work) -> set[str]:
        state = work.state()
        if state == "failed":
            return self.refuse(work.error)
        if state == "canceled":
            self.report({"WARNING"}, rpt_("Canceled"))
            return {"CANCELLED"}
        try:
            return self.finish(context, work) or {"FINISHED"}
        except (OSError, ValueError, RuntimeError, *native.errors()) as error:
            return self.refuse(error)
