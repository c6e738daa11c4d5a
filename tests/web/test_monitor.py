# SPDX-License-Identifier: GPL-3.0-or-later
"""The web monitor as people use it: a real browser, a real master, real slaves. Each click's effect is looked for on
the farm."""

import io
import re
import zipfile

import pytest
from blenders import SCENES
from chaos import fake_blender
from master_api import FakeSlave, MasterApi
from processes import wait_until
from web.browser import PHONE, Keys
from web.farm_of_jobs import TEXTURE, FarmOfJobs


@pytest.fixture
def jobs(farm):
    """A farm with two slaves that render in no time."""
    return FarmOfJobs(farm)


@pytest.fixture
def queue(farm):
    """A farm without slaves: jobs stay where they are put."""
    return FarmOfJobs(farm, slaves=0)


def state(farm, job):
    return farm.api.job(job)["state"]


def fail(farm, job, message, log):
    """All attempts of frame 1, by a slave that then goes."""
    slave = FakeSlave(farm.api, blender=fake_blender.VERSION)
    digest = farm.api.put_blob(log)
    for _ in range(farm.api.get("api/v1/info").json()["retry"]["attempts"]):
        error = {"kind": "render_failed", "message": message}
        lease = slave.lease()["lease"]
        body = {"slave": slave.id, "lease": lease, "job": job, "frame": 1, "error": error, "log": digest}
        assert farm.api.call("POST", "api/v1/failures", body).status == 204
        slave.held = []
    slave.leave()


# -------------------------------------------------------------------------------------------------------- overview


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


# ------------------------------------------------------------------------------------------------------------- job


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


# ----------------------------------------------------------------------------------------------------------- frame


def test_a_frame_is_looked_at_compared_and_played(jobs, browser):
    job = jobs.submit("Barn", "1-8")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/3")
    browser.reads("Frame 3", "h1")
    shown = "const i = document.querySelector('.canvas img'); return i?.complete && i.naturalWidth"
    wait_until(lambda: browser.run(shown), 10, "the picture is there")
    browser.press(Keys.ARROW_RIGHT)
    browser.reads("Frame 4", "h1")

    browser.click("[data-mode='compare']")
    wait_until(lambda: len(browser.all(".compare img")) == 2, 10, "two pictures lie on each other")
    edge = browser.find(".under input[type=range]")
    edge.send_keys(Keys.HOME)
    wait_until(lambda: "0%" in browser.attribute(".compare .over", "style"), 10, "the edge moves")

    browser.click("[data-mode='play']")
    browser.act("play")
    seen = set()
    wait_until(
        lambda: seen.add(browser.text(".playing-frame")) or len(seen) >= 4, 10, "four frames were shown"
    )
    browser.act("play")
    inked = (
        "const c = document.querySelector('.canvas canvas');"
        "return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    )
    assert browser.run(inked) > 10


def test_a_frames_files_are_downloaded(jobs, browser):
    job = jobs.submit("Barn", "1-2")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/2")
    for name in (f"render_{job}_2.exr", f"thumb_{job}_2.jpg", f"log_{job}_2.log"):
        browser.click(f".downloads a[href^='/{name}']")
        assert browser.downloaded(name) == jobs.api.get(name).body


def test_a_list_of_addresses_is_one_that_wget_takes(jobs, browser, tmp_path):
    job = jobs.submit("Barn", "1-5")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}")
    browser.fill("#range", "2-3,5")
    browser.act("urls-exr")
    addresses = tmp_path / "addresses.txt"
    addresses.write_bytes(browser.downloaded(f"urls-{job}.txt"))
    done = jobs.env.run(["wget", "-q", "-i", addresses])
    assert done.code == 0, done.err
    for frame in (2, 3, 5):
        name = f"render_{job}_{frame}.exr"
        assert (jobs.env.folder / name).read_bytes() == jobs.api.get(name).body


def test_chosen_frames_come_in_one_zip(jobs, browser):
    job = jobs.submit("Barn", "1-5")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}")

    def names(what):
        browser.act(f"zip-{what}")
        content = io.BytesIO(browser.downloaded(f"result_{job}.zip"))
        (browser.downloads / f"result_{job}.zip").unlink()
        with zipfile.ZipFile(content) as pack:
            assert all(jobs.api.get(name).body == pack.read(name) for name in pack.namelist())
            return sorted(pack.namelist())

    assert names("jpg") == [f"thumb_{job}_{frame}.jpg" for frame in range(1, 6)]
    browser.fill("#range", "2-3,5")
    assert names("exr") == [f"render_{job}_{frame}.exr" for frame in (2, 3, 5)]
    assert len(names("all")) == 6


