# SPDX-License-Identifier: GPL-3.0-or-later
"""What people set of running slaves from the monitor, and how the farm shares slaves out."""

import os
import signal

import pytest

from support import fake_blender
from support.api import FakeSlave, MasterApi
from support.farm import wait_until


# With some seconds to render none of the fake's frames goes wrong.
def send(farm, fake, master, tmp_path, frames="1", name="shot", seconds=0.1, noise_bytes=10_000, options=()):
    blend = fake.build(tmp_path / f"{name}.blend", frames, seconds=seconds, noise_bytes=noise_bytes)
    return farm.submit(master, fake, blend, *options)


def change(api, slave, edits=None, **settings):
    headers = {} if edits is None else {"If-Match": f'"{edits}"'}
    return api.call("PATCH", f"api/v1/slaves/{slave}/settings", settings, headers=headers)


def settings_of(api, slave):
    return api.get(f"api/v1/slaves/{slave}/settings").json()


def await_use(api, slave):
    """Waits until the slave says that it goes by everything that is set; what that is."""

    def look():
        seen = settings_of(api, slave)
        return seen["in_use"] is not None and not seen["pending"] and seen

    return wait_until(look, 20, "the slave goes by its settings")["in_use"]


def master_again(farm, master):
    farm.kill(master)
    return farm.master(data=master.data, port=master.url.rsplit(":", 1)[1].strip("/"))


