# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame of a scene, shared by two slaves: its picture as it refines, and its film beside a
direct one.

The pictures go to the folder as refining-10.jpg, -50 and -100.
"""

import subprocess
import time
from pathlib import Path

from bench import build
from bench.farms import new_farm
from support import film
from support.api import MasterApi
from support.blender import find_any

# file: a .blend; none: a scene of the tests. percent: of its size. frame: 0 is the file's own.
DEFAULTS = {"file": "", "folder": "target/refine", "percent": 25, "samples": 64, "frame": 0}
SHORT = {"samples": 32}
TOLERANCE = 2e-6
MARKS = (10, 50)
EVERY_S = 0.1

# The scene at the size and samples wanted, without what keeps samples from being dealt out; nothing
# else changes.
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
scene.frame_start = scene.frame_end = int(frame) or scene.frame_current
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


def measure(file, folder, percent, samples, frame):
    pictures = Path(folder)
    pictures.mkdir(parents=True, exist_ok=True)
    blender = find_any()
    with new_farm() as farm:
        source = (
            Path(file).absolute() if file else blender.build(farm.folder / "made.blend", "size=1920x1080")
        )
        blend = farm.folder / "shot" / source.name
        blend.parent.mkdir()
        frame = prepare(blender, source, blend, percent, samples, frame)
        master = farm.master()
        for name in ("anna", "ben"):
            farm.slave(master, blender, "--threads", "1", name=name)
        command = [build.PROGRAM, "submit", blend, "--split", "samples", "--wait", "--master", master.url]
        command += ["--blender", blender.path, "--output", farm.folder / "frames"]
        began = time.perf_counter()
        submitting = subprocess.Popen(list(map(str, command)))
        api = MasterApi(master.url)
        while not api.get("api/v1/jobs").json():
            time.sleep(EVERY_S)
        watch(api, 1, frame, pictures)
        assert submitting.wait() == 0
        together = time.perf_counter() - began
        began = time.perf_counter()
        local = blender.render_local(blend, [frame], farm.folder / "local")[frame]
        alone = time.perf_counter() - began
        ours, theirs = film.read(film.in_folder(farm.folder / "frames")[frame]), film.read(local)
    assert ours.keys() == theirs.keys()
    print(f"{blender}, frame {frame}: {together:.1f} s on two slaves, all told; {alone:.1f} s alone")
    largest, beyond_all = 0.0, 0
    for name in theirs:
        if not film.RENDER_TIME.search(name):
            pixels = film.relative_difference(name, ours[name], theirs[name])
            most, beyond = float(pixels.max()), int((pixels > TOLERANCE).sum())
            print(f"{name}: relative difference at most {most:.1e}, beyond {TOLERANCE} in {beyond} pixels")
            largest, beyond_all = max(largest, most), beyond_all + beyond
    return {
        "two_slaves_s": together,
        "alone_s": alone,
        "largest_difference_millionths": 1e6 * largest,
        "pixels_beyond": beyond_all,
        "pictures": sorted(path.name for path in pictures.glob("refining-*.jpg")),
    }
