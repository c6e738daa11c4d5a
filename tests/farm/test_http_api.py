# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves the master for browsers and wget: plain addresses, parts of files, zips, lists, plain pages."""

import http.client
import io
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support import fake_blender, film
from support.api import MasterApi, digest_of
from support.fake_blender import FakeBlender
from support.farm import wait_until

FRAMES = range(1, 11)


def with_frames(farm, fake):
    """A master with a job of ten frames, all of them done."""
    master = farm.master(data=farm.folder / "done-data")
    farm.slave(master, fake)
    # With some seconds to render none of the fake's frames goes wrong.
    blend = fake.build(farm.folder / "shots" / "shot.blend", "1-10", seconds=0.1)
    assert farm.submit(master, fake, blend, "--wait") == 1
    return master


@pytest.fixture
def done(farm, fake):
    return with_frames(farm, fake)


@pytest.fixture(scope="module")
def lasting_done(lasting_farm):
    """For tests that change nothing."""
    return with_frames(lasting_farm, FakeBlender(lasting_farm.folder, lasting_farm))


def ask(master, method, path, **headers):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection(MasterApi(master.url).host, timeout=60)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def wget(folder, *words):
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["wget", "--no-verbose", "--tries=1", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def films(master):
    """The EXR files in the master's folder, by frame."""
    tasks = MasterApi(master.url).job(1)["tasks"]
    return {task["frame"]: master.data / "blobs" / task["film"][:2] / task["film"] for task in tasks}


def test_wget_gets_pictures_and_never_moves_an_exr_for_a_jpeg(done, tmp_path):
    # Given films that nobody can read
    hidden = {path: path.with_name(f"hidden-{path.name}") for path in films(done).values()}
    for path, aside in hidden.items():
        path.rename(aside)

    # Then everything about JPEGs works
    shell = (
        "wget --no-verbose --tries=1 {0}/thumb_1_{{1..10}}.jpg {0}/thumb_1.jpg '{0}/result_1.zip?what=jpg'"
    )
    jpegs = tmp_path / "jpegs"
    jpegs.mkdir()
    subprocess.run(["bash", "-c", shell.format(done.url)], cwd=jpegs, check=True, capture_output=True)
    for frame in FRAMES:
        assert (jpegs / f"thumb_1_{frame}.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert (jpegs / "thumb_1.jpg").read_bytes() == (jpegs / "thumb_1_10.jpg").read_bytes()
    with zipfile.ZipFile(jpegs / "result_1.zip?what=jpg") as packed:
        assert packed.namelist() == [f"thumb_1_{frame}.jpg" for frame in FRAMES]
    wget(tmp_path / "listed", "--input-file", f"{done.url}/api/v1/jobs/1/urls.txt?what=jpg&frames=2-3,7")
    assert sorted(p.name for p in (tmp_path / "listed").glob("*.jpg")) == [
        f"thumb_1_{n}.jpg" for n in (2, 3, 7)
    ]
    for path, aside in hidden.items():
        aside.rename(path)

    # And the rest when they can
    shell = "wget --no-verbose --tries=1 {0}/render_1_{{1..10}}.exr {0}/log_1_{{1..10}}.log {0}/result_1.zip"
    everything = tmp_path / "everything"
    everything.mkdir()
    subprocess.run(["bash", "-c", shell.format(done.url)], cwd=everything, check=True, capture_output=True)
    with zipfile.ZipFile(everything / "result_1.zip") as packed:
        assert packed.testzip() is None
        assert len(packed.namelist()) == 20
        for frame, path in films(done).items():
            assert (everything / f"render_1_{frame}.exr").read_bytes() == path.read_bytes()
            assert packed.read(f"render_1_{frame}.exr") == path.read_bytes()
            assert packed.read(f"thumb_1_{frame}.jpg") == (jpegs / f"thumb_1_{frame}.jpg").read_bytes()
            assert f"{frame}" in (everything / f"log_1_{frame}.log").read_text()
    subprocess.run(["unzip", "-qt", everything / "result_1.zip"], check=True)
    assert not [task for task in MasterApi(done.url).job(1)["tasks"] if task["attempts"] != 1]


def test_a_download_is_continued_and_nothing_is_sent_twice(done, tmp_path):
    picture = films(done)[3].read_bytes()
    name = "/render_1_3.exr"
    status, headers, body = ask(done, "GET", name)
    assert (status, body) == (200, picture)
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "image/x-exr"
    assert headers["Content-Disposition"] == 'inline; filename="render_1_3.exr"'
    assert headers["Cache-Control"] == "no-cache"
    tag = headers["ETag"]

    status, headers, body = ask(done, "HEAD", name)
    assert (status, body, headers["Content-Length"], headers["ETag"]) == (200, b"", str(len(picture)), tag)
    status, headers, body = ask(done, "GET", name, If_None_Match=f'"other", {tag}')
    assert (status, body, headers["ETag"]) == (304, b"", tag)

    size = len(picture)
    status, headers, body = ask(done, "GET", name, Range=f"bytes={size}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{size}", b"")
    assert ask(done, "GET", name, Range="bytes=0-9,20-29")[::2] == (200, picture)
    assert ask(done, "GET", name, Range="bytes=5-", If_Range=tag)[0] == 206
    assert ask(done, "GET", name, Range="bytes=5-", If_Range='"older"')[::2] == (200, picture)

    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "render_1_3.exr").write_bytes(picture[:1000])
    wget(tmp_path / "part", "--continue", f"{done.url}{name}")
    assert (tmp_path / "part" / "render_1_3.exr").read_bytes() == picture

    digest = digest_of(picture)
    status, headers, body = ask(done, "GET", f"/api/v1/blobs/{digest}")
    assert (status, body) == (200, picture)
    assert "immutable" in headers["Cache-Control"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=-7", -7, -1),
        ("bytes=-500", -500, -1),
        ("bytes=5-1000000", 5, -1),
        ("bytes=5-", 5, -1),
    ],
)
def test_a_range_is_what_was_asked_for(lasting_done, asked, first, last):
    picture = films(lasting_done)[3].read_bytes()
    first, last = (number % len(picture) for number in (first, last))
    status, headers, body = ask(lasting_done, "GET", "/render_1_3.exr", Range=asked)
    assert (status, body) == (206, picture[first : last + 1])
    assert headers["Content-Range"] == f"bytes {first}-{last}/{len(picture)}"
    assert headers["Content-Length"] == str(last - first + 1)


