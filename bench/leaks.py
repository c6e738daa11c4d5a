# SPDX-License-Identifier: GPL-3.0-or-later
"""Leftovers in Blender after many times of enabling the add-on, rendering with it and disabling it.

In a Blender without windows (the module bpy) and in one with windows. The counts afterwards must
not exceed those before; memory may, a little.
"""

import json

from bench.farms import new_farm
from support.blender import find_module, find_program
from support.leaks import count
from support.screens import new_screen

DEFAULTS = {"cycles": 100}
SHORT = {"cycles": 3}


def show(title, told):
    print(f"{title}: {told['cycle_s']:.1f} s a cycle")
    for key, before in told["before"].items():
        print(f"  {key:18} {before:6} before {told['after'][key]:6} after")
    first, last = told["memory_mb"]
    print(f"  memory {first:.0f} MB, at the end {last:.0f} MB: {told['growth_kb_per_cycle']:.0f} kB a cycle")
    print(f"  threads: {json.dumps(told['threads'])}", flush=True)


def figures(told):
    grown = {key: told["after"][key] - before for key, before in told["before"].items()}
    return {
        "cycle_s": told["cycle_s"],
        "leftovers": {key: more for key, more in grown.items() if more > 0},
        "memory_kb_per_cycle": told["growth_kb_per_cycle"],
    }


def measure(cycles):
    found = {}
    with new_screen() as screen:
        for windows, blender, display in (
            ("without windows", find_module(), None),
            ("with windows", find_program(), screen),
        ):
            if not blender:
                print(f"no Blender {windows}: left out")
                continue
            with new_farm() as farm:
                print(f"{blender} {windows}, {cycles} cycles; see {farm.folder}/counting-0.log", flush=True)
                told = count(farm, blender, cycles, display)
            show(f"{blender} {windows}", told)
            found[windows] = figures(told)
    return found
