# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame that slaves share is denoised and composited once, when all of it is there, as one Blender does it."""

import numpy
import OpenEXR
import pytest

from support import film
from support.api import MasterApi
from support.farm import wait_until
from support.paths import SCENES
from support.sharing import DENOISED_BOUND, SLAVES, differences, shares


def build(blender, blend, samples, *wishes):
    blender.run_forked(SCENES / "finish.py", blend, samples, *wishes)
    return blend


def share(farm, master, blender, blend, *options, split="samples"):
    """Submits it to be shared; the job."""
    address = ["--master", master.url, "--blender", blender.path]
    done = farm.cli("submit", blend, *address, "--json", "--split", split, *options)
    assert "identical to what one machine renders" in done.err
    return done.json()["job"]


def fetch(farm, master, job, folder):
    farm.cli("get", job, "--output", folder, "--master", master.url)
    return film.in_folder(folder)[3]


# What an artist's Blender writes when she saves the film's picture in the scene's own way.
SAVE = """
import sys
import numpy, OpenEXR
import bpy
blend, film, local, ours = sys.argv[-4:]
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
image = scene.render.image_settings
image.media_type = "IMAGE"
image.file_format, image.color_mode, image.color_depth = "PNG", "RGBA", "16"
scene.render.filepath = local
scene.frame_set(3)
bpy.ops.render.render(write_still=True)
with OpenEXR.File(film, separate_channels=True) as parts:
    found = {name: channel.pixels for part in parts.parts for name, channel in part.channels.items()}
pixels = numpy.stack([found[f"Composite.Combined.{c}"][::-1] for c in "RGBA"], axis=-1).astype("f4")
made = bpy.data.images.new("film", pixels.shape[1], pixels.shape[0], alpha=True, float_buffer=True)
made.alpha_mode = "PREMUL"
made.pixels.foreach_set(pixels.ravel())
made.save_render(ours, scene=scene)
"""


DENOISED = [(), ("passes",), ("prefilter=FAST",), ("prefilter=NONE",), ("adaptive",)]


def way(wishes):
    """Adaptive sampling can't be cut by samples."""
    return "tiles" if "adaptive" in wishes else "samples"


@pytest.mark.parametrize("wishes", DENOISED, ids=str)
def test_a_shared_frame_is_denoised_and_composited(farm, blender_module, tmp_path, record_property, wishes):
    blend = build(blender_module, tmp_path / "shot.blend", 64, "denoise", *wishes)
    local = blender_module.render_local(blend, [3], tmp_path / "local")[3]
    master = farm.master()
    slaves = [farm.slave(master, blender_module, "--threads", "1", name=name) for name in SLAVES[:2]]
    job = share(farm, master, blender_module, blend, "--wait", split=way(wishes))
    ours = fetch(farm, master, job, tmp_path / "frames")
    # There are few tiles, and who is ready first may take most of them.
    least = 1 if "adaptive" in wishes else 2
    assert all(count >= least for count in shares(*slaves)), "one of them had nothing to do"
    worst = differences(ours, local)
    record_property("largest difference", f"{max(worst.values()):.1e}")
    assert {name: apart for name, apart in worst.items() if apart > DENOISED_BOUND} == {}
    film.assert_not_blank(ours)
    if wishes:
        return
    # And the PNG of it is the PNG that Blender would have written
    script = tmp_path / "save.py"
    script.write_text(SAVE)
    pictures = [tmp_path / "local.png", tmp_path / "ours.png"]
    blender_module.run(script, blend, ours, *pictures)
    theirs, ours = (pixels_of_png(blender_module, path, tmp_path) for path in pictures)
    assert theirs.shape == ours.shape == (54 * 96 * 4,)
    assert theirs.std() > 0.05
    apart = float(numpy.abs(theirs - ours).max())
    record_property("largest difference of the PNG", f"{apart:.1e}")
    assert apart <= DENOISED_BOUND


def pixels_of_png(blender, path, folder):
    """0 to 1, as Blender reads them."""
    script = folder / "read.py"
    script.write_text(
        "import sys, numpy, bpy\nimage = bpy.data.images.load(sys.argv[-2])\n"
        "image.colorspace_settings.name = 'Non-Color'\n"
        "values = numpy.empty(len(image.pixels), 'f4')\nimage.pixels.foreach_get(values)\n"
        "values.tofile(sys.argv[-1])\n"
    )
    blender.run_forked(script, path, folder / "pixels")
    return numpy.fromfile(folder / "pixels", "f4").astype("f8")


@pytest.mark.parametrize("wishes", [(), ("stereo",), ("stereo", "adaptive")], ids=str)
def test_the_compositor_works_on_all_samples(farm, any_blender, tmp_path, wishes):
    blend = build(any_blender, tmp_path / "shot.blend", 32, *wishes)
    local = any_blender.render_local(blend, [3], tmp_path / "local")[3]
    master = farm.master()
    slaves = [farm.slave(master, any_blender, "--threads", "1", name=name) for name in SLAVES[:2]]
    job = share(farm, master, any_blender, blend, "--wait", split=way(wishes))
    assert sum(shares(*slaves)) > 2
    ours, theirs = film.read_views(fetch(farm, master, job, tmp_path / "frames")), film.read_views(local)
    assert ours.keys() == theirs.keys()
    assert any("Composite" in name for _, name in theirs)
    for (view, name), values in theirs.items():
        if not film.NOT_PICTURE.search(name) and "Crypto" not in name:
            apart = numpy.abs(ours[view, name].astype("f8") - values)
            assert (apart / numpy.maximum(1.0, numpy.abs(values))).max() <= 4e-6, f"{name} of {view}"
    # What tells objects apart in the film is still said in it
    texts = [header_texts(path) for path in (film.in_folder(tmp_path / "frames")[3], local)]
    assert texts[0] == texts[1] != {}


def header_texts(path):
    with OpenEXR.File(str(path), separate_channels=True) as parts:
        return {k: v for part in parts.parts for k, v in part.header.items() if k.startswith("cryptomatte")}


def test_a_frame_is_finished_whoever_dies(farm, blender_module, free_port, tmp_path):
    # Given a merged frame in the hands of the only slave, which is stopped in the midst of finishing it
    blend = build(blender_module, tmp_path / "shot.blend", 64, "denoise")
    local = blender_module.render_local(blend, [3], tmp_path / "local")[3]
    master = farm.master("--slave-timeout", "3", port=free_port)
    api = MasterApi(master.url)
    first = farm.slave(master, blender_module, name="anna")
    job = share(farm, master, blender_module, blend)
    wait_until(lambda: api.job(job)["tasks"][0]["finishing"], 60, "all samples are there", every_s=0.005)
    rendered = api.job(job)["tasks"][0]["samples"]
    farm.kill(first)
    farm.kill(master)
    # When master and slave come back
    master = farm.master("--slave-timeout", "3", port=free_port)
    task = api.job(job)["tasks"][0]
    assert task["finishing"] or task["state"] == "done", "the merged frame was lost"
    assert rendered == [64, 64]
    second = farm.slave(master, blender_module, name="ben")
    # Then no sample is rendered again
    assert api.wait(job)["state"] == "finished"
    assert shares(second) in ([1], [0])
    worst = differences(fetch(farm, master, job, tmp_path / "frames"), local)
    assert max(worst.values()) <= DENOISED_BOUND