def test_a_damaged_film_is_never_taken_for_whole(done):
    path = films(done)[4]
    sound = path.read_bytes()
    broken = bytearray(sound)
    broken[len(sound) // 3] ^= 1
    path.write_bytes(broken)
    # Even who asks for the sound end only, to go on with what broke off, is told; and it is rendered again.
    with pytest.raises(http.client.IncompleteRead):
        ask(done, "GET", "/render_1_4.exr", Range=f"bytes={len(sound) // 2}-")
    api = MasterApi(done.url)
    wait_until(lambda: api.job(1)["state"] == "finished" and path.exists(), 30, "it is rendered again")
    assert ask(done, "GET", "/render_1_4.exr")[2] == sound
    path.write_bytes(broken)
    with pytest.raises(http.client.IncompleteRead):
        ask(done, "GET", "/result_1.zip")
    wait_until(lambda: api.job(1)["state"] == "finished" and path.exists(), 30, "it is rendered again")


def test_a_zip_says_how_long_it_is_and_holds_what_was_asked_for(lasting_done):
    status, headers, body = ask(lasting_done, "GET", "/result_1.zip?frames=2-4,9&what=exr")
    assert status == 200
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Disposition"] == 'attachment; filename="result_1.zip"'
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert packed.namelist() == [f"render_1_{frame}.exr" for frame in (2, 3, 4, 9)]
        assert {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_STORED}
        assert packed.infolist()[0].date_time > (2020, 1, 1, 0, 0, 0)
    assert ask(lasting_done, "HEAD", "/result_1.zip?frames=2-4,9&what=exr")[1]["Content-Length"] == str(
        len(body)
    )
    assert (
        ask(lasting_done, "GET", "/result_1.zip?frames=2-4,9&what=exr", If_None_Match=headers["ETag"])[0]
        == 304
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/jobs/77", 404, "unknown_job"),
        ("GET", "/render_1_x.exr", 404, "not_found"),
        ("GET", "/plain/77", 404, "unknown_job"),
        ("GET", "/web/nothing.js", 404, "not_found"),
        ("POST", "/plain", 405, "wrong_method"),
        ("PUT", "/api/v1/jobs", 405, "wrong_method"),
    ],
)
def test_what_is_not_there_is_said_to_programs_and_to_people(lasting_master, method, path, status, code):
    answer = MasterApi(lasting_master.url).call(method, path[1:])
    assert (answer.status, answer.error()["code"]) == (status, code)
    wanted = "text/html,application/xhtml+xml,*/*;q=0.8"
    found, headers, body = ask(lasting_master, method, path, Accept=wanted)
    assert found == status
    assert headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"href='/'" in body
    assert b"href='/plain'" in body


