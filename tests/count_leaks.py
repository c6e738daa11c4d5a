# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what CYCLES of enabling, working and disabling leave in Blender: without windows and with."""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import blenders
from processes import FarmEnv
from screens import new_screen
from test_leaks import count


def show(title, told):
    print(f"{title}: {told['cycle_s']:.1f} s a cycle")
    for key, before in told["before"].items():
        print(f"  {key:18} {before:6} before {told['after'][key]:6} after")
    first, last = told["memory_mb"]
    print(f"  memory {first:.0f} MB, at the end {last:.0f} MB: {told['growth_kb_per_cycle']:.0f} kB a cycle")
    print(f"  threads: {json.dumps(told['threads'])}", flush=True)


def main(cycles):
    with contextlib.ExitStack() as stack:
        screen = stack.enter_context(new_screen())
        for blender, display in ((blenders.find_module(), None), (blenders.find_program(), screen)):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netrender-leaks-")))
            farm = FarmEnv(folder)
            try:
                windows = "with windows" if display else "without windows"
                print(f"{blender} {windows}, {cycles} cycles; see {folder}/counting-0.log", flush=True)
                show(f"{blender} {windows}", count(farm, blender, cycles, display))
            finally:
                farm.close()


main(int(sys.argv[1]))
