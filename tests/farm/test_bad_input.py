# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on farms. Each time: a message that says what, where and what to do next; and nothing is lost."""

import contextlib
import http.client
import http.server
import json
import os
import subprocess
import threading
from urllib.parse import urlsplit

import pytest

from support import film
from support.api import FakeSlave, MasterApi, digest_of, record_of
from support.farm import NO_MASTER, PROGRAM, USAGE, complaint
from support.small_disk import fill, free_bytes, small_disk


def error_of(job, frame=None):
    """The error of the (first) failed frame."""
    tasks = [t for t in job["tasks"] if t["state"] == "failed" and frame in (None, t["frame"])]
    assert tasks, job
    return tasks[0]["error"]


# ------------------------------------------------------------------------------------------------ scenes and frames


def test_a_file_that_is_no_scene_is_refused_before_sending(farm, blender_program, tmp_path):
    master = farm.master()
    garbage = tmp_path / "garbage.blend"
    garbage.write_bytes(b"BLENDER-v304" + os.urandom(5000))
    for path in (garbage, tmp_path / "nowhere.blend"):
        done = farm.cli(
            "submit", path, "--master", master.url, "--blender", blender_program.path, code=USAGE
        )  # fmt: skip
        assert path.name in complaint(done)
    assert MasterApi(master.url).jobs() == []


def test_a_scene_without_camera_and_an_empty_range_are_refused(farm, blender_program, tmp_path):
    master = farm.master()
    common = ["--master", master.url, "--blender", blender_program.path]
    blind = blender_program.build(tmp_path / "blind.blend", "no-camera")
    assert "camera" in complaint(farm.cli("submit", blind, *common, code=USAGE))
    good = blender_program.build(tmp_path / "good.blend")
    assert "empty" in complaint(farm.cli("submit", good, "--frames", "10-1", *common, code=USAGE))
    assert "not a frame" in complaint(farm.cli("submit", good, "--frames", "x", *common, code=USAGE))
    assert MasterApi(master.url).jobs() == []


def test_garbage_sent_past_the_client_fails_and_the_slave_goes_on(farm, any_blender, tmp_path):
    # Given a slave, and a job whose .blend is nothing Blender can open
    master = farm.master()
    farm.slave(master, any_blender)
    api = MasterApi(master.url)
    version = list(any_blender.version[:2])
    garbage = api.put_blend(b"BLENDER-v304" + os.urandom(5000), "shots/garbage.blend")
    bad = api.submit(garbage, blender=version).json()["job"]

    # Then the frame fails and says so
    job = api.wait(bad)
    assert job["state"] == "failed"
    assert "garbage.blend" in error_of(job)["message"]

    # And the same slave renders the next job
    blend = any_blender.build(tmp_path / "shot.blend")
    farm.submit(master, any_blender, blend, "--frames", "1", "--wait")


def test_a_denoiser_that_is_missing_is_named(farm, blender_program, tmp_path):
    """Blender 3.4.1 from Debian has no OpenImageDenoise: it ends with code 0 and writes no file."""
    if blender_program.version >= (4, 0, 0):
        pytest.skip("this Blender has OpenImageDenoise")
    blend = blender_program.build(tmp_path / "shot.blend", "denoise")
    master = farm.master()
    farm.slave(master, blender_program)
    job = farm.submit(master, blender_program, blend, "--frames", "1-2", "--wait", code=1)
    api = MasterApi(master.url)
    error = error_of(api.job(job), 1)
    assert "OpenImageDenoise" in error["message"]
    assert "OpenImageDenoise" in api.log(job, 1)
    assert "OpenImageDenoise" in farm.cli("job", job, "--master", master.url).out


def test_a_job_no_slave_can_do_says_why_it_waits(farm, fake):
    master = farm.master()
    farm.slave(master, fake, name="anna")
    api = MasterApi(master.url)
    manifest = api.put_blend(b"never opened")
    job = api.submit(manifest, blender=[9, 9]).json()["job"]
    why = api.job(job)["why"]
    assert "anna" in why
    assert "9.9" in why


# -------------------------------------------------------------------------------------------- results and protocol