def test_what_people_wrote_is_text_in_plain_pages(farm):
    master = farm.master(name="Attic <&> sons")
    assert b"<script>" not in ask(master, "GET", "/%3Cscript%3E", Accept="text/html")[2]
    _, headers, body = ask(master, "GET", "/plain")
    assert b"Attic &lt;&amp;&gt; sons" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"style=" not in body
    assert b"<style" not in body


def test_plain_pages_lead_to_everything(done):
    api = MasterApi(done.url)
    name = "<img src=x onerror=alert(1)>"
    assert api.call("PATCH", "api/v1/jobs/1", {"name": name}).status == 200
    listed = ask(done, "GET", "/plain")[2].decode()
    page = ask(done, "GET", "/plain/1")[2].decode()
    for html in (listed, page):
        assert name not in html
        assert "&lt;img src=x" in html
    for link in ("/plain/1", "/result_1.zip", "/result_1.zip?what=jpg", "/api/v1/jobs/1/urls.txt"):
        assert f"href='{link}'" in listed
        assert ask(done, "HEAD", link)[0] == 200
    for link in ("/thumb_1_7.jpg", "/render_1_7.exr", "/log_1_7.log"):
        assert f"href='{link}'" in page
        assert ask(done, "HEAD", link)[0] == 200
    assert "/thumb_1_7.jpg" not in ask(done, "GET", "/plain/1?skip=8")[2].decode()
    assert "href='/plain/1?skip=0'" in ask(done, "GET", "/plain/1?skip=8")[2].decode()


def pixels(image):
    """(width, height, {(x, y): (r, g, b)}) of a picture, by ImageMagick."""
    made = subprocess.run(["convert", "-", "ppm:-"], input=image, capture_output=True, check=True).stdout
    magic, width, height, most, rest = made.replace(b"\n", b" ").split(b" ", 4)
    assert (magic, most) == (b"P6", b"255")
    width, height = int(width), int(height)
    rest = made[-width * height * 3 :]
    return width, height, lambda x, y: tuple(rest[(y * width + x) * 3 :][:3])


def test_a_frame_is_looked_at_closely(done):
    api = MasterApi(done.url)
    frame = "api/v1/jobs/1/frames/3"
    detail = api.get(frame).json()
    assert detail["task"] == api.job(1)["tasks"][2]
    (attempt,) = detail["attempts"]
    assert (attempt["ok"], attempt["slave_name"], attempt["has_log"]) == (True, "slave", True)
    assert attempt["at_ms"] >= api.job(1)["created_ms"]
    assert detail["shares"] == []

    # Its passes, and each of them as a picture
    (beauty,) = api.get(f"{frame}/passes").json()
    assert beauty == {"layer": "ViewLayer", "pass": "Combined", "view": None, "channels": list("ABGR")}
    width, height, at = pixels(api.get(f"{frame}/image.png").body)
    assert (width, height) == (32, 18)
    chosen = pixels(api.get(f"{frame}/image.png?layer=ViewLayer&pass=Combined").body)
    assert all(chosen[2](x, y) == at(x, y) for x in range(32) for y in range(18))
    brighter = pixels(api.get(f"{frame}/image.png?exposure=2").body)[2]
    assert sum(brighter(5, 5)) > sum(at(5, 5))
    assert pixels(api.get(f"{frame}/image.png?width=8").body)[:2] == (8, 4)
    status, headers, body = ask(done, "GET", f"/{frame}/image.jpg?exposure=-1")
    assert (status, headers["Content-Type"], body[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    again = ask(done, "GET", f"/{frame}/image.jpg?exposure=-1", If_None_Match=headers["ETag"])
    assert (again[0], again[2]) == (304, b"")

    # What does not decode is said, and nothing breaks
    path = films(done)[3]
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 2])
    answer = api.call("GET", f"{frame}/passes")
    assert (answer.status, answer.error()["code"]) == (422, "bad_picture")
    path.write_bytes(sound)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("result_1.zip?frames=77", 404, "none of these frames of job 1 is rendered"),
        ("result_9.zip", 404, "job 9"),
        ("result_1.zip?frames=a-b", 400, "a-b"),
        ("result_1.zip?what=tiff", 400, "tiff"),
        ("api/v1/jobs/1/urls.txt?frames=77", 404, "none of these frames of job 1 is rendered"),
        ("api/v1/jobs/1/frames/3/image.png?layer=ViewLayer&pass=Depth", 404, "Depth"),
        ("api/v1/jobs/1/frames/3/image.png?exposure=nan", 400, "exposure"),
        ("api/v1/jobs/1/frames/3/image.png?exposure=bright", 400, "exposure"),
        ("api/v1/jobs/1/frames/3/image.png?size=3", 400, "size"),
        ("api/v1/jobs/1/frames/77/image.png", 404, "77"),
        ("api/v1/jobs/1/frames/x", 400, "x"),
        ("api/v1/jobs/1/frames/77/passes", 404, "77"),
        ("api/v1/jobs/1/frames/77/log", 404, "77"),
        ("api/v1/jobs/1/frames/3/log?attempt=5", 404, "log"),
    ],
)
def test_what_there_is_not_of_a_job_is_named(lasting_done, path, status, words):
    answer = MasterApi(lasting_done.url).call("GET", path)
    assert answer.status == status
    assert words in answer.error()["message"]


