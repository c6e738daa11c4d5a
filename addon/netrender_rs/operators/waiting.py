# SPDX-License-Identifier: GPL-3.0-or-later
"""The pattern of Blender's own extension operators for work that takes time: modal with ESC from a button,
blocking in `execute` for scripts. Not registered itself.
"""

import bpy

from .. import native, session
from ..languages import rpt_

_timers = []  # of operators that wait


def register():
    pass


def unregister():
    """Blender forgets the operators that wait when their classes go, without calling `cancel`."""
    while _timers:
        bpy.context.window_manager.event_timer_remove(_timers.pop())


class NeedsNative:
    """Greys a button out, with the reason, while the compiled module is not there."""

    @classmethod
    def poll(cls, context):
        reason = native.problem() or cls.obstacle(context)
        if reason and hasattr(cls, "poll_message_set"):
            cls.poll_message_set(reason)
        return not reason

    @classmethod
    def obstacle(cls, _context):
        """Why the button makes no sense now; "" when it does."""
        return ""

    def refuse(self, error):
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}


class Waiting(NeedsNative):
    """`begin(context)` starts the work and returns a session.Transfer or session.Background;
    `finish(context, work)` runs on the main thread once it is done. Begin raises OSError, ValueError,
    RuntimeError (bpy) or a native error to refuse.
    """

    _work = None
    _timer = None

    def begin(self, context):
        raise NotImplementedError

    def finish(self, context, work):
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
        session.redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type == "ESC" and event.value == "PRESS" and not self._work.over():
            self._work.cancel()
            self.cancel(context)
            self.report({"WARNING"}, rpt_("Canceled"))
            return {"CANCELLED"}
        if event.type == "TIMER" and self._work.over():
            self.cancel(context)
            return self.conclude(context, self._work)
        return {"PASS_THROUGH"}  # the artist goes on working

    def cancel(self, context):
        """Blender calls this when a file is opened meanwhile: the work goes on, the session looks after it."""
        self._work.hears_esc = False
        if self._timer is not None:  # removing a timer twice crashes Blender
            _timers.remove(self._timer)
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        session.redraw()

    def conclude(self, context, work):
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
