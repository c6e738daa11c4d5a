# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that die. Nothing that was handed in is lost or made twice."""

import collections
import os
import re
import signal

from support import film
from support.api import MasterApi
from support.farm import wait_until


def rendered(*slaves):
    """How often each frame was rendered, by the slaves' logs."""
    lines = [line for slave in slaves for line in slave.lines("rendered job=")]
    return collections.Counter(int(re.search(r"frame=(-?\d+)", line).group(1)) for line in lines)


def test_a_killed_master_goes_on_where_it_was(farm, fake, free_port, tmp_path):
    # Given a job of 50 frames in the middle
    blend = fake.build(tmp_path / "shot.blend", "1-50", seconds=0.1)
    master = farm.master(port=free_port)
    slave = farm.slave(master, fake)
    job = farm.submit(master, fake, blend)
    api = MasterApi(master.url)
    wait_until(lambda: api.job(job)["done"] >= 10, 120, "ten frames")

    # When the master is killed and started again on the same folder
    handed_in = api.frames(job, "done")
    farm.kill(master)
    assert len(handed_in) < 50
    master = farm.master(port=free_port)

    # Then the job is there with its frames, and goes on without a hand
    assert handed_in <= api.frames(job, "done")
    assert api.wait(job)["state"] == "finished"
    assert len(api.frames(job, "done")) == 50
    assert slave.alive()

    # And nothing that was handed in was rendered again
    counts = rendered(slave)
    assert sorted(counts) == list(range(1, 51))
    assert {frame: counts[frame] for frame in handed_in if counts[frame] != 1} == {}
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    films = film.in_folder(tmp_path / "frames")
    assert len(films) == 50
    film.assert_not_blank(films[50])


def test_a_master_killed_twenty_times_loses_nothing(farm, blender_program, free_port, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-200", "samples=100")
    master = farm.master(port=free_port)
    slaves = [farm.slave(master, blender_program, "--threads", "1", name=name) for name in ("anna", "ben")]
    job = farm.submit(master, blender_program, blend)
    api = MasterApi(master.url)
    seen = set()
    for kill in range(20):
        wait_until(lambda goal=5 + 9 * kill: api.job(job)["done"] >= goal, 120, "some more frames")
        seen |= api.frames(job, "done")
        farm.kill(master)
        master = farm.master(port=free_port)
        assert seen <= api.frames(job, "done")
    assert len(seen) < 200
    assert api.wait(job)["state"] == "finished"
    assert len(api.frames(job, "done")) == 200
    counts = rendered(*slaves)
    assert {frame: counts[frame] for frame in seen if counts[frame] != 1} == {}
    extra = counts.total() - 200
    print(f"20 kills: {extra} extra renders")
    assert extra <= 20
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    films = film.in_folder(tmp_path / "frames")
    assert sorted(films) == list(range(1, 201))
    local = blender_program.render_local(blend, [7, 150], tmp_path / "local")
    for frame, path in local.items():
        film.assert_same_film(films[frame], path)


def test_a_killed_slaves_frames_go_to_another(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-12", "samples=4000")
    master = farm.master("--slave-timeout", "3")
    lost = farm.slave(master, blender_program, name="lost")
    job = farm.submit(master, blender_program, blend)
    api = MasterApi(master.url)
    wait_until(lambda: api.job(job)["done"] >= 2, 60, "two frames")
    farm.kill(lost)
    farm.slave(master, blender_program, name="other")
    assert api.wait(job)["state"] == "finished"
    # And the dead slave's Blender did not outlive it
    workers = [c for c in farm.running().values() if "--python" in c]
    assert len(workers) <= 1, workers


def test_a_slave_that_stops_gives_its_frames_back_at_once(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-4", "samples=2000000")
    master = farm.master()
    slave = farm.slave(master, blender_program)
    job = farm.submit(master, blender_program, blend)
    api = MasterApi(master.url)
    wait_until(lambda: api.job(job)["rendering"], 60, "a frame is rendering")
    code, seconds = farm.stop(slave)
    assert code == 0
    assert seconds < 3
    wait_until(lambda: api.job(job)["rendering"] == 0, 5, "the frames go back")
    assert not [c for c in farm.running().values() if "--python" in c]


def test_a_crashed_blender_costs_one_attempt(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-2", "samples=20000")
    master = farm.master()
    slave = farm.slave(master, blender_program)
    job = farm.submit(master, blender_program, blend)
    api = MasterApi(master.url)
    # Before, it would be a spare Blender that dies, and costs no attempt.
    farm.await_line(slave, "scene loaded")
    wait_until(lambda: api.job(job)["rendering"], 60, "a frame is rendering")

    def worker():
        return next((p for p, c in farm.running().items() if "--python" in c), None)

    pid = wait_until(worker, 30, "the worker's process")
    os.kill(pid, signal.SIGSEGV)
    assert api.wait(job)["state"] == "finished"
    assert sorted(t["attempts"] for t in api.job(job)["tasks"]) == [1, 2]
    assert slave.lines("worker_crashed")