def test_what_went_wrong_is_told_attempt_by_attempt(farm, fake, tmp_path):
    master = farm.master()
    farm.slave(master, fake)
    api = MasterApi(master.url)
    # Given scenes, one of which must have a frame that goes wrong at first
    trick = next(name for name in (f"shot{n}.blend" for n in range(1000)) if goes_wrong(name))
    blend = fake.build(tmp_path / trick, "1-1")
    farm.submit(master, fake, blend, "--wait")
    first, last = api.get("api/v1/jobs/1/frames/1").json()["attempts"]
    assert (first["ok"], last["ok"]) == (False, True)
    assert first["error"]["message"]
    assert first["at_ms"] <= last["at_ms"]
    assert api.get("api/v1/jobs/1/frames/1/log?attempt=1").body


def goes_wrong(name):
    blend = fake_blender.scene("1-1", name, ("wood.png", b"wood"), 10_000)
    return fake_blender.trick_of(fake_blender.look_of(blend, b"wood"), 1)[0] == "broken"


def test_the_files_of_a_job_are_listed(lasting_done):
    api = MasterApi(lasting_done.url)
    listed = api.get("api/v1/jobs/1/files").json()
    assert (listed["total"], listed["missing"]) == (2, 0)
    assert {file["path"].rsplit("/", 1)[1]: file["kind"] for file in listed["files"]} == {
        "shot.blend": "scene",
        "wood.png": "image",
    }
    assert listed["bytes"] == sum(file["bytes"] for file in listed["files"])
    part = api.get("api/v1/jobs/1/files?skip=1&limit=5").json()
    assert (part["files"], part["total"]) == (listed["files"][1:], 2)
    assert api.call("GET", "api/v1/jobs/7/files").status == 404


def test_a_log_of_500_mb_is_not_read_whole(done):
    """The log's place on the disk is taken by a file as large as that; it is sparse, so the test is quick."""
    api = MasterApi(done.url)
    log = next(blob for blob in (done.data / "blobs").glob("??/*") if b"Saved" in blob.read_bytes()[:100])
    name = next(n for n in FRAMES if api.get(f"log_1_{n}.log").body == log.read_bytes())
    with log.open("r+b") as file:
        file.truncate(500 << 20)
        file.seek(-9, 2)
        file.write(b"\nthe end\n")
    status, headers, body = ask(done, "GET", f"/api/v1/jobs/1/frames/{name}/log")
    assert (status, headers["X-Log-Size"], len(body)) == (200, str(500 << 20), 256 << 10)
    assert headers["X-Log-Next"] == str(256 << 10)
    end = ask(done, "GET", f"/api/v1/jobs/1/frames/{name}/log?offset={(500 << 20) - 8}")
    assert (end[2], end[1]["X-Log-Next"]) == (b"the end\n", str(500 << 20))
    beyond = ask(done, "GET", f"/api/v1/jobs/1/frames/{name}/log?offset={10**15}")
    assert (beyond[0], beyond[2], beyond[1]["X-Log-Next"]) == (200, b"", str(500 << 20))
    # It is not what its name says any more, so the last byte is withheld; but to find that out takes no memory, either.
    with pytest.raises(http.client.IncompleteRead):
        ask(done, "GET", f"/log_1_{name}.log")
    status_of = (Path("/proc") / str(done.popen.pid) / "status").read_text()
    peak_kib = int(status_of.split("VmHWM:")[1].split()[0])
    assert peak_kib < 150 << 10, f"{peak_kib} KiB at most"


