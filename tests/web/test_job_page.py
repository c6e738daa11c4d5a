# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's page of a job: its frames, its settings, and what can be done with them."""

from support.browser import Keys
from support.farm import wait_until
from support.farm_of_jobs import fail, state


def test_a_job_is_paused_resumed_canceled_requeued_and_deleted(queue, browser):
    job = queue.submit("Barn")
    browser.open(f"{queue.url}/#/jobs/{job}")
    browser.reads("Barn", "h1")

    browser.act("pause")
    browser.reads("Paused", ".head")
    assert state(queue, job) == "paused"
    browser.act("resume")
    browser.reads("Queued", ".head")
    assert state(queue, job) == "active"

    browser.act("cancel", sure=False)
    assert state(queue, job) == "active"
    browser.act("cancel", sure=True)
    browser.reads("Canceled", ".head")
    assert state(queue, job) == "canceled"
    browser.act("requeue")
    browser.reads("Queued", ".head")
    assert state(queue, job) == "active"

    browser.act("delete", sure=False)
    assert [one["id"] for one in queue.api.jobs()] == [job]
    browser.act("delete", sure=True)
    browser.reads("No jobs yet")
    assert queue.api.jobs() == []
    # The page may have asked for the job once more before it knew; the browser notes the answer.
    assert all(f"/jobs/{job} - " in complaint for complaint in browser.complaints())


def test_a_jobs_settings_are_edited(queue, browser):
    job = queue.submit("Barn")
    browser.open(f"{queue.url}/#/jobs/{job}/settings")
    browser.fill("#set-name", "Barn at <dusk>")
    browser.fill("#set-priority", "77")
    browser.fill("#set-chunk", "4")
    browser.fill("#set-tags", "gpu, studio")
    browser.act("save")
    browser.reads("Barn at <dusk>", "h1")
    now = queue.api.job(job)
    assert (now["name"], now["priority"], now["spec"]["chunk"]) == ("Barn at <dusk>", 77, 4)
    assert now["spec"]["tags"] == ["gpu", "studio"]
    # What makes no sense is refused in words
    browser.fill("#set-chunk", "0")
    browser.act("save")
    browser.find(".notice.is-bad")
    browser.act("undo")
    assert queue.api.job(job)["spec"]["chunk"] == 4
    assert all("jobs/1" in complaint for complaint in browser.complaints())


def test_a_form_shows_what_was_saved_until_the_page_knows_it(queue, browser):
    job = queue.submit("Barn")
    browser.open(f"{queue.url}/#/jobs/{job}/settings")
    browser.find("#set-chunk")
    # The lists tell what was edited, the job's own answer lingers.
    browser.run("""
        const fetched = fetch;
        const free = new Promise((go) => (window.letGo = go));
        window.fetch = async (path, how) => {
            const answer = await fetched(path, how);
            if (how.method === "GET") await free;
            return answer;
        };
    """)
    browser.fill("#set-name", "Dusk")
    browser.fill("#set-chunk", "4")
    browser.act("save")
    browser.reads("Dusk", "h1")
    browser.find("[data-action='save']:disabled:not([aria-busy='true'])")
    browser.painted()
    chunk = browser.find("#set-chunk")
    assert chunk.get_attribute("value") == "4"
    browser.fill("#set-chunk", "5")
    browser.run("letGo()")
    browser.act("save")
    wait_until(lambda: queue.api.job(job)["spec"]["chunk"] == 5, 10, "what was typed meanwhile is saved")
    assert chunk.get_attribute("value") == "5"


def test_of_two_people_who_edit_a_job_the_second_is_told(queue, browser):
    job = queue.submit("Barn")
    browser.open(f"{queue.url}/#/jobs/{job}/settings")
    browser.fill("#set-name", "Mine")
    assert queue.api.call("PATCH", f"api/v1/jobs/{job}", {"name": "Theirs"}).status == 200
    browser.reads("Theirs", "h1")
    browser.act("save")
    browser.reads("Theirs", ".conflict")
    assert queue.api.job(job)["name"] == "Theirs"
    browser.act("theirs")
    wait_until(
        lambda: browser.find("#set-name").get_attribute("value") == "Theirs", 10, "the field shows theirs"
    )
    browser.fill("#set-name", "Ours")
    browser.act("save")
    browser.reads("Ours", "h1")
    assert all("412" in complaint for complaint in browser.complaints())


