# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of jobs, as icons for lists: those that were drawn lately are fetched in the background, small and
decoded, one at a time, when their job has more frames done. They are in no file, so nothing is left in the system's
own store of thumbnails.
"""

import array
import time

import bpy.utils.previews

from .background import Background

KEPT = 40  # pictures
LATELY_S = 3.0
PAUSE_S = 5.0  # after one that could not be had
SIDE = 192  # pixels
ICON = 32  # pixels; Blender's size of an icon

version = 0  # grows with every picture
_previews = None
_drawn = {}  # (farm is the master's, job) -> when it was drawn last
_loaded = {}  # the same -> frames done then, oldest first
_work = None  # (Background, key, frames done)
_next = 0.0


def icon(is_master, number):
    """The number of a job's icon; 0: there is none yet. Called while it is drawn."""
    key = (is_master, number)
    _drawn[key] = time.monotonic()
    name = str(key)
    return _previews[name].icon_id if _previews is not None and name in _previews else 0


def turn(client, farm, is_master):
    """On the timer: takes a picture over, asks for the next."""
    global _work, _next
    now = time.monotonic()
    if _work is not None:
        work, key, done = _work
        if not work.over():
            return
        _work = None
        if work.error:  # the panel says by other means that the master does not answer
            _next = now + PAUSE_S
        else:
            _loaded.pop(key, None)
            _loaded[key] = done
            if work.result is not None:
                load(key, *work.result)
    if now < _next:
        return
    for key in [key for key, at in _drawn.items() if now - at > LATELY_S]:
        del _drawn[key]
    for key in _drawn:
        job = farm.jobs.get(key[1]) if key[0] == is_master else None
        if job is not None and job["done"] and _loaded.get(key) != job["done"]:
            _work = (Background(client.cover, job["id"], SIDE), key, job["done"])
            return


def load(key, width, height, pixels):
    global _previews, version
    if _previews is None:
        _previews = bpy.utils.previews.new()
    name = str(key)
    preview = _previews[name] if name in _previews else _previews.new(name)
    preview.image_size = (width, height)
    preview.image_pixels.foreach_set(whole_numbers(pixels))
    preview.icon_size = (ICON, ICON)
    preview.icon_pixels.foreach_set(whole_numbers(fitted(width, height, pixels)))
    while len(_previews) > KEPT:
        oldest = next(key for key in _loaded if str(key) in _previews)
        del _previews[str(oldest)], _loaded[oldest]
    version += 1


def whole_numbers(pixels):
    """As Blender wants them: the four bytes of a pixel as one number."""
    numbers = array.array("i")
    numbers.frombytes(pixels)
    return numbers


def fitted(width, height, pixels):
    """The picture in the middle of a square of nothing."""
    longer = max(width, height)
    wide, high = max(1, width * ICON // longer), max(1, height * ICON // longer)
    left, below = (ICON - wide) // 2, (ICON - high) // 2
    square = bytearray(ICON * ICON * 4)
    for y in range(high):
        line = y * height // high * width
        for x in range(wide):
            source = 4 * (line + x * width // wide)
            target = 4 * ((below + y) * ICON + left + x)
            square[target : target + 4] = pixels[source : source + 4]
    return bytes(square)


def forget():
    """The farm goes, or the add-on."""
    global _previews, _work
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = _work = None
    _drawn.clear()
    _loaded.clear()
