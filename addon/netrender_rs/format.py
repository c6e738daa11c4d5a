# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts as people write them, and back."""

import re


def size(count: float) -> str:
    """Bytes, counted as Blender's own file browser does: 1000 bytes are a kilobyte."""
    if count < 1e6:
        return f"{count / 1e3:.0f} KB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def duration(seconds: float) -> str:
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def speed(kilosamples_per_s: float, unit: str = "samples") -> str:
    """The speed of a slave that shares frames, in samples of pixels, or in pixels where frames are
    cut into lines.
    """
    sign = "S" if unit == "samples" else "px"
    if kilosamples_per_s < 1000:
        return f"{kilosamples_per_s:.0f} k{sign}/s"
    return f"{kilosamples_per_s / 1000:.1f} M{sign}/s"


def fraction_of(progress: str | None) -> float:
    """0 to 1: how far a frame is, out of Blender's words such as "Sample 12/64"."""
    found = re.search(r"(\d+)\s*/\s*(\d+)", progress or "")
    return min(1.0, int(found[1]) / max(1, int(found[2]))) if found else 0.0
