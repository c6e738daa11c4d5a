# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts as people say them."""


def size(count):
    """As Blender's own file browser counts: 1000 bytes are a kilobyte."""
    if count < 1e6:
        return f"{count / 1e3:.0f} KB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def duration(seconds):
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def speed(kilosamples_per_s, unit="samples"):
    """Of a slave that shares frames: samples of pixels, or pixels, where frames are cut into lines."""
    sign = "S" if unit == "samples" else "px"
    if kilosamples_per_s < 1000:
        return f"{kilosamples_per_s:.0f} k{sign}/s"
    return f"{kilosamples_per_s / 1000:.1f} M{sign}/s"