def test_the_files_of_a_job_are_listed_with_what_is_missing(jobs, browser):
    job = jobs.submit("Barn", "1-2")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}")
    browser.click(f".tabs a[href='#/jobs/{job}/files']")
    browser.reads("/shots/shot.blend Scene", ".files")
    browser.reads("/shots/wood.png Image 4 kB whole", ".files")
    browser.reads("2 files", "main")
    browser.reads("All of them are on the master", "main")


def test_a_long_list_of_files_has_pages_and_says_what_is_lost(farm, browser, free_port):
    queue = FarmOfJobs(farm, slaves=0, master=farm.master(port=free_port))
    digest = queue.api.put_pieces(TEXTURE)[0]
    more = [
        {
            "source": f"/shots/<b>{n:03}</b>.png",
            "place": f"shots/{n:03}.png",
            "digest": digest,
            "bytes": len(TEXTURE),
            "pieces": 1,
        }
        for n in range(1, 240)
    ]
    job = queue.submit("Barn", "1", more=more)
    browser.open(f"{queue.url}/#/jobs/{job}/files")
    browser.reads("1 to 100 of 241", "main")
    browser.act("page-after")
    browser.act("page-after")
    browser.reads("201 to 241 of 241", "main")
    browser.reads("/shots/<b>239</b>.png Image 4 kB whole", ".files")
    assert not browser.find("[data-action='page-after']").is_enabled()
    browser.act("page-before")
    browser.reads("101 to 200", "main")

    # When the pieces are lost, the page says of which files
    farm.stop(queue.master)
    for pack in (queue.master.data / "pieces").rglob("*"):
        if pack.is_file():
            pack.unlink()
    farm.master(port=free_port)
    browser.open(f"{queue.url}/#/jobs/{job}/files")
    browser.reads("241 are not whole on the master", "main")
    browser.reads("1 piece is missing", ".files")
    assert all("ERR_" in complaint for complaint in browser.complaints())


def test_a_film_is_seen_with_another_exposure(jobs, browser):
    job = jobs.submit("Barn", "1-2")
    jobs.api.wait(job)
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/2")
    browser.click("[data-mode='film']")
    ink = "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].reduce((sum, v) => sum + v, 0)"
    light = (
        "const i = document.querySelector('.canvas img[data-shown]'); if (!i?.complete || !i.naturalWidth) return 0;"
        "const c = document.createElement('canvas'); c.width = i.naturalWidth; c.height = i.naturalHeight;"
        f"c.getContext('2d').drawImage(i, 0, 0); return {ink}"
    )
    before = wait_until(lambda: browser.run(light), 10, "the film is seen")
    browser.find("[data-choose='exposure']").send_keys(Keys.ARROW_LEFT * 8)
    browser.reads("-2 stops", ".under")
    wait_until(lambda: browser.run(light) < 0.9 * before, 10, "it is darker")
    browser.click("[data-action='png']")
    assert browser.downloaded(f"{job}_2_Combined.png").startswith(b"\x89PNG")
    browser.act("exposure-0")
    wait_until(lambda: browser.run(light) == before, 10, "it is as before")


def test_a_film_that_does_not_decode_is_said(jobs, browser):
    job = jobs.submit("Barn", "1-2")
    jobs.api.wait(job)
    digest = jobs.api.job(job)["tasks"][0]["film"]
    film = jobs.master.data / "blobs" / digest[:2] / digest
    film.write_bytes(film.read_bytes()[:200])
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/1")
    browser.click("[data-mode='film']")
    error = jobs.api.call("GET", f"api/v1/jobs/{job}/frames/1/passes").error()
    assert error["code"] == "bad_picture"
    browser.reads(error["message"], ".canvas [role=alert]")
    browser.click("[data-mode='still']")
    browser.find(".canvas img")
    assert all("422" in complaint for complaint in browser.complaints())


def test_attempts_of_a_frame_are_listed_each_with_its_log(queue, browser):
    job = queue.submit("Barn", "1")
    fail(queue, job, "it went wrong", b"Read blend: shot.blend\n")
    browser.open(f"{queue.url}/#/jobs/{job}/frames/1")
    attempts = queue.api.get(f"api/v1/jobs/{job}/frames/1").json()["attempts"]
    assert len(attempts) > 1
    browser.reads("it went wrong", f"[data-attempt='{len(attempts) - 1}']")
    browser.reads("fake", "[data-attempt='0']")
    browser.reads("shot.blend", ".log-view .log")
    browser.click("[data-attempt='0'] [data-log]")
    assert browser.attribute("[data-attempt='0'] [data-log]", "aria-pressed") == "true"
    assert browser.find("[data-choose='attempt']").get_attribute("value") == "0"
    browser.choose("[data-choose='attempt']", "1")
    wait_until(
        lambda: browser.attribute("[data-log='1']", "aria-pressed") == "true", 10, "the other is shown"
    )