def test_chosen_frames_are_rendered_again(jobs, browser):
    job = jobs.submit("Barn", "1-6")
    jobs.api.wait(job)
    before = {task["frame"]: task["attempts"] for task in jobs.api.job(job)["tasks"]}
    browser.open(f"{jobs.url}/#/jobs/{job}")
    browser.fill("#range", "2,4-5")
    for slave in jobs.api.slaves():
        jobs.api.call("POST", f"api/v1/slaves/{slave['id']}/pause")
    browser.act("requeue-chosen", sure=False)
    assert jobs.api.frames(job, "done") == set(before)
    browser.act("requeue-chosen", sure=True)
    wait_until(lambda: jobs.api.frames(job, "waiting") == {2, 4, 5}, 10, "three frames wait again")
    for slave in jobs.api.slaves():
        jobs.api.call("POST", f"api/v1/slaves/{slave['id']}/resume")
    jobs.api.wait(job)


def test_a_slave_is_kept_from_a_job(jobs, browser):
    job = jobs.submit("Barn", "1-4")
    slave = jobs.api.slaves()[0]["id"]
    browser.open(f"{jobs.url}/#/jobs/{job}/settings")
    browser.act(f"bar-{slave}")
    wait_until(lambda: jobs.api.job(job)["blacklist"] == [slave], 10, "the slave is on the blacklist")
    browser.reads("kept away")
    browser.act(f"bar-{slave}")
    wait_until(lambda: jobs.api.job(job)["blacklist"] == [], 10, "the slave may have it again")


def test_frames_are_shown_filtered_and_chosen(jobs, browser):
    job = jobs.submit("Barn", "1-12")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}")
    browser.find("[data-frame='12'] img")
    assert len(browser.all("[data-frame]")) == 12

    # By text
    browser.fill("#range", "2-4,9")
    browser.reads("4 frames", ".choice")
    tiles = "[...document.querySelectorAll('[data-frame][aria-selected=true]')]"
    chosen = f"return {tiles}.map((tile) => +tile.dataset.frame)"
    assert browser.run(chosen) == [2, 3, 4, 9]
    browser.fill("#range", "nonsense")
    browser.reads("Write frames like", ".choice")
    # By keyboard
    browser.click("[data-action='choose-none']")
    browser.run("document.querySelector('[data-frame=\"1\"]').focus()")
    browser.press(Keys.ARROW_RIGHT, Keys.SPACE)
    browser.press(Keys.SHIFT + Keys.ARROW_RIGHT)
    wait_until(lambda: browser.run(chosen) == [2, 3], 10, "frames 2 and 3 are chosen")
    assert browser.run("return document.querySelector('#range').value") == "2-3"

    # By state
    browser.click("[data-state='failed']")
    browser.reads("No frame is like that")
    browser.click("[data-state='done']")
    browser.find("[data-frame='1']")

    # As a map, which the keyboard reads out
    browser.click("[data-view='map']")
    browser.run("document.querySelector('.map canvas').focus()")
    browser.press(Keys.HOME, Keys.ARROW_RIGHT)
    wait_until(
        lambda: "Frame 2" in browser.attribute(".map canvas", "aria-valuetext"),
        10,
        "the map's cursor is on frame 2",
    )
    browser.press(Keys.ENTER)
    browser.reads("Frame 2", "h1")


def test_a_failed_frame_says_why_and_is_requeued(queue, browser):
    job = queue.submit("Barn", "1")
    fail(queue, job, "no camera <in> the scene", b"Read blend\n")
    browser.open(f"{queue.url}/#/")
    browser.reads("1 failed", f"tr[data-job='{job}']")
    browser.click(f"tr[data-job='{job}'] .c-name a")
    browser.click("[data-state='failed']")
    browser.click("[data-frame='1']")
    browser.reads("no camera <in> the scene")
    browser.click(f".crumbs a[href='#/jobs/{job}']")
    browser.act("requeue")
    browser.reads("no slave is there", ".head")
    assert queue.api.frames(job, "waiting") == {1}


def test_the_times_of_frames_are_drawn(jobs, browser):
    job = jobs.submit("Barn", "1-10")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}/times")
    browser.find(".plot .bars")
    assert browser.attribute(".plot .bars", "d").count("M") == 10
    browser.reads("render-1", ".times")


def test_what_may_differ_stands_on_the_page_of_the_job_and_of_each_frame(queue, browser):
    warning = {
        "kind": "simulation", "severity": "may_differ", "where": "Object 'Grid'",
        "message": "its <b>cloth</b> ends at frame 2", "hint": "Bake it",
    }  # fmt: skip
    sure = queue.submit("Sure", "1-2")
    unsure = queue.submit("Unsure", "1-2", warnings=[warning])
    for page in ("", "/frames/2"):
        browser.open(f"{queue.url}/#/jobs/{unsure}{page}")
        for words in ("May differ from what", "Object 'Grid': its <b>cloth</b> ends at frame 2", "Bake it"):
            browser.reads(words, ".warnings")
        browser.open(f"{queue.url}/#/jobs/{sure}{page}")
        browser.reads("Sure", ".crumbs" if page else "h1")
        assert browser.all(".warnings") == []
