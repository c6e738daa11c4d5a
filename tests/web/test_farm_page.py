# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's pages of a slave and of the farm."""

import re

from support.browser import Keys
from support.farm import wait_until


def test_a_slave_says_what_it_is_and_does(jobs, browser):
    slave = jobs.api.slaves()[0]
    job = jobs.submit("Long", "1-2", seconds=30)
    browser.open(f"{jobs.url}/#/slaves/{slave['id']}")
    browser.reads(slave["name"], "h1")
    browser.reads(f"Rendering job {job} frame", ".head")
    browser.reads(slave["info"]["os"])
    jobs.api.post(f"api/v1/jobs/{job}/cancel", None)
    browser.reads("Ready", ".head")


def test_a_slave_is_paused_resumed_drained_and_stopped(jobs, browser):
    first, second = (slave["id"] for slave in jobs.api.slaves())

    def slave(number):
        return next(one for one in jobs.api.slaves() if one["id"] == number)

    browser.open(f"{jobs.url}/#/slaves/{first}")
    browser.act("pause")
    wait_until(lambda: slave(first)["paused"], 10, "the slave is paused")
    browser.open(f"{jobs.url}/#/")
    browser.reads("Paused", f"tr[data-slave='{first}']")
    browser.go(f"/slaves/{first}")
    browser.act("resume")
    wait_until(lambda: not slave(first)["paused"], 10, "the slave goes on")

    browser.act("drain")
    wait_until(lambda: slave(first)["state"] == "gone", 20, "the slave with nothing to do stops")
    job = jobs.submit("Long", "1", seconds=60)
    wait_until(lambda: slave(second)["job"] == job, 20, "the other has a frame")
    browser.go(f"/slaves/{second}")
    browser.act("stop", sure=False)
    assert slave(second)["state"] == "ready"
    browser.act("stop", sure=True)
    wait_until(lambda: slave(second)["state"] == "gone", 20, "the slave stops at once")
    assert jobs.api.frames(job, "waiting") == {1}
    for service in jobs.slaves:
        assert jobs.env.wait_end(service) == 0


def test_the_farm_page_says_how_it_is_set_and_what_happened(jobs, browser):
    job = jobs.submit("Barn <b>", "1-6")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/farm")
    browser.reads("Barn farm", "h1")
    browser.reads("does not run")
    browser.reads("GB")
    browser.reads("Frames in the last hour\n6", ".figures")
    browser.reads("Barn <b>", "section[aria-labelledby='events']")
    # The fake Blender has its accidents.
    errors = jobs.api.get("api/v1/errors").json()
    browser.reads(errors[0]["text"] if errors else "Nothing failed", "section[aria-labelledby='errors']")
    bars = "[...document.querySelectorAll('.gantt .bars')]"
    rendered = f"return {bars}.map((one) => one.getAttribute('d').split('M').length - 1)"
    wait_until(lambda: sum(browser.run(rendered)) >= 6, 20, "six frames are in the timeline")
    browser.click(".gantt a")
    browser.find(".plot .strip")


def test_room_is_made_on_the_disk(jobs, browser):
    small, large, third = (
        jobs.submit(name, frames) for name, frames in (("S", "1-2"), ("L", "1-6"), ("T", "1"))
    )
    for job in (small, large, third):
        jobs.api.wait(job)
    going = jobs.submit("Long", "1", seconds=60)
    browser.open(f"{jobs.url}/#/farm")
    browser.reads("Free", ".disk")
    order = "return [...document.querySelectorAll('[data-ended]')].map((row) => +row.dataset.ended)"
    wait_until(lambda: browser.run(order) == [large, small, third], 20, "the largest is first")
    browser.click(".ended .c-age .sort")
    wait_until(lambda: browser.run(order) == [small, large, third], 10, "the oldest is first")

    # One
    browser.act(f"delete-{third}", sure=False)
    assert len(jobs.api.jobs()) == 4
    browser.act(f"delete-{third}", sure=True)
    wait_until(lambda: [one["id"] for one in jobs.api.jobs()] == [small, large, going], 10, "it is deleted")
    browser.gone(f"[data-ended='{third}']")

    # Those that are old enough, or as somebody picks them
    browser.act("choose-old")
    assert not browser.find("[data-action='delete-chosen']").is_enabled()
    browser.fill("#days", "0")
    browser.act("choose-old")
    browser.reads("2 jobs, ", ".room form")
    browser.click(f"[data-ended='{small}'] input")
    browser.reads("1 job, ", ".room form")
    browser.act("delete-chosen", sure=True)
    wait_until(lambda: [one["id"] for one in jobs.api.jobs()] == [small, going], 10, "it is deleted")
    films = jobs.api.get("api/v1/sizes").json()
    assert {one["id"]: one["films_bytes"] > 0 for one in films} == {small: True, going: False}
    jobs.api.post(f"api/v1/jobs/{going}/cancel", None)


