# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves the master for browsers and wget: plain addresses, parts of files, zips, lists, plain pages."""

import http.client
import io
import subprocess
import zipfile

import pytest
from master_api import MasterApi, digest_of
from processes import wait_until
from test_patience import Fake

FRAMES = range(1, 11)


@pytest.fixture
def fake(farm, tmp_path):
    return Fake(tmp_path, farm)


@pytest.fixture
def done(farm, fake, tmp_path):
    """A master with a job of ten frames, all of them done."""
    master = farm.master()
    farm.slave(master, fake)
    # With some seconds to render none of the fake's frames goes wrong.
    blend = fake.build(tmp_path / "shot.blend", "1-10", seconds=0.1)
    assert farm.submit(master, fake, blend, "--wait") == 1
    return master


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
    film = films(done)[3].read_bytes()
    name = "/render_1_3.exr"
    status, headers, body = ask(done, "GET", name)
    assert (status, body) == (200, film)
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "image/x-exr"
    assert headers["Content-Disposition"] == 'inline; filename="render_1_3.exr"'
    assert headers["Cache-Control"] == "no-cache"
    tag = headers["ETag"]

    status, headers, body = ask(done, "HEAD", name)
    assert (status, body, headers["Content-Length"], headers["ETag"]) == (200, b"", str(len(film)), tag)
    status, headers, body = ask(done, "GET", name, If_None_Match=f'"other", {tag}')
    assert (status, body, headers["ETag"]) == (304, b"", tag)

    size = len(film)
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        (f"bytes={size - 7}-", size - 7, size - 1),
        ("bytes=-500", size - 500, size - 1),
        (f"bytes=5-{size * 2}", 5, size - 1),
    ):
        status, headers, body = ask(done, "GET", name, Range=asked)
        assert (status, body) == (206, film[first : last + 1]), asked
        assert headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert headers["Content-Length"] == str(last - first + 1)
    status, headers, body = ask(done, "GET", name, Range=f"bytes={size}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{size}", b"")
    assert ask(done, "GET", name, Range="bytes=0-9,20-29")[::2] == (200, film)
    assert ask(done, "GET", name, Range="bytes=5-", If_Range=tag)[0] == 206
    assert ask(done, "GET", name, Range="bytes=5-", If_Range='"older"')[::2] == (200, film)

    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "render_1_3.exr").write_bytes(film[:1000])
    wget(tmp_path / "part", "--continue", f"{done.url}{name}")
    assert (tmp_path / "part" / "render_1_3.exr").read_bytes() == film

    digest = digest_of(film)
    status, headers, body = ask(done, "GET", f"/api/v1/blobs/{digest}")
    assert (status, body) == (200, film)
    assert "immutable" in headers["Cache-Control"]


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


def test_a_zip_says_how_long_it_is_and_holds_what_was_asked_for(done):
    status, headers, body = ask(done, "GET", "/result_1.zip?frames=2-4,9&what=exr")
    assert status == 200
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Disposition"] == 'attachment; filename="result_1.zip"'
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert packed.namelist() == [f"render_1_{frame}.exr" for frame in (2, 3, 4, 9)]
        assert {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_STORED}
        assert packed.infolist()[0].date_time > (2020, 1, 1, 0, 0, 0)
    assert ask(done, "HEAD", "/result_1.zip?frames=2-4,9&what=exr")[1]["Content-Length"] == str(len(body))
    assert ask(done, "GET", "/result_1.zip?frames=2-4,9&what=exr", If_None_Match=headers["ETag"])[0] == 304

    api = MasterApi(done.url)
    for path, status, word in (
        ("result_1.zip?frames=77", 404, "not rendered"),
        ("result_9.zip", 404, "job 9"),
        ("result_1.zip?frames=a-b", 400, "a-b"),
        ("result_1.zip?what=tiff", 400, "tiff"),
        ("api/v1/jobs/1/urls.txt?frames=77", 404, "not rendered"),
    ):
        answer = api.call("GET", path)
        assert answer.status == status, path
        assert word in answer.error()["message"].replace("none of these frames of job 1 is", "not"), path


def test_what_is_not_there_is_said_to_programs_and_to_people(farm):
    master = farm.master(name="Attic <&> sons")
    api = MasterApi(master.url)
    for method, path, status, code in (
        ("GET", "/nothing/here", 404, "not_found"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/jobs/77", 404, "unknown_job"),
        ("GET", "/render_1_x.exr", 404, "not_found"),
        ("GET", "/plain/77", 404, "unknown_job"),
        ("GET", "/web/nothing.js", 404, "not_found"),
        ("POST", "/plain", 405, "wrong_method"),
        ("PUT", "/api/v1/jobs", 405, "wrong_method"),
    ):
        answer = api.call(method, path[1:])
        assert (answer.status, answer.error()["code"]) == (status, code), path
        found, headers, body = ask(master, method, path, Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        assert found == status
        assert headers["Content-Type"].startswith("text/html"), path
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert b"href='/'" in body
        assert b"href='/plain'" in body
    assert b"<script>" not in ask(master, "GET", "/%3Cscript%3E", Accept="text/html")[2]
    status, headers, body = ask(master, "GET", "/plain")
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
