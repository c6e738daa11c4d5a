# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of jobs as icons for lists: those of jobs drawn lately are fetched in the background,
small and decoded, one at a time, when their job has more frames done. They are in no file, so
nothing is left in the system's own store of thumbnails.
"""

from __future__ import annotations

import array
import time

import bpy.utils.previews

from .background import Background
from .farms import Farm

KEPT = 40  # pictures
LATELY_S = 3.0
PAUSE_S = 5.0  # after a picture that could not be had
SIDE = 192  # pixels of a picture's longer side
ICON = 32  # pixels; Blender's size of an icon

Key = tuple[bool, int]  # (the job is the master's in this Blender, its number)


class Thumbnails:
    """The pictures by job. Blender owns an icon until it is removed from the preview collection."""

    def __init__(self):
        self.version = 0  # grows with every picture
        self.previews: bpy.utils.previews.ImagePreviewCollection | None = None
        self._drawn_at: dict[Key, float] = {}
        self._frames_done: dict[
            Key, int
        ] = {}  # of each loaded picture when it was fetched, oldest picture first
        self._work = None  # (Background, key, frames done)
        self._next_at = 0.0

    def icon(self, is_master: bool, number: int) -> int:
        """Blender's number of a job's icon; 0 while there is none. Called while it is drawn."""
        key = (is_master, number)
        self._drawn_at[key] = time.monotonic()
        name = str(key)
        return self.previews[name].icon_id if self.previews is not None and name in self.previews else 0

    def turn(self, farm: Farm, is_master: bool) -> None:
        """Takes a picture over and asks for the next. Called by the timer."""
        now = time.monotonic()
        if self._work is not None:
            work, key, done = self._work
            if not work.is_over():
                return
            self._work = None
            if work.error:  # the panel says by other means that the master does not answer
                self._next_at = now + PAUSE_S
            else:
                self._frames_done.pop(key, None)
                self._frames_done[key] = done
                if work.result is not None:
                    self.load(key, *work.result)
        if now < self._next_at:
            return
        for key in [key for key, at in self._drawn_at.items() if now - at > LATELY_S]:
            del self._drawn_at[key]
        for key in self._drawn_at:
            job = farm.lists.jobs.get(key[1]) if key[0] == is_master else None
            if job is not None and job["done"] and self._frames_done.get(key) != job["done"]:
                self._work = (Background(farm.client().thumbnail, job["id"], SIDE), key, job["done"])
                return

    def load(self, key: Key, width: int, height: int, pixels: bytes) -> None:
        """Makes an icon of RGBA pixels, the bottom row first."""
        if self.previews is None:
            self.previews = bpy.utils.previews.new()
        name = str(key)
        preview = self.previews[name] if name in self.previews else self.previews.new(name)
        preview.image_size = (width, height)
        preview.image_pixels.foreach_set(whole_numbers(pixels))
        preview.icon_size = (ICON, ICON)
        preview.icon_pixels.foreach_set(whole_numbers(fitted(width, height, pixels)))
        while len(self.previews) > KEPT:
            oldest = next(key for key in self._frames_done if str(key) in self.previews)
            del self.previews[str(oldest)], self._frames_done[oldest]
        self.version += 1

    def forget(self) -> None:
        if self.previews is not None:
            bpy.utils.previews.remove(self.previews)
        self.previews = self._work = None
        self._drawn_at.clear()
        self._frames_done.clear()


def whole_numbers(pixels: bytes) -> array.array:
    """Pixels as Blender takes them: the four bytes of each as one number."""
    numbers = array.array("i")
    numbers.frombytes(pixels)
    return numbers


def fitted(width: int, height: int, pixels: bytes) -> bytes:
    """The picture scaled into the middle of a transparent square."""
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
