# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that starts and stops a service."""

from ..runtime import Service
from .drawing import draw_words


def draw_service(layout, context, service: Service, start: str, stop: str) -> bool:
    """Draws the start or stop button and, below it, what went wrong. Returns True when settings may
    be edited.
    """
    running = service.is_running() or bool(service.phase)
    row = layout.row()
    row.scale_y = 1.25
    if service.phase:
        row.enabled = False
        row.operator(
            stop,
            text="Stopping" if service.phase == "stopping" else "Starting",
            icon="SORTTIME",
            depress=True,
        )
    elif running and service.snapshot["state"] != "failed":
        row.operator(stop, icon="SNAP_FACE", depress=True)
    else:
        row.operator(start, icon="PLAY")
    if service.error:
        draw_words(layout, context, service.error, "ERROR")
    return not running or service.snapshot["state"] == "failed"
