# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's first page: what jobs and slaves do, at a glance."""

from support.browser import Keys
from support.farm import wait_until
from support.farm_of_jobs import state


def test_the_overview_shows_the_farm_as_it_changes(jobs, browser):
    browser.open(f"{jobs.url}/#/")
    browser.reads("No jobs yet", ".pane-jobs")
    browser.reads("render-1", ".pane-slaves")
    browser.reads("live", "header.top")

    job = jobs.submit("Barn at dawn", "1-6", category="Film", priority=70)
    row = f"tr[data-job='{job}']"
    browser.reads("Barn at dawn", row)
    browser.reads("Film", row)
    browser.reads("6 of 6", row)
    browser.reads("Finished", row)
    browser.find(f"{row} img")
    assert browser.attribute(f"{row} [role=progressbar]", "aria-valuenow") == "6"


def test_a_job_says_why_it_waits(queue, browser):
    job = queue.submit("Lonely")
    browser.open(f"{queue.url}/#/")
    browser.reads("no slave is there: start one", f"tr[data-job='{job}']")


def test_a_job_says_what_is_before_it(queue, browser):
    first, second = queue.submit("Barn"), queue.submit("Meadow")
    browser.open(f"{queue.url}/#/")
    browser.reads("1 job before it", f"tr[data-job='{second}']")
    assert "before it" not in browser.text(f"tr[data-job='{first}']")
    assert queue.api.call("PATCH", f"api/v1/jobs/{second}", {"priority": 80}).status == 200
    browser.reads("1 job before it", f"tr[data-job='{first}']")
    browser.open(f"{queue.url}/#/jobs/{first}")
    browser.reads("1 job before it", ".head")


def test_a_slaves_load_and_speed_are_seen(jobs, browser):
    job = jobs.submit("Barn", "1-8")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/")
    done = {one["id"]: one["frames_per_hour"] for one in jobs.api.get("api/v1/stats").json()["slaves"]}
    assert sum(done.values()) == 8
    for slave, frames in done.items():
        browser.reads(f"{frames} frame", f"tr[data-slave='{slave}'] .c-name")
    browser.reads("Frames in the last hour\n8", ".figures")
    # What one does from now on is drawn, seconds later
    later = jobs.submit("Long", "1", seconds=60)
    busy = wait_until(
        lambda: next((one["id"] for one in jobs.api.slaves() if one["job"] == later), None), 20, "it is busy"
    )

    def drawn(slave):
        return browser.attribute(f"tr[data-slave='{slave}'] .spark path:last-child", "d")

    wait_until(lambda: drawn(busy), 20, "its load is drawn")
    assert not drawn(next(slave for slave in (1, 2) if slave != busy))
    assert "%" in browser.attribute(f"tr[data-slave='{busy}'] .spark", "aria-label")
    jobs.api.post(f"api/v1/jobs/{later}/cancel", None)


def test_jobs_are_found_by_name_and_state(queue, browser):
    first, second = queue.submit("Barn"), queue.submit("Meadow", category="Stills")
    queue.api.post(f"api/v1/jobs/{second}/pause", None)
    browser.open(f"{queue.url}/#/")
    browser.find(f"tr[data-job='{first}']")
    browser.fill(".pane-jobs input", "stills")
    browser.gone(f"tr[data-job='{first}']")
    browser.find(f"tr[data-job='{second}']")
    browser.fill(".pane-jobs input", Keys.BACKSPACE)
    browser.choose(".pane-jobs select", "active")
    browser.gone(f"tr[data-job='{second}']")
    browser.find(f"tr[data-job='{first}']")


def test_a_job_is_paused_and_resumed_in_the_list(queue, browser):
    job = queue.submit()
    browser.open(f"{queue.url}/#/")
    browser.act("pause")
    wait_until(lambda: state(queue, job) == "paused", 10, "the job is paused")
    browser.reads("Paused", f"tr[data-job='{job}']")
    browser.act("resume")
    wait_until(lambda: state(queue, job) == "active", 10, "the job goes on")


def test_priority_is_changed_by_keyboard_and_by_dragging(queue, browser):
    first, second, third = (queue.submit(name) for name in ("Barn", "Meadow", "Loft"))
    browser.open(f"{queue.url}/#/")
    order = "return [...document.querySelectorAll('tr[data-job]')].map((row) => +row.dataset.job)"
    wait_until(lambda: browser.run(order) == [first, second, third], 10, "the oldest is first")

    browser.run(f"document.querySelector('tr[data-job=\"{third}\"] [role=spinbutton]').focus()")
    browser.press(Keys.ARROW_UP, Keys.PAGE_UP)
    wait_until(lambda: queue.api.job(third)["priority"] == 61, 10, "the last has more priority")
    wait_until(lambda: browser.run(order) == [third, first, second], 10, "it is the first now")

    browser.drag(f"[data-grip='{second}']", f"tr[data-job='{third}']")
    wait_until(lambda: queue.api.job(second)["priority"] >= 61, 10, "the dragged one has more priority")
    wait_until(lambda: browser.run(order)[0] == second, 10, "it is the first now")
    browser.drag(f"[data-grip='{second}']", f"tr[data-job='{first}']", above=False)
    wait_until(lambda: browser.run(order) == [third, first, second], 10, "it is the last now")
    assert queue.api.job(second)["priority"] <= queue.api.job(first)["priority"]


def test_html_in_names_is_text(queue, browser):
    name = '<script>alert(1)</script><img src=x onerror=alert(2)><b>bold</b> & "quoted"'
    job = queue.submit(name, category="<i>slanted</i>")
    browser.open(f"{queue.url}/#/")
    browser.reads(name, f"tr[data-job='{job}']")
    browser.reads("<i>slanted</i>", f"tr[data-job='{job}']")
    browser.open(f"{queue.url}/#/jobs/{job}")
    browser.reads(name, "h1")
    assert not browser.run(
        "return document.querySelector('main b.bold, main img[src=x], main i.slanted, h1 b, h1 img')"
    )
