# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame shared by two slaves with a thread each, beside one Blender with two threads, in turns.
Medians.

The first transfer of the scene is not counted: a job before it brings it to the slaves. Tiles are
of a larger picture of more things, with adaptive sampling; give them fewer samples.
"""

import statistics
import time

from bench.farms import new_farm
from support.api import MasterApi
from support.blender import find_any

DEFAULTS = {"split": "samples", "samples": 2000, "turns": 3}  # split: samples or tiles
SHORT = {"samples": 200, "turns": 1}


def measure(split, samples, turns):
    blender = find_any()
    with new_farm() as farm:
        wishes = ["size=1920x1080", "adaptive", "rich"] if split == "tiles" else ["size=480x270"]
        blend = blender.build(farm.folder / "shot.blend", "frames=1-1", f"samples={samples}", *wishes)
        master = farm.master()
        api = MasterApi(master.url)
        for name in ("anna", "ben"):
            farm.slave(master, blender, "--threads", "1", name=name)
        address = ["--master", master.url, "--blender", blender.path, "--split", split, "--json"]
        alone, together = [], []
        for turn in range(turns + 1):
            began = time.perf_counter()
            blender.render_local(blend, [1], farm.folder / f"local{turn}")
            local = time.perf_counter() - began
            job = farm.cli("submit", blend, *address).json()["job"]
            began = time.perf_counter()
            assert api.wait(job, timeout_s=3600)["state"] == "finished"
            shared = time.perf_counter() - began
            if turn > 0:
                alone.append(local)
                together.append(shared)
                print(
                    f"one Blender {local:.1f} s, two slaves {shared:.1f} s: {shared / local:.3f}", flush=True
                )
    ratio = statistics.median(ours / theirs for ours, theirs in zip(together, alone, strict=True))
    print(f"median: {ratio:.3f} of one Blender's time")
    return {"one_blender_s": alone, "two_slaves_s": together, "ratio": ratio}