def test_a_log_is_read_searched_and_its_errors_stand_out(queue, browser):
    job = queue.submit("Barn", "1")
    head = "Read blend: shot.blend\nError: no such texture: wood.png\n"
    fail(queue, job, "it went wrong", (head + "Fra:1 Mem:10M <b>Sync</b>\n" * 12_000).encode())
    browser.open(f"{queue.url}/#/jobs/{job}/frames/1")
    # Its end is there first, and nothing before it until that is wanted
    browser.reads("<b>Sync</b>", ".log-view .log")
    log = "const log = document.querySelector('.log-view .log');"
    below = f"{log} return log.scrollHeight - log.scrollTop - log.clientHeight"
    wait_until(lambda: browser.run(below) < 5, 10, "the end is in sight")
    assert not browser.all(".log-view .is-bad")
    browser.reads("of 312 kB", ".log-view .row")
    browser.act("earlier")
    browser.reads("no such texture", ".log-view .is-bad")
    assert not browser.find("[data-action='earlier']").is_enabled()
    assert browser.attribute("[data-action='follow']", "aria-pressed") == "false"
    browser.act("only-bad")
    assert len(browser.all(".log-view .log > div")) == 1
    browser.act("only-bad")
    browser.fill(".log-view input", "read blend")
    wait_until(lambda: browser.text(".log-view .log") == "Read blend: shot.blend", 10, "one line is found")
    browser.click(f".log-view a[href='/log_{job}_1.log']")
    assert browser.downloaded(f"log_{job}_1.log").startswith(head.encode())


def test_a_log_of_500_mb_is_read_at_its_end_only(jobs, browser):
    job = jobs.submit("Barn", "1")
    jobs.api.wait(job)
    whole = jobs.api.get(f"log_{job}_1.log").body
    log = next(blob for blob in (jobs.master.data / "blobs").glob("??/*") if blob.read_bytes() == whole)
    with log.open("r+b") as file:
        file.truncate(500 << 20)
        end = "\nthe end Möwe\n".encode()
        file.seek(-len(end), 2)
        file.write(end)
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/1")
    browser.reads("the end Möwe", ".log-view .log")
    sent = (
        "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/log?'))"
        ".reduce((sum, one) => sum + one.decodedBodySize, 0)"
    )
    assert 0 < browser.run(sent) <= 256 << 10
    for _ in range(6):
        browser.act("earlier")
        wait_until(lambda: browser.find("[data-action='earlier']").is_enabled(), 10, "more is there")
    browser.reads("of 524 MB", ".log-view .row")
    kept = "return document.querySelector('.log-view .log').textContent.length"
    assert browser.run(kept) <= 4 * (256 << 10)
    browser.act("follow")
    browser.reads("the end Möwe", ".log-view .log")


def test_a_log_is_followed_while_the_frame_renders(farm, browser):
    jobs = FarmOfJobs(
        farm, slaves=1, master=farm.master("--slave-timeout", "2")
    )  # signs of life twice a second
    job = jobs.submit("Slow", "1", seconds=20)
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/1")
    browser.reads("second 0", ".log-view .log")
    browser.reads("It grows while", ".log-view")
    browser.reads("second 3", ".log-view .log")
    browser.act("follow")
    stood = browser.text(".log-view .log")
    told = int(jobs.api.get(f"api/v1/jobs/{job}/frames/1/log").body.decode().rstrip()[-1])
    wait_until(
        lambda: f"second {told + 1}" in jobs.api.get(f"api/v1/jobs/{job}/frames/1/log").body.decode(),
        20,
        "the master has more of it",
    )
    assert browser.text(".log-view .log") == stood
    browser.act("follow")
    browser.reads(f"second {told + 1}", ".log-view .log")
    jobs.api.post(f"api/v1/jobs/{job}/cancel", None)
    browser.reads("Waiting", ".head")


# ------------------------------------------------------------------------------------------------- slaves and farm


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
    browser.find(".strip")


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
    later = jobs.submit("Long", "1", seconds=40)
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


# ------------------------------------------------------------------------------------------------------- bad input


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