def test_a_log_is_read_while_it_grows(farm, fake, tmp_path):
    master = farm.master("--slave-timeout", "2")  # and so a sign of life twice a second
    farm.slave(master, fake)
    api = MasterApi(master.url)
    farm.submit(master, fake, fake.build(tmp_path / "slow.blend", "1-1", seconds=4))
    path = "/api/v1/jobs/1/frames/1/log"

    read, next_byte, answers = "", 0, 0
    while "second 2" not in read:
        status, headers, body = wait_until(
            lambda at=next_byte: (found := ask(master, "GET", f"{path}?offset={at}"))[2] and found, 30, "log"
        )
        assert status in (200, 404)
        if status == 200:
            read, next_byte, answers = read + body.decode(), int(headers["X-Log-Next"]), answers + 1
            assert next_byte == int(headers["X-Log-Size"])
    assert answers > 1, "it came all at once"
    assert [f"second {n}" in read for n in range(3)] == [True] * 3
    (attempt,) = api.get("api/v1/jobs/1/frames/1").json()["attempts"]
    assert (attempt["ok"], attempt["has_log"]) == (None, False)
    assert ask(master, "GET", f"{path}?attempt=0&slave=1")[0] == 200
    assert ask(master, "GET", f"{path}?slave=9")[0] == 404

    # The whole of it, once it is done, goes on where the first part ended
    api.wait(1)
    status, headers, body = ask(master, "GET", f"{path}?offset={next_byte}")
    whole = ask(master, "GET", "/log_1_1.log")[2].decode()
    assert whole == read + body.decode()
    assert "Saved" in whole


def test_figures_for_prometheus(farm, fake, tmp_path):
    master = farm.master(name='The "attic"\\')
    farm.slave(master, fake)
    farm.submit(master, fake, fake.build(tmp_path / "shot.blend", "1-3", seconds=0.1), "--wait")
    later = farm.submit(
        master, fake, fake.build(tmp_path / "later.blend", "1-5", seconds=0.1), "--tags", "none"
    )
    assert MasterApi(master.url).job(later)["done"] == 0
    status, headers, body = ask(master, "GET", "/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}

    def values(name):
        return {sample.labels.get("state"): sample.value for sample in families[name].samples}

    assert families["netrender_info"].samples[0].labels["name"] == 'The "attic"\\'
    assert values("netrender_jobs") == {"active": 1, "paused": 0, "finished": 1, "failed": 0, "canceled": 0}
    assert values("netrender_frames") == {"done": 3, "failed": 0, "rendering": 0, "waiting": 5}
    assert values("netrender_slaves") == {"busy": 0, "idle": 1, "paused": 0, "lost": 0}
    assert 0 < values("netrender_disk_free_bytes")[None] <= values("netrender_disk_size_bytes")[None]


def test_passes_of_a_real_frame_are_shown(farm, any_blender, tmp_path):
    """Blender 3.4 writes one part with all channels, 5.0 a part for each pass."""
    blend = any_blender.build(tmp_path / "shot.blend", "frames=1-1", "rich")
    master = farm.master()
    farm.slave(master, any_blender)
    farm.submit(master, any_blender, blend, "--wait")
    api = MasterApi(master.url)
    frame = "api/v1/jobs/1/frames/1"
    passes = {one["pass"]: one for one in api.get(f"{frame}/passes").json() if one["layer"] == "ViewLayer"}
    assert sorted(passes["Combined"]["channels"]) == ["A", "B", "G", "R"]
    width, height, _ = pixels(api.get("thumb_1_1.jpg").body)
    for name in passes:
        shown = pixels(api.get(f"{frame}/image.png?layer=ViewLayer&pass={quote(name)}").body)
        assert shown[:2] == (width, height), name
    # Among them one that is not colour, seen by the reference library
    depth = film.read(wget(tmp_path / "films", f"{master.url}/render_1_1.exr") / "render_1_1.exr")
    depth = next(values for name, values in depth.items() if name.startswith("ViewLayer.Depth."))
    near = tuple(int(at) for at in numpy.unravel_index(depth.argmin(), depth.shape))
    _, _, at = pixels(api.get(f"{frame}/image.png?layer=ViewLayer&pass=Depth").body)
    darkest = min(sum(at(x, y)) for x in range(width) for y in range(height))
    assert sum(at(near[1], near[0])) == darkest
