# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's pages of a frame: pictures, films, files, attempts, logs; and frames that Blender rendered."""

import io
import re
import zipfile

from support.api import FakeSlave, MasterApi
from support.blender import SCENES
from support.browser import Keys
from support.farm import wait_until
from support.farm_of_jobs import TEXTURE, FarmOfJobs, fail


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
    browser.find(".under input[type=range]").send_keys(Keys.HOME)
    edge = lambda: re.search(r"(\d+)%", browser.attribute(".compare .over", "style"))[1]  # noqa: E731
    wait_until(lambda: edge() == "0", 10, "the edge moves")

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


def test_what_file_output_nodes_wrote_is_downloaded(jobs, browser):
    # Given a frame of a job that its slaves do not take, handed in with such files
    barn = jobs.submit("Barn", "1")
    jobs.api.wait(barn)
    job = jobs.submit("Files", "1", tags=["elsewhere"])
    slave = FakeSlave(jobs.api)
    outputs = {
        "File Output/beauty_0001.png": b"a png",
        'Node/a "b" \u5c42.html': b"<script>alert(1)</script>",
    }
    film = jobs.api.get(f"render_{barn}_1.exr").body
    assert slave.hand_in(job, 1, film, outputs).status == 200
    slave.leave()
    # When they are clicked, then they are downloaded, whatever they are called
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/1")
    for at, (path, name) in enumerate(zip(outputs, ("beauty_0001.png", "a _b_ _.html"), strict=True)):
        browser.reads(path, ".downloads")
        browser.click(f".downloads a[href$='outputs/{at}']")
        assert browser.downloaded(name) == outputs[path]


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
    wait_until(lambda: 0 < browser.run(light) < 0.9 * before, 10, "it is darker")
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
    job = jobs.submit("Slow", "1", seconds=300)
    browser.open(f"{jobs.url}/#/jobs/{job}/frames/1")
    browser.reads("second 0", ".log-view .log")
    browser.reads("It grows while", ".log-view")
    browser.reads("second 3", ".log-view .log")
    browser.act("follow")
    stood = browser.text(".log-view .log")
    printed = jobs.api.get(f"api/v1/jobs/{job}/frames/1/log").body.decode()
    told = int(re.findall(r"second (\d+)", printed)[-1])
    wait_until(
        lambda: f"second {told + 1}" in jobs.api.get(f"api/v1/jobs/{job}/frames/1/log").body.decode(),
        20,
        "the master has more of it",
    )
    assert browser.text(".log-view .log") == stood
    browser.act("follow")
    browser.reads(f"second {told + 1}", ".log-view .log")
    browser.act("follow")  # or it is asked for when it is gone, before the page can know
    jobs.api.post(f"api/v1/jobs/{job}/cancel", None)
    browser.reads("Waiting", ".head")


def test_a_real_frame_is_seen(farm, browser, blender_program, tmp_path):
    blend = tmp_path / "small.blend"
    blender_program.run_forked(SCENES / "small.py", blend, tmp_path / "texture.png")
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
    browser.run("""
        const canvas = document.querySelector(".canvas");
        const look = () => {
          const img = canvas.querySelector("img");
          window.was.push([img.dataset.shown, img.src]);
        };
        window.was = [];
        new MutationObserver(look).observe(canvas, { attributes: true, subtree: true });
    """)
    browser.choose("[data-choose='pass']", "Depth")
    depth = seen("ViewLayer/Depth")
    assert depth != beauty
    # While the new picture is on its way, the old one is not called by the new one's name
    was = {tuple(one) for one in browser.run("return window.was")}
    assert was <= {("ViewLayer/Combined", beauty), ("ViewLayer/Depth", depth)}
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
    browser.reads("anna", ".side table", timeout_s=60)  # its first samples are there
    done = lambda: int(browser.attribute(".side [role=progressbar]", "aria-valuenow") or 0)  # noqa: E731
    first = wait_until(done, 60, "some samples are there")
    shown = lambda: browser.attribute(".canvas img", "src")  # noqa: E731
    picture = wait_until(shown, 60, "there is a picture")
    wait_until(lambda: done() > first, 60, "there are more samples")
    wait_until(lambda: shown() not in (None, picture), 60, "the picture is another one")
    browser.reads("left", ".side")
    # Who has which samples
    browser.find("svg.shares")
    browser.reads("anna", "table.shares")
    browser.reads("Rendering", "table.shares")
    browser.reads("0 to ", "table.shares")
    browser.reads("Fra:1", ".log-view .log")

    hand_over_and_go_on(browser, api, job, 40000, "samples")


def hand_over_and_go_on(browser, api, job, total, unit):
    """The frame in sight is handed over with what is there, and given the rest."""
    browser.act("hand-over")
    browser.reads("Done", ".head", 60)
    count, all_of_it = api.job(job)["tasks"][0]["samples"]
    assert 0 < count < all_of_it == total
    browser.reads(f"{count:,} of {total:,}", ".side")
    browser.act("more")
    browser.reads("Rendered by several", ".head", 60)
    browser.go(f"/jobs/{job}")
    browser.reads(f"/{total} {unit}", "[data-frame='1']")
    browser.act("cancel", sure=True)
    browser.reads("Canceled", ".head")
    # Before the first merge there is no picture, which the browser notes.
    assert all("thumb_" in complaint for complaint in browser.complaints())


def test_a_frame_in_tiles_is_handed_over_and_gets_the_lines_it_lacks(
    farm, browser, blender_program, tmp_path
):
    blend = blender_program.build(
        tmp_path / "shot.blend", "frames=1-1", "samples=1500", "size=96x640", "catcher"
    )
    master = farm.master()
    farm.slave(master, blender_program, "--threads", "1", name="anna")
    address = ["--master", master.url, "--blender", blender_program.path]
    job = farm.cli("submit", blend, *address, "--json", "--split", "tiles").json()["job"]
    browser.open(f"{master.url}/#/jobs/{job}/frames/1")
    browser.reads("of 640 lines", ".side", 60)
    browser.reads("Lines", "table.shares")
    hand_over_and_go_on(browser, MasterApi(master.url), job, 640, "lines")