def test_a_running_slaves_settings_are_changed_and_outlive_master_and_slave(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    slave = farm.slave(master, fake, "--tags", "barn", "--threads", 1, "--upload-interval", 5)
    (shown,) = api.slaves()
    number = shown["id"]
    own = settings_of(api, number)["own"]
    assert (own["name"], own["tags"], own["threads"], own["upload_interval_s"]) == ("slave", ["barn"], 1, 5)
    assert await_use(api, number) == own
    needs_gpu = send(farm, fake, master, tmp_path, options=["--tags", "gpu"])
    assert "lacks the tag gpu" in api.job(needs_gpu)["why"]

    # When somebody sets tags, name and the rest
    new = {
        "name": "big anna",
        "tags": ["barn", "gpu"],
        "hang_timeout_s": 77.5,
        "cache_limit_gb": 0.3,
        "upload_interval_s": 20,
    }
    assert change(api, number, **new).json() == {"edits": 1}
    # Then the job that waited for the tag starts there at once
    assert api.wait(needs_gpu, timeout_s=20)["state"] == "finished"
    assert await_use(api, number) == {**own, **new}
    (shown,) = api.slaves()
    assert (shown["name"], shown["info"]["tags"], shown["edits"]) == ("big anna", ["barn", "gpu"], 1)
    history = [line["text"] for line in api.get("api/v1/history").json()]
    assert any('Slave slave was set to name "big anna", tags barn, gpu' in line for line in history), history
    assert "big anna" in farm.cli("slaves", "--master", master.url).out
    told = len(slave.lines("set from the master"))
    assert told == 1

    # It outlives the master, who tells nothing twice
    master = master_again(farm, master)
    farm.await_slave(master.url, "big anna")
    assert await_use(api, number) == {**own, **new}
    assert len(slave.lines("set from the master")) == told
    # and the slave, too, which is set before its first frame
    farm.kill(slave)
    slave = farm.slave(master, fake, "--tags", "barn", "--threads", 1, "--upload-interval", 5, wait=False)
    farm.await_line(slave, "set from the master")
    farm.await_slave(master.url, "big anna")
    assert await_use(api, number) == {**own, **new}
    assert [one["id"] for one in api.slaves()] == [number]

    # What is cleared is the slave's own again
    assert change(api, number, name=None, tags=None, cache_limit_gb=None).json() == {"edits": 2}
    assert await_use(api, number) == {**own, "hang_timeout_s": 77.5, "upload_interval_s": 20}
    assert api.slaves()[0]["name"] == "slave"
    farm.stop(slave)
    # A slave that is not there is set for its next start.
    assert change(api, number, threads=2).json() == {"edits": 3}
    assert settings_of(api, number)["in_use"] is None
    assert "threads" in settings_of(api, number)["pending"]


def test_threads_are_those_of_the_next_worker(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    farm.slave(master, fake, "--threads", 1)
    number = api.slaves()[0]["id"]

    def loaded():
        return [row[3] for row in fake.ledger.read() if row[0] == "loaded"]

    first = send(farm, fake, master, tmp_path, "1-2", name="first", seconds=3)
    wait_until(lambda: fake.renders() == 1, 30, "the first frame is begun")
    assert change(api, number, threads=3).status == 200
    wait_until(
        lambda: settings_of(api, number)["in_use"]["threads"] == 1, 10, "the slave says how it renders"
    )
    assert settings_of(api, number)["pending"] == ["threads"]
    assert api.slaves()[0]["threads"] == 1
    api.wait(first)
    api.wait(send(farm, fake, master, tmp_path, name="second"))
    assert loaded() == ["1", "3"]
    assert await_use(api, number)["threads"] == 3
    assert api.slaves()[0]["threads"] == 3


def test_a_hang_timeout_holds_for_the_frame_that_hangs_already(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    slave = farm.slave(master, fake, "--hang-timeout", 0)
    number = api.slaves()[0]["id"]
    job = send(farm, fake, master, tmp_path, seconds=2)
    wait_until(lambda: fake.renders() == 1, 30, "the frame is begun")
    (blender,) = (row[3] for row in fake.ledger.read() if row[0] == "began")
    os.kill(int(blender), signal.SIGSTOP)
    assert change(api, number, hang_timeout_s=3).status == 200
    farm.await_line(slave, "blender hung and was killed")
    assert api.wait(job)["state"] == "finished"
    assert fake.renders() == 2


def test_a_cache_limit_holds_from_the_next_file_on(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    farm.slave(master, fake)
    number = api.slaves()[0]["id"]

    def cached():
        return api.get(f"api/v1/slaves/{number}").json()["cache_bytes"]

    big = 3_000_000
    api.wait(send(farm, fake, master, tmp_path, name="big", noise_bytes=big))
    wait_until(lambda: (cached() or 0) > big, 20, "the scene is kept")
    assert change(api, number, cache_limit_gb=0.001).status == 200
    # A slave keeps the files of its last jobs together with their folders.
    for name in "abcdef":
        api.wait(send(farm, fake, master, tmp_path, name=name))
    wait_until(lambda: cached() < big, 20, "the big scene had to go")


@pytest.fixture(scope="module")
def listed_slave(lasting_master):
    """The number of a slave that nobody changes."""
    return FakeSlave(MasterApi(lasting_master.url)).id


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"name": "  "}, 422, "1 to 200 characters"),
        ({"tags": [""]}, 422, "at most 100 tags"),
        ({"threads": 0}, 422, "1 to 1024 threads"),
        ({"hang_timeout_s": -1}, 422, "0 (wait for ever)"),
        ({"cache_limit_gb": 2e6, "name": "never"}, 422, "the cache limit is 0 to 1000000 GB"),
        ({"upload_interval_s": 4000}, 422, "1 to 3600 seconds"),
        ({"thread": 3}, 400, "thread"),
        ({"threads": "many"}, 400, "JSON"),
        ({"threads": -3}, 400, "JSON"),
    ],
)
def test_settings_out_of_bounds_are_refused_in_words(lasting_master, listed_slave, body, status, word):
    api = MasterApi(lasting_master.url)
    answer = change(api, listed_slave, **body)
    assert answer.status == status, answer.body
    assert status == 400 or answer.error()["code"] == "bad_setting"
    assert word in answer.error()["message"]
    assert settings_of(api, listed_slave)["edits"] == 0


