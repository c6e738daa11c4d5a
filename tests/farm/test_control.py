# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do to a running farm: edit jobs, render frames again, pause, drain and stop slaves."""

import sys

import pytest

from support import film
from support.api import MasterApi
from support.farm import wait_until


# With some seconds to render none of the fake's frames goes wrong.
def send(farm, fake, master, tmp_path, frames="1-3", seconds=0.1, name="shot", options=()):
    blend = fake.build(tmp_path / f"{name}.blend", frames, seconds=seconds)
    return farm.submit(master, fake, blend, *options)


def slave_of(api, name="slave"):
    return next(slave for slave in api.slaves() if slave["name"] == name)


def patch(api, path, body, **headers):
    return api.call("PATCH", path, body, headers=headers)


@pytest.fixture(scope="module")
def waiting_job(lasting_master):
    """The path of a job that nobody renders or changes."""
    api = MasterApi(lasting_master.url)
    return f"api/v1/jobs/{api.submit(api.put_blend(b'a scene')).json()['job']}"


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"priority": 101}, 422, "0 to 100"),
        ({"chunk": 0}, 422, "chunk"),
        ({"name": "  "}, 422, "name"),
        ({"frames": "1-2"}, 400, "frames"),
        ({"priority": "high"}, 400, "JSON"),
    ],
)
def test_nonsense_is_refused_by_name_and_changes_nothing(lasting_master, waiting_job, body, status, word):
    api = MasterApi(lasting_master.url)
    answer = patch(api, waiting_job, body)
    assert answer.status == status, answer.body
    assert word in answer.error()["message"], answer.body
    assert api.get(waiting_job).json()["edits"] == 0


