# SPDX-License-Identifier: GPL-3.0-or-later
"""The web monitor as people use it: a real browser, a real master, real slaves. Each click's effect is looked for on
the farm. Here: what holds on every page; the pages have tests of their own."""

import pytest

from support.browser import PHONE, Keys
from support.farm import wait_until
from support.farm_of_jobs import FarmOfJobs, state


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ("jobs/99", "There is no job 99"),
        ("jobs/zebra", "There is no job zebra"),
        ("jobs/1/frames/77", "Job 1 has no frame 77"),
        ("slaves/99", "There is no slave 99"),
        ("zebras", "There is no such page"),
        ("jobs/1/zebra", "There is no such page"),
    ],
)
def test_what_is_not_there_has_a_way_back(queue, browser, route, text):
    queue.submit("Barn")
    browser.open(f"{queue.url}/#/{route}")
    browser.reads(text, "h1")
    browser.click("main a.button")
    browser.find("tr[data-job='1']")


def test_the_page_outlives_a_restart_of_the_master(farm, browser, free_port):
    queue = FarmOfJobs(farm, slaves=0, master=farm.master(port=free_port))
    queue.submit("Before")
    browser.open(f"{queue.url}/#/")
    browser.reads("Before", ".pane-jobs")

    farm.stop(queue.master)
    browser.reads("Connection lost, trying again", "[role=alert]")
    browser.reads("Before", ".pane-jobs")

    farm.master(port=free_port)
    browser.gone(".banner")
    queue.submit("After")
    browser.reads("After", ".pane-jobs")
    assert all("ERR_CONNECTION" in c or "ERR_INCOMPLETE" in c for c in browser.complaints())


def test_without_javascript_there_is_a_plain_list(queue, browser):
    queue.submit("Barn <b>")
    browser.javascript(False)
    browser.open(f"{queue.url}/")
    browser.click("a[href='/plain']")
    browser.reads("Barn <b>")


def test_colours_and_language_are_chosen_and_kept(queue, browser):
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    browser.open(f"{queue.url}/#/")
    light = browser.run(ground)
    browser.act("theme")
    assert browser.run(ground) == light
    browser.act("theme")
    dark = browser.run(ground)
    assert dark != light
    browser.choose("header select", "de")
    browser.reads("Übersicht", "header")
    browser.open(f"{queue.url}/#/")
    browser.reads("Übersicht", "header")
    assert browser.run(ground) == dark
    assert browser.attribute("html", "lang") == "de"


def test_a_phone_shows_everything_without_scrolling_sideways(jobs, browser):
    job = jobs.submit("A job with quite a long name, as they are " * 3, "1-8")
    jobs.api.wait(job)
    browser.screen(PHONE)
    for route, there in {
        "": f"tr[data-job='{job}']",
        f"jobs/{job}": "[data-frame='8']",
        f"jobs/{job}/times": ".plot",
        f"jobs/{job}/settings": "#set-name",
        f"jobs/{job}/frames/2": ".canvas img",
        "slaves/1": ".plot .strip",
        "farm": ".gantt .strip",
    }.items():
        browser.open(f"{jobs.url}/#/{route}")
        browser.find(there)
        wide = browser.run("return document.documentElement.scrollWidth")
        assert wide <= PHONE[0], (route, wide)


def test_everything_can_be_reached_by_keyboard(queue, browser):
    job = queue.submit("Barn")
    browser.open(f"{queue.url}/#/")
    browser.find(f"tr[data-job='{job}']")
    browser.press(Keys.TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    browser.press(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "main"
    reached = []
    for _ in range(40):
        browser.press(Keys.TAB)
        reached.append(
            browser.run(
                "return document.activeElement.getAttribute('href') ?? document.activeElement.dataset.action"
            )
        )
        if "pause" in reached:
            break
    assert f"#/jobs/{job}" in reached
    browser.press(Keys.ENTER)
    wait_until(lambda: state(queue, job) == "paused", 10, "the keyboard paused the job")
