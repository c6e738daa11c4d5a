# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong by itself, and heals by itself: killed slaves with films in hand, hung Blenders, slaves that always
fail, files that rot, disks that fill up, jobs that are deleted."""

import json
import os
import re
import signal

import pytest

from support import fake_blender, film
from support.api import FakeSlave, MasterApi, digest_of
from support.farm import wait_until
from support.small_disk import fill, small_disk
from support.tcp_relay import TcpRelay


def worker_of(farm):
    """The process number of the only rendering Blender."""
    return wait_until(
        lambda: next((pid for pid, command in farm.running().items() if "--python" in command), None),
        30,
        "a worker's process",
    )


def test_films_of_a_killed_slave_are_handed_in_by_its_next_start(farm, blender_program, tmp_path):
    # Given a slave whose line to the master breaks as soon as films go up, so that they wait
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-3")
    master = farm.master()
    api = MasterApi(master.url)
    with TcpRelay(master.url) as line:
        slave = farm.slave(line.url, blender_program, name="anna", wait=False)
        farm.await_slave(master.url, "anna")
        line.cut_after = line.up + 20_000
        job = farm.submit(master, blender_program, blend, "--chunk", "3")
        wait_until(lambda: len(slave.lines("rendered job=")) == 3, 60, "all frames are rendered")
        wait_until(line.broken.is_set, 60, "the line breaks")
        done = len(api.frames(job, "done"))
        assert done < 3, "nothing waits"

        # When it is killed in that state and started again
        farm.kill(slave)
        line.mend()
        again = farm.slave(line.url, blender_program, name="anna", wait=False)

        # Then they are handed in, and nothing is rendered again
        assert api.wait(job)["state"] == "finished"
        assert not again.lines("rendered job="), again.text()
        assert len(again.lines("rendered before")) >= 3 - done
        # The slave removes them once it has read the master's answer, which may be after the job is finished.
        wait_until(lambda: not list((again.data / "spool").glob("*.json")), 10, "nothing waits any more")
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    film.assert_not_blank(film.in_folder(tmp_path / "frames")[3])
    assert "Saved" in api.log(job, 3), "the log came along"


def test_a_hung_blender_is_killed_and_its_frame_rendered(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-2", "samples=20000")
    master = farm.master()
    slave = farm.slave(master, blender_program, "--hang-timeout", "2")
    job = farm.submit(master, blender_program, blend)
    api = MasterApi(master.url)
    farm.await_line(slave, "scene loaded")
    wait_until(lambda: api.job(job)["rendering"], 60, "a frame is rendering")
    os.kill(worker_of(farm), signal.SIGSTOP)
    assert api.wait(job)["state"] == "finished"
    assert sorted(task["attempts"] for task in api.job(job)["tasks"]) == [1, 2]
    assert slave.lines("worker_hung")


def test_a_busy_blender_is_not_taken_for_a_hung_one(farm, blender_program, tmp_path):
    # A frame that takes several times as long as the limit, and prints nothing meanwhile
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-1", "samples=120000")
    master = farm.master("--slave-timeout", "1")
    slave = farm.slave(master, blender_program, "--hang-timeout", "1")
    job = farm.submit(master, blender_program, blend)
    api = MasterApi(master.url)
    assert api.wait(job)["state"] == "finished"
    (task,) = api.job(job)["tasks"]
    assert task["attempts"] == 1
    assert task["seconds"] > 3, "too quick to tell anything"
    assert not slave.lines("hung")


def test_a_slave_that_always_fails_gets_no_more_of_the_job(farm, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    job = api.submit(api.put_blend(b"scene"), frames="1-9").json()["job"]
    bad, good = FakeSlave(api, "bad"), FakeSlave(api, "good")
    for _ in range(3):
        lease = bad.lease()
        error = {"kind": "worker_crashed", "message": "Blender ended (signal: 11)"}
        body = {
            "slave": bad.id,
            "lease": lease["lease"],
            "job": job,
            "frame": lease["frames"][0],
            "error": error,
        }
        api.post("api/v1/failures", {**body, "log": None})
        bad.held = []
    assert api.job(job)["blacklist"] == [bad.id]
    for _ in range(3):
        (frame,) = good.lease()["frames"]
        assert api.job(job)["tasks"][frame - 1]["slave"] == good.id
    # Its owner repaired it
    farm.cli("blacklist", job, bad.id, "--lift", "--master", master.url)
    assert api.job(job)["blacklist"] == []
    farm.cli("blacklist", job, bad.id, "--master", master.url)
    assert api.job(job)["blacklist"] == [bad.id]
    assert api.get("api/v1/info").json()["retry"] == {"attempts": 3, "slave_failures": 3}


def weight(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_deleted_jobs_space_comes_back_and_the_others_keep_theirs(farm):
    # Given two jobs that share a large file, and one with a file of its own
    shared, own = os.urandom(4_000_000), os.urandom(12_000_000)
    master = farm.master()
    api = MasterApi(master.url)

    def submit(*contents):
        digests = api.put_pieces(*contents)
        assets = [
            {"source": f"/{at}", "place": f"{at}.blend", "digest": digest, "bytes": len(data), "pieces": 1}
            for at, (digest, data) in enumerate(zip(digests, contents, strict=True))
        ]
        manifest = {"version": 2, "blend": "0.blend", "assets": assets, "paths": []}
        return api.submit(api.put_blob(json.dumps(manifest).encode()), width=32, height=18).json()["job"]

    kept, gone = submit(b"one", shared), submit(b"two", shared, own)
    picture = fake_blender.film("look", 1)
    slave = FakeSlave(api)
    for job in (kept, gone):
        slave.held = []
        assert slave.lease()["job"] == job
        assert slave.hand_in(job, 1, picture).json() == {"fresh": True}
    before = weight(master.data)

    # When one is deleted
    farm.cli("delete", gone, "--master", master.url)
    assert [job["id"] for job in api.jobs()] == [kept]
    assert api.call("GET", f"api/v1/jobs/{gone}").error()["code"] == "unknown_job"

    # Then its own file goes, and what the other needs stays
    wait_until(lambda: weight(master.data) < before - 11_000_000, 10, "the space comes back")
    assert api.missing_pieces([digest_of(own), digest_of(shared)]) == [digest_of(own)]
    assert api.get(f"render_{kept}_1.exr").body == picture
    farm.stop(master)
    checked = farm.cli("check", "--data", master.data, "--json").json()
    assert checked["problems"] == []
    assert (checked["jobs"], checked["frames_done"], checked["unneeded_files"]) == (1, 1, 0)


def test_a_job_deleted_just_before_a_crash_is_removed_after_it(farm, free_port):
    master = farm.master(port=free_port)
    api = MasterApi(master.url)
    api.submit(api.put_blend(os.urandom(8_000_000)))
    before = weight(master.data)
    api.call("DELETE", "api/v1/jobs/1")
    farm.kill(master)
    again = farm.master(port=free_port)
    assert MasterApi(again.url).jobs() == []
    wait_until(lambda: weight(again.data) < before - 7_000_000, 10, "the space comes back")


def test_a_rotten_picture_is_noticed_and_rendered_again(farm, fake, tmp_path):
    blend = fake.build(tmp_path / "shot.blend", "1-3", seconds=0.1)
    master = farm.master()
    farm.slave(master, fake)
    job = farm.submit(master, fake, blend, "--wait")
    api = MasterApi(master.url)
    tasks = {task["frame"]: task for task in api.job(job)["tasks"]}
    right = api.get(f"render_{job}_1.exr").body

    # Given one picture with a flipped bit, and one that is gone
    paths = [master.data / "blobs" / tasks[frame]["film"][:2] / tasks[frame]["film"] for frame in (1, 2)]
    data = bytearray(paths[0].read_bytes())
    data[len(data) // 2] ^= 1
    paths[0].write_bytes(data)
    paths[1].unlink()

    # When somebody wants them, then she does not get them as if they were right
    with pytest.raises(Exception, match=r"IncompleteRead|Connection"):
        api.get(f"render_{job}_1.exr")
    assert api.call("GET", f"render_{job}_2.exr").status == 404

    # And they are rendered again by themselves
    wait_until(lambda: api.job(job)["state"] == "finished", 60, "the frames are there again")
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    films = film.in_folder(tmp_path / "frames")
    assert sorted(films) == [1, 2, 3]
    (tmp_path / "right.exr").write_bytes(right)
    film.assert_same_film(films[1], tmp_path / "right.exr")


def test_check_says_what_is_wrong(farm, fake, tmp_path):
    blend = fake.build(tmp_path / "shot.blend", "1-2", seconds=0.1)
    master = farm.master()
    farm.slave(master, fake)
    job = farm.submit(master, fake, blend, "--wait")
    api = MasterApi(master.url)
    tasks = {task["frame"]: task for task in api.job(job)["tasks"]}
    assert "another master" in farm.cli("check", "--data", master.data, code=1).err
    farm.stop(next(service for service in farm.services if service.name == "slave"))
    farm.stop(master)
    checked = farm.cli("check", "--data", master.data, "--json").json()
    assert checked["problems"] == []
    assert checked["frames_done"] == 2

    (master.data / "blobs" / tasks[1]["film"][:2] / tasks[1]["film"]).write_bytes(b"rotten")
    pack = next((master.data / "pieces").glob("*.pack"))
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    (master.data / "blobs" / "00").mkdir(exist_ok=True)
    (master.data / "blobs" / "00" / ("00" * 32)).write_bytes(b"nobody's")
    checked = farm.cli("check", "--data", master.data, "--json", code=1).json()
    first, second = checked["problems"]
    assert re.search(r"job 1: .*shot\.blend: the piece \w+ in .* is damaged: .*: send the scene again", first)
    assert re.search(r"job 1, frame 1: its picture: \w+ is damaged", second)
    assert (checked["unneeded_files"], checked["unneeded_bytes"]) == (1, 8)
    assert "no master has worked in it" in farm.cli("check", "--data", tmp_path / "nowhere", code=1).err


def test_a_slave_on_a_full_disk_waits_and_loses_nothing(farm, as_root, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-100", "samples=400")
    master = farm.master()
    api = MasterApi(master.url)
    with small_disk(tmp_path / "full-data", "size=24m") as disk:
        slave = farm.slave(master, blender_program, name="full")
        job = farm.submit(master, blender_program, blend, "--chunk", "4")
        wait_until(lambda: api.job(job)["done"] >= 3, 60, "some frames")
        ballast = fill(disk)
        farm.await_line(slave, "nearly full")
        # What it had not begun goes back, and nothing has failed
        wait_until(lambda: api.job(job)["rendering"] == 0, 10, "its frames go back")
        assert api.job(job)["failed"] == 0
        ballast.unlink()
        assert api.wait(job)["state"] == "finished"
        assert {task["attempts"] for task in api.job(job)["tasks"]} == {1}
        farm.close()
        farm.services.clear()


def test_clear_on_exit_leaves_only_the_slaves_name(farm, fake, tmp_path):
    blend = fake.build(tmp_path / "shot.blend", "1-1", seconds=0.1)
    master = farm.master()
    slave = farm.slave(master, fake, "--clear-on-exit")
    farm.submit(master, fake, blend, "--wait")
    assert farm.stop(slave)[0] == 0
    assert {path.name for path in slave.data.iterdir()} == {"slave.key", "slave.lock"}


def test_what_a_kill_left_without_use_is_swept(farm, free_port):
    # Given a master that was killed with two files nobody refers to, one of them sent long ago
    master = farm.master(port=free_port)
    api = MasterApi(master.url)
    old, new = (api.put_blob(content) for content in (b"of a frame that is merged", b"of a job to come"))
    farm.kill(master)
    (path,) = master.data.rglob(old)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * 24 * 3600))

    # When it starts again, then the old one goes
    master = farm.master(port=free_port)
    wait_until(lambda: not path.exists(), 20, "it is removed")
    assert api.call("HEAD", f"api/v1/blobs/{new}").status == 200
