# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a frame merged by our library and by OpenEXR's C++ library with numpy, in turns.
Medians.

The parts are 1920x1080 pixels with 12 channels of 32-bit float, packed as ZIP, and look to the
codec as renders do: smooth ramps and textures under noise of their own, and a background of
nothing.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy
import OpenEXR

from bench import build

DEFAULTS = {"parts": 8, "turns": 5}
SHORT = {"parts": 3, "turns": 1}
WIDTH, HEIGHT, SAMPLES = 1920, 1080, 16
CHANNELS = {
    "Combined": "RGBA",
    "Denoising Albedo": "RGB",
    "Denoising Normal": "XYZ",
    "Mist": "Z",
    "Emit": "R",
}
# Reads, adds up in f64, divides and writes, as a script beside Blender would. "only" leaves the
# sums out.
REFERENCE = """
import sys, numpy, OpenEXR
workers, what, out, *parts = sys.argv[1:]
OpenEXR.set_global_thread_count(int(workers))
sums = {}
for part in parts:
    with OpenEXR.File(part, separate_channels=True) as film:
        for name, channel in film.channels().items():
            if what == "only":
                sums[name] = channel.pixels
            elif name in sums:
                sums[name] += channel.pixels
            else:
                sums[name] = channel.pixels.astype("f8")
if what != "only":
    sums = {name: (total / len(parts)).astype("f4") for name, total in sums.items()}
OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, sums).write(out)
"""


def make_part(path, seed):
    chance = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH].astype("f4")
    inside = (x - WIDTH / 2) ** 2 + (y - HEIGHT / 2) ** 2 < (HEIGHT * 0.55) ** 2
    channels = {}
    for number, (name, letters) in enumerate(CHANNELS.items()):
        for shift, letter in enumerate(letters):
            light = 0.3 + 0.2 * numpy.sin(x / (90 + 17 * shift)) * numpy.cos(y / (70 + 13 * number))
            noise = chance.standard_normal((HEIGHT, WIDTH), dtype="f4") * (0.02 if number else 0.1)
            values = numpy.ones_like(light) if letter == "A" else light * (1 + noise)
            channels[f"ViewLayer.{name}.{letter}"] = numpy.where(inside, values, 0).astype("f4")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))


def run(command):
    """Seconds, processor seconds, and the peak of its memory in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)))
    # Not ru_maxrss: that begins with the memory of the process which started it.
    status_file, peak = Path(f"/proc/{process.pid}/status"), 0
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        high = re.search(r"VmHWM:\s+(\d+)", status_file.read_text())
        peak = max(peak, int(high.group(1)) * 1024 if high else 0)
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return seconds, usage.ru_utime + usage.ru_stime, peak


def compare(ours, theirs):
    with (
        OpenEXR.File(str(ours), separate_channels=True) as one,
        OpenEXR.File(str(theirs), separate_channels=True) as other,
    ):
        for name, channel in one.channels().items():
            expected = other.channels()[name].pixels
            assert numpy.allclose(channel.pixels, expected, rtol=1e-6, atol=0), name


def measure(parts, turns):
    program = build.merge_example()
    with tempfile.TemporaryDirectory(prefix="netrender-bench-") as folder:
        folder = Path(folder)
        files = [folder / f"part{number}.exr" for number in range(parts)]
        for number, part in enumerate(files):
            make_part(part, number)
        size = sum(part.stat().st_size for part in files) / 1e6
        raw = WIDTH * HEIGHT * sum(map(len, CHANNELS.values())) * 4 * parts / 1e6
        print(
            f"{parts} parts of {WIDTH}x{HEIGHT} pixels, 12 channels: {size:.0f} MB packed, {raw:.0f} MB of pixels"
        )
        ours, theirs = folder / "ours.exr", folder / "theirs.exr"
        shares = [f"{number * SAMPLES}+{SAMPLES}={part}" for number, part in enumerate(files)]
        contest = {}
        # The library's own threads come beside the one that asks; with none, that one does the
        # work.
        for threads, workers in ((1, 0), (2, 2)):
            merge = [program, ours, "--samples", parts * SAMPLES, "--threads", threads, *shares]
            contest[threads, "ours"] = merge
            reference = [sys.executable, "-c", REFERENCE, workers]
            contest[threads, "openexr_numpy"] = [*reference, "all", theirs, *files]
            only = [*reference, "only", folder / "last.exr", *files]
            contest[threads, "openexr_without_averaging"] = only
        results = {name: [] for name in contest}
        for turn in range(turns + 1):
            for name, command in contest.items():
                result = run(command)
                if turn:  # the first only warms the disk's cache
                    results[name].append(result)
        compare(ours, theirs)
        print(f"OpenEXR is {OpenEXR.__version__}; medians of {turns} turns")
        medians: dict[str, dict[str, Any]] = {}
        for (threads, name), figures in results.items():
            seconds, work, memory = (statistics.median(column) for column in zip(*figures, strict=True))
            spread = f"{min(figures)[0]:.2f} to {max(figures)[0]:.2f}"
            cost = f"{work:.2f} s of processor, {memory / 1e6:.0f} MB"
            print(f"{name:25} threads {threads}: {seconds:.2f} s ({spread}), {cost}")
            row = {"s": seconds, "processor_s": work, "mb": memory / 1e6}
            medians.setdefault(f"threads_{threads}", {})[name] = row
    return {"packed_mb": size, "raw_mb": raw, **medians}