def test_two_people_edit_a_job_and_the_second_is_told_what_the_first_did(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    job = send(farm, fake, master, tmp_path)
    before = api.job(job)["edits"]
    mine = {"priority": 80, "name": "the hero's shot", "tags": ["big"]}
    first = patch(api, f"api/v1/jobs/{job}", mine, **{"If-Match": f'"{before}"'})
    assert (first.status, first.json()) == (200, {"edits": before + 1})
    second = patch(api, f"api/v1/jobs/{job}", {"priority": 10}, **{"If-Match": f'"{before}"'})
    assert second.status == 412
    error = second.error()
    assert error["code"] == "edited_meanwhile"
    for word in ("priority is 80", "the hero's shot", "big"):
        assert word in error["message"], error
    assert api.job(job)["priority"] == 80
    assert patch(api, f"api/v1/jobs/{job}", {"priority": 1}, **{"If-Match": "abc"}).status == 400
    assert patch(api, "api/v1/jobs/99", {"priority": 1}).status == 404

    # What was edited outlives the master, and the command line edits, too
    farm.kill(master)
    master = farm.master(data=master.data)
    api = MasterApi(master.url)
    assert api.job(job)["name"] == "the hero's shot"
    assert api.job(job)["edits"] == before + 1
    done = farm.cli("set", job, "--chunk", "2", "--tags", "", "--master", master.url, "--json").json()
    assert done["edits"] == before + 2
    assert api.job(job)["spec"]["chunk"] == 2
    assert api.job(job)["spec"]["tags"] == []
    farm.cli("set", job, "--master", master.url, code=2)


def test_an_edited_priority_decides_who_is_next(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    first = send(farm, fake, master, tmp_path, "1-2", name="first")
    second = send(farm, fake, master, tmp_path, "1-2", name="second")
    assert patch(api, f"api/v1/jobs/{second}", {"priority": 90}).status == 200
    slave = farm.slave(master, fake)
    api.wait(first)
    rendered = [line.split("job=")[1].split()[0] for line in slave.lines("rendered job=")]
    assert rendered == [str(second)] * 2 + [str(first)] * 2


def test_chosen_frames_are_rendered_again(farm, fake, tmp_path):
    blend = fake.build(tmp_path / "shot.blend", "1-4", seconds=0.1)
    master = farm.master()
    farm.slave(master, fake)
    job = farm.submit(master, fake, blend, "--wait")
    api = MasterApi(master.url)

    def files():
        return {path.name for path in (master.data / "blobs").rglob("*")}

    pictures = {task["frame"]: task["film"] for task in api.job(job)["tasks"]}
    assert set(pictures.values()) <= files()
    farm.cli("pause-slave", slave_of(api)["id"], "--master", master.url)
    farm.cli("requeue", job, "--frames", "2-3", "--master", master.url)
    assert api.frames(job, "done") == {1, 4}
    assert api.call("GET", f"render_{job}_2.exr").status == 404, "of what it was nothing is kept"
    gone = {pictures[2], pictures[3]} - {pictures[1], pictures[4]}
    assert len(gone) == 2
    wait_until(lambda: not gone & files(), 30, "the old pictures are removed")
    farm.cli("resume-slave", slave_of(api)["id"], "--master", master.url)
    assert api.wait(job)["state"] == "finished"
    (tmp_path / "again.exr").write_bytes(api.get(f"render_{job}_2.exr").body)
    film.assert_not_blank(tmp_path / "again.exr")
    refused = api.call("POST", f"api/v1/jobs/{job}/frames/requeue", {"frames": "4-5"})
    assert refused.status == 404
    assert "no frame 5" in refused.error()["message"]
    assert api.call("POST", f"api/v1/jobs/{job}/frames/requeue", {"frames": "x"}).status == 400


def test_a_paused_slave_ends_its_frame_and_waits_even_through_restarts(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    slave = farm.slave(master, fake)
    number = slave_of(api)["id"]
    job = send(farm, fake, master, tmp_path, "1-3", seconds=2)
    wait_until(lambda: fake.renders() == 1, 30, "the first frame is begun")
    farm.cli("pause-slave", number, "--master", master.url)
    shown = slave_of(api)
    assert shown["paused"], shown
    assert "then pauses" in shown["status"], shown
    # What it had leased ahead it ends, too
    wait_until(lambda: api.job(job)["rendering"] == 0, 30, "it ends what it has")
    left = 3 - len(api.frames(job, "done"))
    assert left >= 1
    assert "paused" in api.job(job)["why"]

    farm.kill(master)
    port = master.url.rsplit(":", 1)[1].strip("/")
    master = farm.master(data=master.data, port=port)
    farm.stop(slave)
    slave = farm.slave(master, fake)
    assert slave_of(api)["paused"]
    assert slave_of(api)["status"].startswith("Paused")
    assert api.job(job)["rendering"] == 0
    farm.cli("resume-slave", number, "--master", master.url)
    assert api.wait(job)["state"] == "finished"
    assert not slave_of(api)["paused"]


def test_a_drained_slave_ends_its_frames_and_then_itself(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    slave = farm.slave(master, fake)
    number = slave_of(api)["id"]
    job = send(farm, fake, master, tmp_path, "1-9", seconds=2)
    wait_until(lambda: fake.renders() == 1, 30, "the first frame is begun")
    farm.cli("drain-slave", number, "--master", master.url)
    assert slave_of(api)["draining"]
    assert farm.wait_end(slave) == 0
    assert slave.lines("stopped from the master")
    done = len(api.frames(job, "done"))
    assert 1 <= done < 9
    assert fake.renders() == done, "what was begun was ended, and nothing more"
    assert slave_of(api)["state"] == "gone"
    assert api.call("POST", f"api/v1/slaves/{number}/drain").status == 409
    farm.slave(master, fake)
    assert api.wait(job)["state"] == "finished", "started again it works"


def test_a_stopped_slave_is_gone_at_once_and_its_frame_is_free(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    slave = farm.slave(master, fake)
    job = send(farm, fake, master, tmp_path, "1-1", seconds=20)
    wait_until(lambda: fake.renders() == 1, 30, "the frame is begun")
    farm.cli("stop-slave", slave_of(api)["id"], "--master", master.url)
    assert farm.wait_end(slave, timeout_s=10) == 0
    (task,) = api.job(job)["tasks"]
    assert (task["state"], task["attempts"]) == ("waiting", 0)
    assert not [command for command in farm.running().values() if "fake_blender" in command]
    assert api.call("POST", "api/v1/slaves/77/stop").status == 404
    assert api.call("POST", f"api/v1/slaves/{slave_of(api)['id']}/dance").status == 404


def test_a_slave_in_python_can_be_stopped_from_the_master_and_started_again(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    script = tmp_path / "slave.py"
    script.write_text(f"""
import time
import netrender_native

slave = netrender_native.Slave(
    {str(tmp_path / "python")!r}, {str(fake.path)!r}, master={master.url!r}, name="python"
)
for state in ("stopped", "idle"):
    slave.start()
    while slave.snapshot()["state"] != state:
        time.sleep(0.02)
    print("now", state, flush=True)
slave.stop()
""")
    slave = farm.spawn("python", [sys.executable, script])
    shown = wait_until(lambda: next(iter(api.slaves()), None), 60, "the slave is there")
    farm.cli("stop-slave", shown["id"], "--master", master.url)
    assert farm.wait_end(slave) == 0, slave.text()
    assert [line.split()[1] for line in slave.lines("now ")] == ["stopped", "idle"]
