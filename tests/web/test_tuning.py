# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set in the web monitor while the farm runs: slaves, and who gets the next one. Each click's effect is looked
for on the farm."""

import pytest

from support import fake_blender
from support.api import FakeSlave
from support.farm import wait_until
from support.farm_of_jobs import FarmOfJobs


@pytest.fixture
def jobs(farm):
    """A farm with one slave that renders in no time."""
    return FarmOfJobs(farm, slaves=1)


def settings_of(jobs, slave):
    return jobs.api.get(f"api/v1/slaves/{slave}/settings").json()


def test_a_running_slave_is_set_from_its_page(jobs, browser):
    (slave,) = (one["id"] for one in jobs.api.slaves())
    waits = jobs.submit("Needs gpu", "1-2", tags=["gpu"])
    browser.open(f"{jobs.url}/#/slaves/{slave}")
    browser.reads("in use", "#use-threads")
    browser.fill("#set-name", "big <b>anna</b>")
    browser.fill("#set-tags", "barn, gpu")
    browser.fill("#set-cache_limit_gb", "0.5")
    browser.fill("#set-hang_timeout_s", "90")
    browser.act("save")
    browser.reads("big <b>anna</b>", "h1")
    assert jobs.api.wait(waits, timeout_s=20)["state"] == "finished", "the job that needed the tag"
    browser.reads("in use", "#use-cache_limit_gb")
    used = wait_until(
        lambda: (seen := settings_of(jobs, slave)) and not seen["pending"] and seen["in_use"], 20, "used"
    )
    assert (used["name"], used["tags"]) == ("big <b>anna</b>", ["barn", "gpu"])
    assert (used["cache_limit_gb"], used["hang_timeout_s"]) == (0.5, 90)
    assert "used" in browser.text("label[for='set-cache_limit_gb']")

    # A worker that is at work keeps its threads, and the page says so
    job = jobs.submit("Long", "1", seconds=60)
    wait_until(lambda: jobs.api.slaves()[0]["job"] == job, 20, "it renders")
    browser.reads("Frame 1, second", "pre.log")  # the page makes room for it: buttons move
    browser.fill("#set-threads", "7")
    browser.act("save")
    browser.reads("1 until its next scene", "#use-threads")
    jobs.api.post(f"api/v1/jobs/{job}/cancel", None)
    jobs.api.wait(jobs.submit("Next", "1"))
    browser.reads("in use", "#use-threads")
    assert jobs.api.slaves()[0]["threads"] == 7

    # What is cleared is its own again, and what else was typed waits
    browser.fill("#set-upload_interval_s", "12")
    browser.act("own-name")
    browser.reads("render-1", "h1")
    assert browser.find("#set-upload_interval_s").get_attribute("value") == "12"
    browser.act("save")
    wait_until(lambda: settings_of(jobs, slave)["set"]["upload_interval_s"] == 12, 10, "that is set, too")
    assert settings_of(jobs, slave)["set"]["name"] is None

    # Nonsense is refused in words; a field that is emptied is the slave's own
    browser.fill("#set-threads", "0")
    browser.act("save")
    browser.reads("1 to 1024 threads", ".notice.is-bad")
    browser.act("undo")
    assert settings_of(jobs, slave)["set"]["threads"] == 7
    assert all("settings" in complaint for complaint in browser.complaints())


def test_of_two_people_who_set_a_slave_the_second_is_told(jobs, browser):
    (slave,) = (one["id"] for one in jobs.api.slaves())
    browser.open(f"{jobs.url}/#/slaves/{slave}")
    browser.fill("#set-threads", "3")
    assert (
        jobs.api.call("PATCH", f"api/v1/slaves/{slave}/settings", {"threads": 2, "tags": ["a"]}).status == 200
    )
    wait_until(lambda: browser.find("#set-tags").get_attribute("value") == "a", 20, "theirs is shown")
    browser.act("save")
    browser.reads("2 threads", ".conflict")
    assert settings_of(jobs, slave)["set"]["threads"] == 2
    browser.act("theirs")
    browser.fill("#set-threads", "3")
    browser.act("save")
    wait_until(lambda: settings_of(jobs, slave)["set"]["threads"] == 3, 10, "now it is set")
    assert all("412" in complaint for complaint in browser.complaints())


def test_a_slave_that_is_not_there_is_set_for_its_next_start(jobs, browser):
    (slave,) = (one["id"] for one in jobs.api.slaves())
    jobs.env.stop(jobs.slaves[0])
    browser.open(f"{jobs.url}/#/slaves/{slave}")
    browser.fill("#set-threads", "2")
    browser.act("save")
    browser.reads("from its next start on", "#use-threads")
    service = jobs.env.slave(jobs.master, jobs.blender, name="render-1", wait=False)
    jobs.env.await_line(service, "set from the master")
    browser.reads("in use", "#use-threads")
    assert [one["threads"] for one in jobs.api.slaves()] == [2]


def test_the_balance_is_changed_on_the_farms_page(farm, browser):
    jobs = FarmOfJobs(farm, slaves=0)
    film = jobs.submit("Film", "1-4", category="film", priority=60)
    still = jobs.submit("Still", "1-4", category="still", priority=50)
    browser.open(f"{jobs.url}/#/farm")
    browser.reads("the one that was sent first", "section[aria-labelledby='balance']")
    assert not browser.all("[data-action='usual']")
    browser.fill("#set-category_slave", "20.5")
    browser.act("save")
    wait_until(
        lambda: jobs.api.get("api/v1/balance").json()["rules"]["category_slave"] == 20.5, 10, "it is changed"
    )
    slaves = [FakeSlave(jobs.api, name, fake_blender.VERSION) for name in ("one", "two")]
    assert [slave.lease()["job"] for slave in slaves] == [film, still]
    browser.reads("The balance was changed", "section[aria-labelledby='events']")

    # Somebody else changes it, too
    browser.fill("#set-hour", "3")
    assert jobs.api.call("PUT", "api/v1/balance", {"hour": 2}).status == 200
    browser.act("save")
    browser.reads("2 for an hour", ".conflict")
    browser.act("theirs")
    wait_until(lambda: browser.find("#set-hour").get_attribute("value") == "2", 10, "theirs is shown")

    browser.fill("#set-hour", "300")
    browser.act("save")
    browser.reads("0 to 100 points", ".notice.is-bad")
    browser.act("usual")
    browser.gone("[data-action='usual']")
    seen = jobs.api.get("api/v1/balance").json()
    assert seen["rules"] == seen["usual"]
    assert all("balance" in complaint for complaint in browser.complaints())


def test_the_forms_speak_german(jobs, browser):
    (slave,) = (one["id"] for one in jobs.api.slaves())
    browser.open(f"{jobs.url}/#/slaves/{slave}")
    browser.choose("header select", "de")
    browser.reads("gilt", "#use-name")
    browser.go("/farm")
    browser.reads("Wer den nächsten Slave bekommt", "#balance")
