# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs from the command line to frames on disk, on real Blenders over real sockets."""

import re
import statistics
import time

from support import film
from support.api import MasterApi
from support.farm import wait_until


def test_two_slaves_render_what_the_artists_machine_would(farm, any_blender, tmp_path):
    # Given a production-like scene, as this machine renders it alone
    blend = any_blender.build(
        tmp_path / "my shots" / "shot 1.blend", "rich", "size=64x36", "samples=4", "frames=1-6"
    )
    local = any_blender.render_local(blend, range(1, 7), tmp_path / "local")
    # And a farm of two slaves
    master = farm.master()
    slaves = [farm.slave(master, any_blender, "--threads", "1", name=name) for name in ("anna", "ben")]

    # When the scene is sent and its frames are fetched
    output = tmp_path / "frames"
    job = farm.submit(master, any_blender, blend, "--wait", "--output", output)

    # Then every frame is there, equal in every pass to the last bit
    films = film.in_folder(output)
    assert sorted(films) == [1, 2, 3, 4, 5, 6]
    for frame, path in films.items():
        film.assert_same_film(path, local[frame])
    # And both slaves had a share in it, each with one Blender
    shares = {t["slave"] for t in MasterApi(master.url).job(job)["tasks"]}
    assert len(shares) == len(slaves)


def test_the_artist_may_leave(farm, any_blender, tmp_path):
    """What was sent is enough: the slave sees nothing of the artist's folders."""
    blend = any_blender.build(
        tmp_path / "artist" / "shot.blend", "rich", "size=32x18", "samples=2", "frames=4-4"
    )
    local = any_blender.render_local(blend, [4], tmp_path / "local")
    master = farm.master()
    job = farm.submit(master, any_blender, blend)
    (tmp_path / "artist").rename(tmp_path / "gone")

    farm.slave(master, any_blender)
    assert MasterApi(master.url).wait(job)["state"] == "finished"
    farm.cli("get", job, "--master", master.url, "--output", tmp_path / "frames")
    film.assert_same_film(film.in_folder(tmp_path / "frames")[4], local[4])


def test_lists_and_plain_urls_tell_how_it_went(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "size=64x36", "frames=1-3")
    master = farm.master(name="studio")
    farm.slave(master, blender_program, "--tags", "big,fast", name="anna")
    job = farm.submit(
        master,
        blender_program,
        blend,
        "--frames",
        "1-3x2",
        "--name",
        "teaser",
        "--priority",
        "70",
        "--wait",
    )

    api = MasterApi(master.url)
    listed = api.jobs()[0]
    assert (listed["id"], listed["name"], listed["priority"]) == (job, "teaser", 70)
    assert (listed["status"], listed["done"], listed["total"]) == ("Finished", 2, 2)
    assert "teaser" in farm.cli("jobs", "--master", master.url).out
    assert "teaser" in farm.cli("job", job, "--master", master.url).out
    assert "anna" in farm.cli("slaves", "--master", master.url).out
    for command in (["jobs"], ["job", job], ["slaves"]):
        assert farm.cli(*command, "--master", master.url, "--json").json()

    assert b'href="/plain"' in api.get("").body, "without JavaScript there is a way to the plain list"
    assert b"teaser" in api.get("plain").body

    # And anyone can fetch a frame, its thumbnail and its log with wget
    exr, jpg, log = (
        tmp_path / name for name in (f"render_{job}_3.exr", f"thumb_{job}_3.jpg", f"log_{job}_3.log")
    )
    for path in (exr, jpg, log):
        done = farm.run(["wget", "-q", "--no-proxy", "-P", tmp_path, f"{master.url}/{path.name}"])
        assert done.code == 0, f"{path.name}: {done.err}"
    film.assert_not_blank(exr)
    assert jpg.read_bytes()[:3] == b"\xff\xd8\xff"
    assert log.read_text(errors="replace").strip()
    assert api.call("GET", f"render_{job}_2.exr").status == 404


def test_frames_can_be_fetched_later(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-4")
    master = farm.master()
    farm.slave(master, blender_program)
    job = farm.submit(master, blender_program, blend, "--wait")
    farm.cli("get", job, "--frames", "2-3", "--output", tmp_path / "some", "--master", master.url)
    assert sorted(film.in_folder(tmp_path / "some")) == [2, 3]

    # A file of the same name and size that is another take is replaced
    frame = next((tmp_path / "some").rglob("0002.exr"))
    whole = frame.read_bytes()
    frame.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    farm.cli("get", job, "--frames", "2-3", "--output", tmp_path / "some", "--master", master.url)
    assert frame.read_bytes() == whole

    farm.cli("get", job, "--what", "jpg", "--output", tmp_path / "jpg", "--master", master.url)
    assert len(list((tmp_path / "jpg").rglob("*.jpg"))) == 4
    assert not list((tmp_path / "jpg").rglob("*.exr"))


def test_pause_resume_and_cancel(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "samples=4000", "frames=1-100")
    master = farm.master()
    farm.slave(master, blender_program)
    api = MasterApi(master.url)
    job = farm.submit(master, blender_program, blend)
    wait_until(lambda: api.job(job)["done"] >= 1, 60, "the first frame")

    farm.cli("pause", job, "--master", master.url)
    wait_until(lambda: api.job(job)["rendering"] == 0, 60, "what was rendering ends")
    before = api.job(job)
    assert before["status"] == "Paused"
    time.sleep(1)
    assert api.job(job)["done"] == before["done"]

    farm.cli("resume", job, "--master", master.url)
    wait_until(lambda: api.job(job)["done"] > before["done"], 60, "it goes on")
    farm.cli("cancel", job, "--master", master.url)
    canceled = api.job(job)
    assert canceled["status"] == "Canceled"
    assert canceled["done"] >= 1
    # And the slave is free for others at once
    other = farm.submit(master, blender_program, blend, "--frames", "7")
    assert api.wait(other)["state"] == "finished"


def test_fifty_frames_keep_one_blender_warm(farm, quiet, blender_program, tmp_path, record_property):
    # Given a slave whose Blender counts its starts
    counter = tmp_path / "starts"
    wrapper = tmp_path / "bin" / "blender"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho start >>"{counter}"\nexec "{blender_program.path}" "$@"\n')
    wrapper.chmod(0o755)
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-50")
    master = farm.master()
    slave = farm.slave(master, type(blender_program)(wrapper, blender_program.version))

    # When 50 frames are rendered
    job = farm.submit(master, blender_program, blend, "--wait")

    # Then Blender was started once, and hardly waited between two frames
    starts = len(counter.read_text().split())
    gaps = [float(g) for line in slave.lines("rendered job=") for g in re.findall(r"gap_ms=([\d.]+)", line)]
    median = statistics.median(gaps)
    print(f"{starts} Blender start(s); {len(gaps)} gaps, median {median:.1f} ms, largest {max(gaps):.1f} ms")
    record_property("gap_ms_median", median)
    assert starts == 1
    assert len(gaps) >= 49
    assert median < 50

    # And when the next job comes, the idle farm has its first task on the way at once
    api = MasterApi(master.url)
    spec = api.job(job)["spec"]
    waits = []
    for _ in range(5):
        began = time.monotonic()
        number = api.call("POST", "api/v1/jobs", {**spec, "frames": "1"}).json()["job"]
        while not (task := api.job(number)["tasks"][0])["attempts"] and task["state"] == "waiting":
            assert time.monotonic() - began < 10
        waits.append((time.monotonic() - began) * 1000)
        api.wait(number)
    print(f"first lease after {', '.join(f'{w:.0f}' for w in waits)} ms")
    assert statistics.median(waits) < 100
