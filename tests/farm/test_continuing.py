# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame that slaves render together is stopped and handed over as it is, and a finished one is given more samples:
each time it is what one machine would have made with as many, and nothing is rendered twice."""

import os
import re
import time

import pytest

from support import film
from support.api import MasterApi
from support.farm import wait_until
from support.sharing import DENOISED_BOUND, assert_same, differences, submit


def pattern(blender):
    """A sampling pattern whose samples are the same, however many there are."""
    return "pattern=TABULATED_SOBOL" if blender.version >= (3, 5) else "pattern=SOBOL"


# Of tens of thousands of pixels some are further off: it is the direct film that rounds, adding up in single precision.
MANY_PIXELS = 5e-6


def build(blender, folder, samples, *wishes):
    name = f"{samples}.blend"
    return blender.build(folder / name, "frames=1-1", f"samples={samples}", pattern(blender), *wishes)


def fetch(farm, master, job, folder):
    farm.cli("get", job, "--output", folder, "--master", master.url)
    return film.in_folder(folder)[1]


def rendered(*slaves):
    """How many samples these slaves rendered."""
    numbers = [
        re.search(r"samples=\d+\+(\d+)", line) for slave in slaves for line in slave.lines("rendered job=")
    ]
    return sum(int(number.group(1)) for number in numbers)


def test_64_samples_and_64_more_are_128(farm, any_blender, free_port, tmp_path, record_property):
    # Given a frame that two slaves finished with 64 samples
    blend = build(any_blender, tmp_path, 64, "size=96x54")
    direct = build(any_blender, tmp_path, 128, "size=96x54")
    local = any_blender.render_local(direct, [1], tmp_path / "local")[1]
    half = any_blender.render_local(blend, [1], tmp_path / "half")[1]
    master = farm.master(port=free_port)
    slaves = [farm.slave(master, any_blender, "--threads", "1", name=name) for name in ("anna", "ben")]
    job = submit(farm, master, any_blender, blend, "--split", "samples")
    api = MasterApi(master.url)
    api.wait(job)
    record_property("64", f"{assert_same(fetch(farm, master, job, tmp_path / 'first'), half):.1e}")

    # When it is given 64 more by a master that was killed meanwhile
    farm.kill(master)
    master = farm.master(port=free_port)
    farm.cli("more", job, "--samples", "64", "--master", master.url)
    now = api.job(job)
    assert now["state"] == "active" or now["tasks"][0]["samples"] == [128, 128]
    wait_until(lambda: (api.job(job)["tasks"][0]["samples"] or [0])[0] > 64, 60, "some of them")
    farm.kill(master)
    master = farm.master(port=free_port)
    done = api.wait(job)

    # Then it is what 128 at once make, and the first 64 were rendered once
    assert (done["state"], done["tasks"][0]["samples"]) == ("finished", [128, 128])
    record_property("64 and 64", f"{assert_same(fetch(farm, master, job, tmp_path / 'second'), local):.1e}")
    assert rendered(*slaves) == 128
    farm.stop(master)

    # And what a killed master was about to remove goes a day later
    a_day_ago = time.time() - 25 * 3600
    blobs = [path for path in (master.data / "blobs").glob("??/*") if path.is_file()]
    for path in blobs:
        os.utime(path, (a_day_ago, a_day_ago))
    unneeded = farm.cli("check", "--data", master.data, "--json").json()["unneeded_files"]
    master = farm.master(port=free_port)
    wait_until(lambda: sum(path.exists() for path in blobs) == len(blobs) - unneeded, 10, "they are removed")
    farm.stop(master)
    report = farm.cli("check", "--data", master.data, "--json").json()
    assert (report["problems"], report["unneeded_files"]) == ([], 0)


def test_a_frame_is_stopped_and_is_what_its_samples_make(farm, any_blender, tmp_path, record_property):
    # Given a slave at a frame of 128 samples
    blend = build(any_blender, tmp_path, 128, "size=320x180")
    master = farm.master()
    farm.slave(master, any_blender, "--threads", "1")
    job = submit(farm, master, any_blender, blend, "--split", "samples")
    api = MasterApi(master.url)
    refused = farm.cli("more", job, "--samples", "8", "--master", master.url, code=1)
    assert "no finished frame" in refused.err
    wait_until(lambda: (api.job(job)["tasks"][0]["samples"] or [0])[0] > 0, 60, "the first samples")

    # When it is stopped
    farm.cli("stop", job, "--master", master.url)
    done = api.wait(job)

    # Then it ends with what was there, says so, and is what so many samples make
    count, total = done["tasks"][0]["samples"]
    assert (done["state"], total) == ("finished", 128)
    assert 0 < count < 128
    assert f"{count} of 128 samples" in farm.cli("job", job, "--master", master.url).out
    blend_of_some = build(any_blender, tmp_path, count, "size=320x180")
    local = any_blender.render_local(blend_of_some, [1], tmp_path / "local")[1]
    worst = assert_same(fetch(farm, master, job, tmp_path / "some"), local, MANY_PIXELS)
    record_property(f"{count} samples", f"{worst:.1e}")

    # And it can be given the rest
    farm.cli("more", job, "--samples", "1", "--master", master.url)
    assert api.wait(job)["tasks"][0]["samples"] == [128, 128]
    local = any_blender.render_local(blend, [1], tmp_path / "all")[1]
    worst = assert_same(fetch(farm, master, job, tmp_path / "rest"), local, MANY_PIXELS)
    record_property("the rest", f"{worst:.1e}")


def test_a_denoised_frame_that_gets_more_samples_is_denoised_anew(
    farm, blender_module, tmp_path, record_property
):
    blend = build(blender_module, tmp_path, 16, "size=96x54", "denoise")
    direct = build(blender_module, tmp_path, 32, "size=96x54", "denoise")
    local = blender_module.render_local(direct, [1], tmp_path / "local")[1]
    master = farm.master()
    farm.slave(master, blender_module, "--threads", "1")
    job = submit(farm, master, blender_module, blend, "--split", "samples")
    api = MasterApi(master.url)
    first = api.wait(job)["tasks"][0]["film"]
    farm.cli("more", job, "--samples", "16", "--master", master.url)
    (task,) = api.wait(job)["tasks"]
    assert task["samples"] == [32, 32]
    assert task["film"] != first
    worst = max(differences(fetch(farm, master, job, tmp_path / "frames"), local).values())
    record_property("largest difference", f"{worst:.1e}")
    assert worst <= DENOISED_BOUND


def test_where_more_would_be_another_picture_it_is_refused(farm, blender_module, tmp_path):
    blend = blender_module.build(tmp_path / "shot.blend", "frames=1-2", "samples=8", "pattern=BLUE_NOISE")
    master = farm.master()
    farm.slave(master, blender_module, "--threads", "1")
    job = submit(farm, master, blender_module, blend, "--split", "samples", "--wait")
    refused = farm.cli("more", job, "--samples", "8", "--master", master.url, code=1)
    assert "depend on how many it has in all" in refused.err
    api = MasterApi(master.url)
    answer = api.call("POST", f"api/v1/jobs/{job}/more", {"samples": 8, "frames": "3"})
    assert (answer.status, answer.error()["code"]) == (404, "unknown_frame")
    assert api.job(job)["state"] == "finished"


@pytest.mark.parametrize("kept", [True, False], ids=["damaged", "lost"])
def test_what_was_kept_and_rots_is_rendered_again(farm, blender_program, tmp_path, kept):
    blend = build(blender_program, tmp_path, 16)
    master = farm.master()
    slave = farm.slave(master, blender_program, "--threads", "1")
    job = submit(farm, master, blender_program, blend, "--split", "samples")
    api = MasterApi(master.url)
    digest = api.wait(job)["tasks"][0]["film"]
    (path,) = master.data.rglob(digest)
    if kept:
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()
    farm.cli("more", job, "--samples", "16", "--master", master.url)
    done = api.wait(job)
    assert done["tasks"][0]["samples"] == [32, 32]
    local = blender_program.render_local(build(blender_program, tmp_path, 32), [1], tmp_path / "local")
    assert_same(fetch(farm, master, job, tmp_path / "frames"), local[1])
    assert rendered(slave) == 16 + 16 + 16
