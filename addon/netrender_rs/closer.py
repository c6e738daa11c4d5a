# SPDX-License-Identifier: GPL-3.0-or-later
"""The selected job looked at closely: errors, the blacklist, shared frames. Asked for in the background, again when its
row changed, and not so often that a job of many frames keeps the master busy. Knows nothing of bpy.
"""

import time

from .background import Background

INTERVAL_S = 1.0
SHARE_OF_TIME = 0.05  # of a master that takes long to answer

version = 0  # grows with every answer
_wants_master = False  # whose list was drawn last: that of the master in this Blender?
_glance = None  # see Client.glance() in the .pyi
_farm = None  # whose it is
_work = None  # (Background, farm, job, row, when it began)
_row = None  # as it was when it was looked at
_next = 0.0


def want(is_master):
    """Called while a list is drawn."""
    global _wants_master
    _wants_master = is_master


def wants_master():
    return _wants_master


def glance(farm, number):
    """What is known of a job; None: nothing yet."""
    return _glance if _glance is not None and _farm is farm and _glance["id"] == number else None


def look_again():
    """Something was done to a job that its row may not show."""
    global _row
    _row = None


def turn(client, farm, number):
    """On the timer."""
    global version, _glance, _farm, _work, _row, _next
    now = time.monotonic()
    if _work is not None:
        work, asked, job, row, began = _work
        if not work.over():
            return
        _work = None
        _next = now + max(INTERVAL_S, (now - began) / SHARE_OF_TIME)
        # A job that is gone has no details; why not is said by whoever removed it.
        _glance, _farm, _row = None if work.error else work.result, asked, (job, row)
        version += 1
    row = farm.jobs.get(number)
    if row is None or (_farm is farm and _row == (number, row)):
        return
    is_other = glance(farm, number) is None
    if now >= _next or is_other:
        _work = (Background(client.glance, number), farm, number, row, now)


def forget():
    global _glance, _farm, _work, _row
    _glance = _farm = _work = _row = None
