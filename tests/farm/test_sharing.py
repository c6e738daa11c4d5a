# SPDX-License-Identifier: GPL-3.0-or-later
"""Several slaves render one frame together: what comes out is what one machine would have made, to float rounding."""

import re

import pytest

from support import film
from support.api import MasterApi
from support.farm import wait_until
from support.sharing import SLAVES, assert_same, shares, submit


def test_a_frame_that_slaves_share_is_the_frame(farm, any_blender, tmp_path, record_property):
    blend = any_blender.build(tmp_path / "shot.blend", "frames=1-1", "samples=64", "size=640x360")
    local = any_blender.render_local(blend, [1], tmp_path / "local")[1]
    master = farm.master()
    slaves = [farm.slave(master, any_blender, "--threads", "1", name=name) for name in SLAVES[:2]]
    address = ["--master", master.url, "--blender", any_blender.path]
    done = farm.cli("submit", blend, *address, "--json", "--split", "samples", "--wait")
    assert re.search(r"frame 1: \d+ of 64 samples \(\d+ %\), \d+ kS/s", done.err), done.err
    assert "identical to what one machine renders" in done.err
    job = done.json()["job"]
    api = MasterApi(master.url)
    assert all(count > 1 for count in shares(*slaves)), "one of them had nothing to do"
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    merged = film.in_folder(tmp_path / "frames")[1]
    record_property("largest relative difference", f"{assert_same(merged, local):.1e}")
    assert api.get(f"thumb_{job}_1.jpg").body.startswith(b"\xff\xd8")


def test_the_picture_refines_while_it_is_rendered_and_a_late_slave_helps(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-1", "samples=40000", "size=96x54")
    master = farm.master()
    api = MasterApi(master.url)
    first = farm.slave(master, blender_program, "--threads", "1", name="anna")
    job = submit(farm, master, blender_program, blend, "--split", "auto")
    # Alone it takes the frame as a whole; with two there are fewer frames than slaves.
    wait_until(lambda: api.job(job)["rendering"] == 1, 60, "it is begun")
    assert api.job(job)["tasks"][0]["state"] == "leased"
    farm.cli("cancel", job, "--master", master.url)

    job = submit(farm, master, blender_program, blend, "--split", "samples")
    wait_until(lambda: api.call("GET", f"thumb_{job}_1.jpg").status == 200, 60, "a first picture")
    (task,) = api.job(job)["tasks"]
    assert task["state"] == "sharing"
    done, total = task["samples"]
    assert 0 < done < total == 40000
    late = farm.slave(master, blender_program, "--threads", "1", name="ben")
    wait_until(lambda: late.lines("rendered job="), 60, "the late one helps")
    wait_until(lambda: len(api.job(job)["speeds"]) == 2, 60, "both speeds are known")
    assert all(speed["kilosamples_per_s"] > 0 for speed in api.job(job)["speeds"])
    picture = api.get(f"thumb_{job}_1.jpg").body
    wait_until(lambda: api.get(f"thumb_{job}_1.jpg").body != picture, 60, "the picture refines")
    assert first.alive()
    farm.cli("cancel", job, "--master", master.url)


def test_a_killed_slave_costs_its_share_and_a_killed_master_nothing(
    farm, blender_module, free_port, tmp_path
):
    blend = blender_module.build(tmp_path / "shot.blend", "frames=1-1", "samples=6000", "size=96x54")
    local = blender_module.render_local(blend, [1], tmp_path / "local")[1]
    master = farm.master("--slave-timeout", "3", port=free_port)
    api = MasterApi(master.url)
    lost, other = (farm.slave(master, blender_module, "--threads", "1", name=name) for name in SLAVES[:2])
    job = submit(farm, master, blender_module, blend, "--split", "samples")
    wait_until(lambda: (api.job(job)["tasks"][0]["samples"] or [0])[0] > 500, 60, "some samples")
    farm.kill(lost)
    wait_until(lambda: len(other.lines("rendered job=")) >= 4, 60, "the other goes on")
    done = api.job(job)["tasks"][0]["samples"][0]
    farm.kill(master)
    master = farm.master("--slave-timeout", "3", port=free_port)
    task = api.job(job)["tasks"][0]
    assert task["state"] == "done" or task["samples"][0] >= done
    assert api.wait(job)["state"] == "finished"
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    assert_same(film.in_folder(tmp_path / "frames")[1], local, bound=2e-4)


@pytest.mark.parametrize(
    "wishes", [("adaptive",), ("catcher",), ("adaptive", "rich", "catcher")], ids="-".join
)
def test_a_frame_that_slaves_share_in_tiles_is_the_frame(farm, any_blender, tmp_path, wishes):
    # Given a frame that no samples make, and two slaves
    blend = any_blender.build(tmp_path / "shot.blend", "frames=1-1", "samples=64", "size=160x300", *wishes)
    local = any_blender.render_local(blend, [1], tmp_path / "local")[1]
    master = farm.master()
    slaves = [farm.slave(master, any_blender, "--threads", "1", name=name) for name in SLAVES[:2]]
    # When it is sent to be shared in whatever way gives the same picture
    address = ["--master", master.url, "--blender", any_blender.path]
    done = farm.cli("submit", blend, *address, "--json", "--split", "auto", "--wait")
    # Then both render tiles of it, and it is the frame, to the last bit
    assert "some of its lines (tiles)" in done.err
    assert "identical to what one machine renders" in done.err
    assert all(slave.lines("lines=") for slave in slaves), "one of them had nothing to do"
    assert sum(shares(*slaves)) > 3
    job = done.json()["job"]
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    film.assert_same_film(film.in_folder(tmp_path / "frames")[1], local)


def test_tiles_are_seen_as_they_come_and_a_crash_costs_one(farm, blender_module, free_port, tmp_path):
    blend = blender_module.build(
        tmp_path / "shot.blend", "frames=1-1", "catcher", "samples=150", "size=96x480"
    )
    local = blender_module.render_local(blend, [1], tmp_path / "local")[1]
    master = farm.master("--slave-timeout", "3", port=free_port)
    api = MasterApi(master.url)
    lost, other = (farm.slave(master, blender_module, "--threads", "1", name=name) for name in SLAVES[:2])
    job = submit(farm, master, blender_module, blend, "--split", "tiles")

    def lines():
        return (api.job(job)["tasks"][0]["samples"] or [0])[0]

    wait_until(lambda: lines() > 0 and api.call("GET", f"thumb_{job}_1.jpg").status == 200, 60, "a picture")
    (task,) = api.job(job)["tasks"]
    assert (task["unit"], task["samples"][1]) == ("lines", 480)
    farm.kill(lost)
    farm.kill(master)
    master = farm.master("--slave-timeout", "3", port=free_port)
    assert api.wait(job)["state"] == "finished"
    assert other.alive()
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    film.assert_same_film(film.in_folder(tmp_path / "frames")[1], local)
    # Its lines are all there, and it can have no more
    refused = farm.cli("more", job, "--frames", "1", "--samples", "8", "--master", master.url, code=1)
    assert "has all of them" in refused.err


def test_what_cant_be_shared_is_rendered_whole_and_says_why(farm, blender_module, tmp_path):
    blend = blender_module.build(tmp_path / "shot.blend", "frames=1-1", "adaptive")
    master = farm.master()
    slave = farm.slave(master, blender_module)
    address = ["--master", master.url, "--blender", blender_module.path]
    done = farm.cli("submit", blend, *address, "--split", "samples", "--wait")
    assert re.search(r"rendered whole: .*adaptive", done.out + done.err, re.I | re.S), done.out + done.err
    assert shares(slave) == [1]