def test_editors_of_settings_are_told_of_each_other(farm, fake):
    master = farm.master()
    api = MasterApi(master.url)
    farm.slave(master, fake)
    number = api.slaves()[0]["id"]
    assert change(api, 77, threads=3).status == 404
    assert api.call("GET", "api/v1/slaves/77").status == 404
    assert settings_of(api, number)["edits"] == 0

    assert change(api, number, edits=0, threads=3, name="anna").json() == {"edits": 1}
    late = change(api, number, edits=0, threads=5)
    assert late.status == 412
    assert late.error()["code"] == "edited_meanwhile"
    assert "3 threads" in late.error()["message"]
    assert change(api, number, edits=1, threads=5).json() == {"edits": 2}


def test_a_slave_looked_at_closely_shows_what_it_prints(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    farm.slave(master, fake)
    number = api.slaves()[0]["id"]
    job = send(farm, fake, master, tmp_path, seconds=20)

    def look():
        seen = api.get(f"api/v1/slaves/{number}").json()
        return "Frame 1, second" in seen["log"] and seen

    seen = wait_until(look, 30, "what Blender prints is seen")
    assert (seen["id"], seen["job"], seen["settings"]["own"]["name"]) == (number, job, "slave")
    assert seen["cache_bytes"] > 10_000
    api.post(f"api/v1/jobs/{job}/cancel", None)


# ---------------------------------------------------------------------------------------------- who gets the next slave


def balance(api, rules, edits=None):
    headers = {} if edits is None else {"If-Match": f'"{edits}"'}
    return api.call("PUT", "api/v1/balance", rules, headers=headers)


def test_the_balance_decides_who_gets_the_next_slave_and_outlives_the_master(farm, fake, tmp_path):
    master = farm.master()
    api = MasterApi(master.url)
    usual = {"new_job": 0.5, "hour": 0, "category_slave": 0}
    seen = api.get("api/v1/balance").json()
    assert (seen["edits"], seen["rules"], seen["usual"]) == (0, usual, usual)
    film = send(
        farm, fake, master, tmp_path, "1-4", name="film", options=["--category", "film", "--priority", 60]
    )
    still = send(
        farm, fake, master, tmp_path, "1-4", name="still", options=["--category", "still", "--priority", 50]
    )

    # When each slave of a category costs more than the jobs are apart
    assert balance(api, {**usual, "category_slave": 20}, edits=0).json() == {"edits": 1}
    assert any("20 less" in line for line in api.get("api/v1/balance").json()["words"])
    master = master_again(farm, master)
    assert api.get("api/v1/balance").json()["rules"]["category_slave"] == 20

    # Then two slaves that come at the same time share both jobs
    slaves = [FakeSlave(api, name, blender=fake_blender.VERSION) for name in ("one", "two")]
    assert [slave.lease()["job"] for slave in slaves] == [film, still]
    for slave in slaves:
        slave.leave()
    # and as usual the higher priority has them all
    assert balance(api, {}, edits=1).json() == {"edits": 2}
    assert api.get("api/v1/balance").json()["rules"] == usual
    assert [FakeSlave(api, name, blender=fake_blender.VERSION).lease()["job"] for name in ("a", "b")] == [
        film,
        film,
    ]
    told = [line["text"] for line in api.get("api/v1/history").json() if line["kind"] == "farm"]
    assert len(told) == 2
    assert "20 less for a slave of the category" in told[-1]


@pytest.mark.parametrize(
    ("rules", "status", "word"),
    [
        ({"hour": -1}, 422, "0 to 100 points"),
        ({"new_job": 101}, 422, "0 to 100 points"),
        ({"weight": 1}, 400, "weight"),
        ({"hour": "much"}, 400, "JSON"),
    ],
)
def test_a_balance_out_of_bounds_is_refused_in_words(lasting_master, rules, status, word):
    answer = balance(MasterApi(lasting_master.url), rules)
    assert answer.status == status, answer.body
    assert word in answer.error()["message"], answer.body


def test_of_two_who_change_the_balance_the_second_is_told(farm):
    api = MasterApi(farm.master().url)
    assert balance(api, {"hour": 2}, edits=0).json() == {"edits": 1}
    late = balance(api, {"hour": 3}, edits=0)
    assert late.status == 412
    assert "2 for an hour" in late.error()["message"]