# --------------------------------------------------------------------------------------------------- looks and words


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
    for route in (
        "",
        f"jobs/{job}",
        f"jobs/{job}/times",
        f"jobs/{job}/settings",
        f"jobs/{job}/frames/2",
        "slaves/1",
        "farm",
    ):
        browser.open(f"{jobs.url}/#/{route}")
        browser.find("main h1, main h2")
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


# -------------------------------------------------------------------------------------------------------- with Blender


def test_a_real_frame_is_seen(farm, browser, blender_program, tmp_path):
    blend = tmp_path / "small.blend"
    blender_program.run(SCENES / "small.py", blend, tmp_path / "texture.png")
    master = farm.master()
    farm.slave(master, blender_program)
    browser.open(f"{master.url}/#/")
    job = farm.submit(master, blender_program, blend, "--frames", "1-2", "--wait")
    browser.reads("Finished", f"tr[data-job='{job}']")
    browser.click(f"tr[data-job='{job}'] .c-name a")
    browser.find("[data-frame='2'] img")
    browser.click("[data-frame='2']")
    shown = "const i = document.querySelector('.canvas img'); return i?.complete && [i.naturalWidth, i.naturalHeight]"
    assert wait_until(lambda: browser.run(shown), 10, "the picture is there") == [16, 12]


def test_the_passes_of_a_film_are_chosen(farm, browser, any_blender, tmp_path):
    blend = any_blender.build(tmp_path / "shot.blend", "frames=1-1", "rich")
    master = farm.master()
    farm.slave(master, any_blender)
    job = farm.submit(master, any_blender, blend, "--wait")
    passes = MasterApi(master.url).get(f"api/v1/jobs/{job}/frames/1/passes").json()
    layers = {one["layer"] for one in passes}
    assert len(layers) > 1
    browser.open(f"{master.url}/#/jobs/{job}/frames/1")
    browser.click("[data-mode='film']")

    def seen(name):
        """The picture that is shown as this pass, once it is there."""
        css = f".canvas:not([aria-busy='true']) img[data-shown='{name}']"
        look = "const i = document.querySelector(arguments[0]); return i?.complete && i.naturalWidth && i.src"
        return wait_until(lambda: browser.run(look, css), 20, f"{name} is seen")

    browser.choose("[data-choose='layer']", "ViewLayer")
    beauty = seen("ViewLayer/Combined")
    browser.choose("[data-choose='pass']", "Depth")
    assert seen("ViewLayer/Depth") != beauty
    # Another layer, with the same pass where it has that
    other = next(layer for layer in sorted(layers) if layer != "ViewLayer")
    browser.choose("[data-choose='layer']", other)
    names = [one["pass"] for one in passes if one["layer"] == other]
    seen(f"{other}/{'Depth' if 'Depth' in names else names[0]}")


def test_a_frame_that_several_render_is_seen_refining(farm, browser, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-1", "samples=40000", "size=96x54")
    master = farm.master()
    farm.slave(master, blender_program, "--threads", "1", name="anna")
    address = ["--master", master.url, "--blender", blender_program.path]
    job = farm.cli("submit", blend, *address, "--json", "--split", "samples").json()["job"]
    api = MasterApi(master.url)
    browser.open(f"{master.url}/#/jobs/{job}/frames/1")
    browser.reads("Rendered by several", ".head")
    browser.reads("anna", ".side table")
    done = lambda: int(browser.attribute(".side [role=progressbar]", "aria-valuenow") or 0)  # noqa: E731
    first = wait_until(done, 60, "some samples are there")
    picture = browser.find(".canvas img").get_attribute("src")
    wait_until(lambda: done() > first, 60, "there are more samples")
    wait_until(
        lambda: browser.find(".canvas img").get_attribute("src") != picture, 60, "the picture is another one"
    )
    browser.reads("left", ".side")
    # Who has which samples
    browser.find("svg.shares")
    browser.reads("anna", "table.shares")
    browser.reads("Rendering", "table.shares")
    browser.reads("0 to ", "table.shares")
    browser.reads("Fra:1", ".log-view .log")

    # It is handed over with what is there, and given the rest
    browser.act("hand-over")
    browser.reads("Done", ".head", 60)
    count, total = api.job(job)["tasks"][0]["samples"]
    assert 0 < count < total == 40000
    browser.reads(f"{count:,} of 40,000", ".side")
    browser.act("more")
    browser.reads("Rendered by several", ".head", 60)
    browser.open(f"{master.url}/#/jobs/{job}")
    browser.reads("/40000 samples", "[data-frame='1']")
    browser.act("cancel", sure=True)
    browser.reads("Canceled", ".head")
    # Before the first merge there is no picture, which the browser notes.
    assert all("thumb_" in complaint for complaint in browser.complaints())
