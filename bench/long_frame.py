# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame of many minutes, on a master that gives up silent slaves after two seconds.

The slave gives up a Blender that does nothing for ten seconds. The frame must be rendered at the
first attempt.
"""

import time

from bench.farms import new_farm
from support.blender import find_any

DEFAULTS = {"minutes": 6.5}  # Cycles' time limit
SHORT = {"minutes": 0.5}
LONG = """
import bpy, sys
blend, seconds = sys.argv[-2:]
bpy.ops.wm.open_mainfile(filepath=blend)
cycles = bpy.context.scene.cycles
cycles.samples, cycles.time_limit = 2**24, float(seconds)
bpy.ops.wm.save_mainfile()
"""


def measure(minutes):
    blender = find_any()
    with new_farm() as farm:
        blend = blender.build(farm.folder / "shot.blend", "frames=1-1", "size=64x36")
        (farm.folder / "long.py").write_text(LONG)
        blender.run(farm.folder / "long.py", blend, minutes * 60)
        master = farm.master("--slave-timeout", "2")
        farm.slave(master, blender, "--threads", "1", "--hang-timeout", "10")
        began = time.monotonic()
        address = ["--master", master.url, "--blender", blender.path]
        job = farm.cli("submit", blend, *address, "--wait", "--json", timeout_s=minutes * 60 + 600).json()
        all_told = time.monotonic() - began
    (task,) = job["tasks"]
    print(
        f"frame {task['state']} in {task['seconds'] / 60:.2f} min of Blender's time, "
        f"{all_told / 60:.2f} min in all, at attempt {task['attempts']}"
    )
    assert (task["state"], task["attempts"]) == ("done", 1)
    return {"blender_s": task["seconds"], "all_told_s": all_told, "attempts": task["attempts"]}