def test_the_timeline_is_looked_at_nearer_and_farther(jobs, browser):
    slave = jobs.api.slaves()[0]["id"]
    job = jobs.submit("Barn", "1-6", seconds=1)
    jobs.api.wait(job)
    later = jobs.submit("Long", "1", seconds=300)
    jobs.api.call("POST", f"api/v1/slaves/{jobs.api.slaves()[1]['id']}/pause")
    wait_until(lambda: jobs.api.frames(later, "leased"), 20, "the long frame is on its way")
    holder = next(one["id"] for one in jobs.api.slaves() if one["job"] == later)

    def told():
        return browser.text(".stretch-told")

    def wide():
        """From the beginning of the first bar to that of the last, of 1,000; 0 without bars."""
        path = browser.attribute(f"{strip} .bars", "d") or ""
        begins = [float(begin) for begin in re.findall(r"M([\d.]+)", path)]
        return max(begins) - min(begins) if begins else 0

    for route, strip in ((f"/slaves/{slave}", ".plot .strip"), ("/farm", f"tr[data-slave='{slave}'] .strip")):
        browser.open(f"{jobs.url}/#{route}")
        browser.find(strip)
        browser.reads("1 h from", ".stretch-told")
        hour = wait_until(wide, 20, "what was rendered is drawn")
        # By buttons
        for _ in range(3):
            browser.act("time-nearer")
        browser.reads("7 min 30 s from", ".stretch-told")
        assert wait_until(lambda least=4 * hour: wide() > least, 10, "it is drawn wider")
        for _ in range(3):
            browser.act("time-farther")
        browser.reads("1 h from", ".stretch-told")
        browser.act("time-before")
        wait_until(lambda: wide() == 0, 10, "it is out of sight")
        assert browser.attribute("[data-action='time-now']", "aria-pressed") == "false"
        browser.act("time-now")
        wait_until(wide, 10, "it is there again")
        # By keys
        browser.run("document.querySelector('.stretch').focus()")
        browser.press("+")
        browser.reads("30 min from", ".stretch-told")
        browser.press(Keys.ARROW_LEFT)
        assert browser.attribute("[data-action='time-now']", "aria-pressed") == "false"
        browser.press(Keys.END)
        wait_until(
            lambda: browser.attribute("[data-action='time-now']", "aria-pressed") == "true", 10, "it is now"
        )
        # By the wheel: with Ctrl nearer, with Shift along, alone the page is scrolled
        turn = (
            "const strip = document.querySelector(arguments[0]); const box = strip.getBoundingClientRect();"
            "return !strip.dispatchEvent(new WheelEvent('wheel', { bubbles: true, cancelable: true,"
            "clientX: box.right, deltaY: arguments[1], ctrlKey: arguments[2], shiftKey: arguments[3] }))"
        )
        before = told()
        assert browser.run(turn, strip, -100, False, False) is False
        assert told() == before
        assert browser.run(turn, strip, -300, True, False)
        wait_until(lambda: told().startswith("16 min"), 10, "it is nearer")
        assert browser.run(turn, strip, -2000, False, True)
        wait_until(
            lambda: browser.attribute("[data-action='time-now']", "aria-pressed") == "false",
            10,
            "it is before",
        )

    # Gaps are drawn and told; what is on its way is none
    browser.open(f"{jobs.url}/#/slaves/{holder}")
    browser.find(".strip .going")
    browser.reads("the longest gap", ".strip-told")
    assert browser.attribute(".strip .idle", "d").startswith("M0.0 10H")
    over = (
        "const strip = document.querySelector('.plot .strip'); const box = strip.getBoundingClientRect();"
        "const clientX = box.left + arguments[0] * box.width;"
        "strip.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX }))"
    )
    browser.run(over, 0.1)
    browser.reads("Nothing for", ".strip-told")
    browser.run(over, 0.9999)
    browser.reads(f"Job {later}, frame 1: on its way for", ".strip-told")
    jobs.api.post(f"api/v1/jobs/{later}/cancel", None)
