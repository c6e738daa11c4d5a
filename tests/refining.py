# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame of somebody's scene, shared by two slaves: its picture as it refines, and the film beside a direct one.
`FILE.blend FOLDER [PERCENT] [SAMPLES] [FRAME]`; the pictures go to FOLDER as refining-10.jpg, -50 and -100."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["NETRENDER_TEST_PROGRAM"] = str(Path(os.environ["NETRENDER_TEST_PROGRAM"]).absolute())

import blenders
import film
from master_api import MasterApi
from processes import FarmEnv
from test_merge import TIME, apart

MARKS = (10, 50)
EVERY_S = 0.1

# The scene at the size and samples wanted, without what keeps samples from being dealt out; nothing else changes.
PREPARE = """
import sys
import bpy
source, to, percent, samples, frame = sys.argv[-5:]
bpy.ops.wm.open_mainfile(filepath=source)
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.render.resolution_percentage = int(percent)
scene.cycles.samples = int(samples)
scene.cycles.use_adaptive_sampling = False
scene.frame_start = scene.frame_end = scene.frame_current if frame == "-" else int(frame)
image = scene.render.image_settings
if hasattr(image, "media_type"):
    image.media_type = "MULTI_LAYER_IMAGE"
image.file_format, image.color_depth, image.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
bpy.ops.wm.save_as_mainfile(filepath=to)
print("FRAME", scene.frame_start)
"""


def prepare(blender, source, to, percent, samples, frame):
    script = to.parent / "prepare.py"
    script.write_text(PREPARE)
    said = blender.run(script, source, to, percent, samples, frame)
    return int(next(line for line in said.splitlines() if line.startswith("FRAME "))[6:])


def watch(api, job, frame, folder):
    """Keeps the picture when the frame has reached each mark, and when it is done."""
    marks = list(MARKS)
    while True:
        detail = api.job(job)
        done, total = detail["tasks"][0]["samples"] or (0, 1)
        answer = api.call("GET", f"thumb_{job}_{frame}.jpg")
        is_over = detail["state"] in ("finished", "failed", "canceled")
        if marks and answer.status == 200 and 100 * done >= marks[0] * total and not is_over:
            (folder / f"refining-{marks[0]}.jpg").write_bytes(answer.body)
            print(f"-- picture at {100 * done / total:.0f} %", flush=True)
            marks.pop(0)
        if is_over:
            assert detail["state"] == "finished", detail
            (folder / "refining-100.jpg").write_bytes(answer.body)
            return
        time.sleep(EVERY_S)


def main(source, to, percent=25, samples=64, frame="-"):
    Path(to).mkdir(parents=True, exist_ok=True)
    blender = blenders.find_program() or blenders.find_module()
    with tempfile.TemporaryDirectory(prefix="netrender-refine-") as folder:
        folder = Path(folder)
        farm = FarmEnv(folder)
        try:
            blend = folder / "shot" / Path(source).name
            blend.parent.mkdir()
            frame = prepare(blender, source, blend, percent, samples, frame)
            master = farm.master()
            for name in ("anna", "ben"):
                farm.slave(master, blender, "--threads", "1", name=name)
            command = [os.environ["NETRENDER_TEST_PROGRAM"], "submit", blend, "--split", "samples", "--wait"]
            command += ["--master", master.url, "--blender", blender.path, "--output", folder / "frames"]
            began = time.perf_counter()
            submitting = subprocess.Popen(list(map(str, command)))
            api = MasterApi(master.url)
            while not api.get("api/v1/jobs").json():
                time.sleep(EVERY_S)
            watch(api, 1, frame, Path(to))
            assert submitting.wait() == 0
            together = time.perf_counter() - began
            began = time.perf_counter()
            local = blender.render_local(blend, [frame], folder / "local")[frame]
            alone = time.perf_counter() - began
            ours, theirs = film.read(film.in_folder(folder / "frames")[frame]), film.read(local)
            assert ours.keys() == theirs.keys()
            found = {n: apart(n, ours[n], values) for n, values in theirs.items() if not TIME.search(n)}
            print(f"{blender}, frame {frame}: {together:.1f} s on two slaves, all told; {alone:.1f} s alone")
            for name, pixels in found.items():
                beyond = int((pixels > 2e-6).sum())
                print(
                    f"{name}: relative difference at most {pixels.max():.1e}, beyond 2e-6 in {beyond} pixels"
                )
        finally:
            farm.close()


main(*sys.argv[1:])