def test_nobody_believes_a_broken_picture(farm, blender_program, tmp_path):
    # Given a real film of the job's size, and a slave of the wrong kind that has the frame
    blend = blender_program.build(tmp_path / "shot.blend")
    whole = blender_program.render_local(blend, [1], tmp_path / "local")[1].read_bytes()
    big = blender_program.build(tmp_path / "big.blend", "size=64x36")
    other_size = blender_program.render_local(big, [1], tmp_path / "big")[1].read_bytes()
    master = farm.master()
    api = MasterApi(master.url)
    fake = FakeSlave(api)
    job = api.submit(api.put_blend(blend.read_bytes())).json()["job"]
    assert fake.lease()["frames"] == [1]

    # When it hands in what is no picture of this job
    header = b"\x76\x2f\x31\x01\x02\x00\x00\x00"
    for bad in (whole[: len(whole) // 2], whole[:-1], other_size, b"", b"no picture", header + b"\xff" * 200):
        answer = fake.hand_in(job, 1, bad)
        assert 400 <= answer.status < 500, (answer.status, answer.body[:300], len(bad))
        answer.error()
        assert api.job(job)["done"] == 0

    # Then the true one is welcome still, once
    assert fake.hand_in(job, 1, whole).json() == {"fresh": True}
    assert fake.hand_in(job, 1, whole).json() == {"fresh": False}
    assert api.job(job)["state"] == "finished"
    assert api.get(f"render_{job}_1.exr").body == whole


def test_damaged_uploads_are_refused(farm):
    api = MasterApi(farm.master().url)
    data = os.urandom(1 << 20)
    digest = digest_of(data)
    answer = api.call("PUT", f"api/v1/blobs/{digest}", data[:-1] + b"x", "application/octet-stream")
    assert answer.status == 422
    answer.error()
    assert api.post("api/v1/blobs/missing", {"digests": [digest]}).json()["missing"] == [digest]
    assert api.call("PUT", "api/v1/blobs/not-a-digest", data).status in (400, 404)
    assert api.put_blob(data) == digest
    assert api.post("api/v1/blobs/missing", {"digests": [digest]}).json()["missing"] == []


NOT_OURS = {
    "half": b"{",
    "nothing": b"",
    "a list": b"[1, 2]",
    "a surprise": b'{"surprise": true}',
    "no text": b"\xff\xfe",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", NOT_OURS.values(), ids=NOT_OURS)
@pytest.mark.parametrize("path", ["jobs", "slaves", "results", "failures", "blobs/missing"])
def test_json_that_is_not_ours(lasting_master, path, body):
    api = MasterApi(lasting_master.url)
    answer = api.call("POST", f"api/v1/{path}", body)
    assert answer.status == 400, (answer.status, answer.body[:300])
    answer.error()
    assert api.farm()["jobs"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "api/v1/jobs/77"),
        ("GET", "api/v1/nothing"),
        ("GET", "render_77_1.exr"),
        ("GET", f"api/v1/blobs/{'0' * 64}"),
        ("POST", "api/v1/jobs/77/cancel"),
    ],
)
def test_what_is_not_there(lasting_master, method, path):
    answer = MasterApi(lasting_master.url).call(method, path)
    assert answer.status == 404
    answer.error()


def manifest_of(api, name):
    """The digest of a list of files that is sound, or wrong in this way."""
    climbing = {"source": "/x", "place": "../x", "digest": digest_of(b""), "bytes": 0, "pieces": 0}
    unsent = {"source": "/x", "place": "x", "digest": digest_of(b"?"), "bytes": 1, "pieces": 1}
    return {
        "sound": lambda: api.put_blend(b"a scene"),
        "escaping": lambda: put_json(api, {"version": 2, "blend": "../x", "assets": [climbing], "paths": []}),
        "incomplete": lambda: put_json(api, {"version": 2, "blend": "x", "assets": [unsent], "paths": []}),
        "no manifest": lambda: api.put_blob(b"no manifest"),
        "not sent": lambda: "0" * 64,
    }[name]()


def put_json(api, content):
    return api.put_blob(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("manifest", "changes"),
    [
        ("escaping", {}),
        ("incomplete", {}),
        ("no manifest", {}),
        ("not sent", {}),
        ("sound", {"frames": "10-1"}),
        ("sound", {"frames": "0-1048574x0"}),
        ("sound", {"width": 0}),
        ("sound", {"chunk": 0}),
        ("sound", {"priority": 101}),
    ],
    ids=str,
)
def test_jobs_that_cannot_be_right(lasting_master, manifest, changes):
    api = MasterApi(lasting_master.url)
    answer = api.submit(manifest_of(api, manifest), **changes)
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    answer.error()
    assert api.jobs() == []


def test_a_job_that_is_right_gets_the_first_number(farm):
    api = MasterApi(farm.master().url)
    assert api.submit(manifest_of(api, "no manifest")).status >= 400
    assert api.submit(manifest_of(api, "sound")).json()["job"] == 1


def test_a_slave_of_another_generation_is_refused(farm):
    api = MasterApi(farm.master().url)
    info = {"host": "h", "os": "o", "blender": [3, 4, 1], "engines": [], "threads": 1, "memory_bytes": 1}
    request = {"protocol": 999, "key": "k", "name": "old", "info": info}
    answer = api.call("POST", "api/v1/slaves", request)
    assert 400 <= answer.status < 500
    assert "999" in answer.error()["message"] + answer.error()["hint"]
    assert api.slaves() == []


# ---------------------------------------------------------------------------------------------- masters and addresses


@contextlib.contextmanager
def somebody_elses_server(reply):
    """A web server that answers everything with this JSON, or 404 when there is none; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"<html>" if reply is None else json.dumps(reply).encode()
            self.send_response(404 if reply is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("address", "words"),
    [("127.0.0.1:1", ["127.0.0.1:1", "efused"]), ("no-such-host.invalid", []), ("ftp://x", ["master"])],
    ids=str,
)
def test_no_master_at_the_address(farm, address, words):
    said = complaint(farm.cli("jobs", "--master", address, code=NO_MASTER))
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize("reply", [None, {"hello": "world"}], ids=str)
def test_the_address_is_somebody_elses(farm, reply):
    with somebody_elses_server(reply) as url:
        assert "not a netrender master" in complaint(farm.cli("jobs", "--master", url, code=NO_MASTER))


def test_a_master_of_another_generation(farm):
    info = {"service": "netrender", "protocol": 999, "version": "9.9.9", "farm": "f", "name": "new"}
    with somebody_elses_server(info) as url:
        said = complaint(farm.cli("jobs", "--master", url, code=NO_MASTER))
    assert "9.9.9" in said
    assert "same netrender version" in said


@pytest.mark.parametrize("arguments", [["dance"], ["submit"], ["jobs", "--no-such-option"]], ids=" ".join)
def test_wrong_usage_is_code_2(farm, arguments):
    farm.cli(*arguments, code=USAGE)


@pytest.mark.parametrize("command", ["", "master", "slave", "submit", "get", "discover"])
def test_every_command_has_its_help(farm, command):
    assert "Usage" in farm.cli(*filter(None, [command]), "--help").out


def test_the_version_is_told(farm):
    assert "0.1.0" in farm.cli("--version").out


# ------------------------------------------------------------------------------------------- a master's own troubles


def start_in_vain(farm, data, port=0):
    """A master that cannot start; what it said."""
    command = [PROGRAM, "master", "--data", data, "--host", "127.0.0.1", "--port", port, "--no-broadcast"]
    done = farm.run(command, timeout_s=30)
    assert done.code not in (0, 101), (done.code, done.err)
    return complaint(done)


def test_the_port_is_taken(farm, tmp_path):
    first = farm.master()
    port = first.url.rsplit(":", 1)[1].strip("/")
    assert port in start_in_vain(farm, tmp_path / "second", port)
    assert MasterApi(first.url).farm()["jobs"] == []


def test_the_folder_belongs_to_another_master(farm, tmp_path):
    first = farm.master()
    said = start_in_vain(farm, first.data)
    assert str(first.data) in said
    assert "another master" in said
    assert MasterApi(first.url).farm()["jobs"] == []


def test_the_folder_cannot_be_made(farm, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "file" in start_in_vain(farm, tmp_path / "file" / "data")


def test_the_folder_is_not_writable(farm, as_root, tmp_path):
    with small_disk(tmp_path / "disk", "ro,size=1m") as disk:
        assert str(disk) in start_in_vain(farm, disk / "data")


def test_a_full_disk_stops_intake_and_loses_nothing(farm, as_root, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-2")
    with small_disk(tmp_path / "disk", "size=24m") as disk:
        # Given a master with a finished job, on a disk that is full now
        master = farm.master(data=disk / "data")
        farm.slave(master, blender_program)
        job = farm.submit(master, blender_program, blend, "--wait")
        ballast = fill(disk)
        api = MasterApi(master.url)

        # When more comes in
        data = os.urandom(4 << 20)
        answer = api.call("PUT", f"api/v1/blobs/{digest_of(data)}", data, "application/octet-stream")

        # Then it is told why not, in words
        assert answer.status in (503, 507), (answer.status, answer.body[:300])
        error = answer.error()
        assert "disk" in (error["message"] + error["hint"]).lower() or "space" in error["message"].lower()
        noisy = blender_program.build(tmp_path / "noisy" / "shot.blend", "rich", "noise")
        address = ["--master", master.url, "--blender", blender_program.path]
        assert "the master has room for" in complaint(
            farm.cli("submit", noisy, *address, code=1, timeout_s=30)
        )
        insisting = farm.spawn("client", [PROGRAM, "submit", noisy, *address, "--send-anyway"])
        farm.await_line(insisting, "disk is full")
        assert [j["id"] for j in api.jobs()] == [job]

        # And what is there can still be looked at and fetched
        assert api.job(job)["done"] == 2
        farm.cli("get", job, "--output", tmp_path / "before", "--master", master.url)

        # And once there is space, all goes on, also after a restart
        ballast.unlink()
        assert farm.wait_end(insisting) == 0, insisting.text()
        assert api.wait(job + 1)["state"] == "finished"
        api.put_blob(data)
        assert farm.stop(master)[0] == 0
        again = farm.master(data=disk / "data", port=int(master.url.rsplit(":", 1)[1].strip("/")))
        farm.cli("get", job, "--output", tmp_path / "after", "--master", again.url)
        films = film.in_folder(tmp_path / "after")
        assert sorted(films) == [1, 2]
        film.assert_not_blank(films[2])
        farm.submit(again, blender_program, noisy, "--frames", "1", "--wait")
        farm.close()
        farm.services.clear()


def test_a_result_on_a_full_disk_is_handed_in_later(farm, as_root, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-6", "size=320x180")
    with small_disk(tmp_path / "disk", "size=24m") as disk:
        master = farm.master(data=disk / "data")
        job = farm.submit(master, blender_program, blend)
        ballast = fill(disk)
        slave = farm.slave(master, blender_program)
        farm.await_line(slave, "rendered job=")
        api = MasterApi(master.url)
        ballast.unlink()
        done = api.wait(job)
        assert done["state"] == "finished", done
        farm.close()
        farm.services.clear()


def test_a_reader_that_goes_away_is_no_reason_to_panic():
    # As in `netrender jobs | head -1`.
    reader, writer = os.pipe()
    os.close(reader)
    command = [PROGRAM, "discover", "--json", "--seconds", "0.01"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    os.close(writer)
    assert "panicked" not in done.stderr
    assert done.returncode in (0, NO_MASTER)


def test_an_upload_without_end_stops_before_the_disk_is_full(farm, as_root, tmp_path):
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        master = farm.master(data=disk / "data")
        api = MasterApi(master.url)
        # When one request brings more pieces than there is room for, or one blob
        for method, path, bodies in (
            ("POST", "/api/v1/pieces", (record_of(os.urandom(1 << 20)) for _ in range(100))),
            ("PUT", f"/api/v1/blobs/{digest_of(b'other')}", (os.urandom(1 << 20) for _ in range(100))),
        ):
            connection = http.client.HTTPConnection(urlsplit(master.url).netloc, timeout=60)
            with contextlib.suppress(ConnectionError):
                connection.request(method, path, bodies, encode_chunked=True)
            with contextlib.suppress(ConnectionError):
                assert connection.getresponse().status == 507
            connection.close()
        # Then the reserve is left, and others are heard
        assert free_bytes(disk) > 2 << 20
        assert FakeSlave(api).id
        farm.close()
        farm.services.clear()


def test_a_master_starts_on_a_disk_that_others_filled(farm, as_root, tmp_path):
    with small_disk(tmp_path / "disk", "size=24m") as disk:
        # Given a master that was killed, and a disk without a free byte
        master = farm.master(data=disk / "data")
        FakeSlave(MasterApi(master.url))
        farm.kill(master)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert free_bytes(disk) == 0
        # When it starts again
        again = farm.master(data=disk / "data")
        # Then it answers, keeps uploads out, and goes on once there is room
        api = MasterApi(again.url)
        data = os.urandom(4 << 20)
        assert (
            api.call("PUT", f"api/v1/blobs/{digest_of(data)}", data, "application/octet-stream").status == 507
        )
        assert [slave["id"] for slave in api.get("api/v1/farm").json()["slaves"]] == [1]
        ballast.unlink()
        api.put_blob(data)
        farm.close()
        farm.services.clear()
