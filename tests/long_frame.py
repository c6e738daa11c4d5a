# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one frame of so many minutes (Cycles' time limit) on a farm whose master gives a silent slave up after two
seconds, and whose slave gives a Blender up that does nothing for ten."""

import sys
import tempfile
import time
from pathlib import Path

import blenders
from processes import FarmEnv

LONG = """
import bpy, sys
blend, seconds = sys.argv[-2:]
bpy.ops.wm.open_mainfile(filepath=blend)
cycles = bpy.context.scene.cycles
cycles.samples, cycles.time_limit = 2**24, float(seconds)
bpy.ops.wm.save_mainfile()
"""


def main(minutes):
    blender = blenders.find_program() or blenders.find_module()
    with tempfile.TemporaryDirectory(prefix="netrender-long-") as folder:
        folder = Path(folder)
        farm = FarmEnv(folder)
        try:
            blend = blender.build(folder / "shot.blend", "frames=1-1", "size=64x36")
            (folder / "long.py").write_text(LONG)
            blender.run(folder / "long.py", blend, minutes * 60)
            master = farm.master("--slave-timeout", "2")
            farm.slave(master, blender, "--threads", "1", "--hang-timeout", "10")
            began = time.monotonic()
            address = ["--master", master.url, "--blender", blender.path]
            job = farm.cli("submit", blend, *address, "--wait", "--json", timeout_s=minutes * 60 + 600).json()
            (task,) = job["tasks"]
            print(
                f"frame {task['state']} in {task['seconds'] / 60:.2f} min of Blender's time, "
                f"{(time.monotonic() - began) / 60:.2f} min in all, at attempt {task['attempts']}"
            )
            assert (task["state"], task["attempts"]) == ("done", 1)
        finally:
            farm.close()


main(float(sys.argv[1]))
