# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a frame takes that two slaves share, beside one Blender with as many threads. The first transfer of the
scene is not counted: a job before it brings it to the slaves."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["NETRENDER_TEST_PROGRAM"] = str(Path(os.environ["NETRENDER_TEST_PROGRAM"]).absolute())

import blenders
from master_api import MasterApi
from processes import FarmEnv


def main(samples, turns, split):
    blender = blenders.find_program() or blenders.find_module()
    with tempfile.TemporaryDirectory(prefix="netrender-bench-") as folder:
        folder = Path(folder)
        farm = FarmEnv(folder)
        try:
            wishes = ["size=1920x1080", "adaptive", "rich"] if split == "tiles" else ["size=480x270"]
            blend = blender.build(folder / "shot.blend", "frames=1-1", f"samples={samples}", *wishes)
            master = farm.master()
            api = MasterApi(master.url)
            for name in ("anna", "ben"):
                farm.slave(master, blender, "--threads", "1", name=name)
            address = ["--master", master.url, "--blender", blender.path, "--split", split, "--json"]
            alone, together = [], []
            for turn in range(turns + 1):
                began = time.perf_counter()
                blender.render_local(blend, [1], folder / f"local{turn}")
                local = time.perf_counter() - began
                job = farm.cli("submit", blend, *address).json()["job"]
                began = time.perf_counter()
                assert api.wait(job, timeout_s=3600)["state"] == "finished"
                shared = time.perf_counter() - began
                if turn > 0:
                    alone.append(local)
                    together.append(shared)
                    print(
                        f"one Blender {local:.1f} s, two slaves {shared:.1f} s: {shared / local:.3f}",
                        flush=True,
                    )
            ratios = [ours / theirs for ours, theirs in zip(together, alone, strict=True)]
            print(f"median: {statistics.median(ratios):.3f} of one Blender's time")
        finally:
            farm.close()


main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
