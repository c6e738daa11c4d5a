# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of files that lie or want out of the job's folder. The master refuses them, and so does a slave whose master
does not: a slave trusts nobody."""

import http.server
import json
import struct
import threading
from pathlib import Path

import pytest

from support.api import PROTOCOL, MasterApi, digest_of
from support.farm import wait_until

CONTENT = b"BLENDER-v304 and so on"
DIGEST = digest_of(CONTENT)
GIANT = 1 << 45


def asset(place="shots/a.blend", **changes):
    honest = {
        "source": "/shots/a.blend",
        "place": place,
        "digest": DIGEST,
        "bytes": len(CONTENT),
        "pieces": 1,
    }
    return {**honest, **changes}


def manifest(*assets, paths=(), version=2, blend="shots/a.blend"):
    return {"version": version, "blend": blend, "assets": [asset(), *assets], "paths": list(paths)}


def use(**changes):
    return {"library": "", "raw": "//a.png", "place": "shots/a.png", "must_exist": True, **changes}


PLACES = {
    "traversal": "../../evil",
    "traversal inside": "shots/../../evil",
    "traversal at the end": "shots/..",
    "dot": "./evil",
    "absolute": "/tmp/evil",
    "home": "/root/.ssh/authorized_keys",
    "drive": "C:/evil",
    "drive relative": "C:evil",
    "unc": "//server/share/evil",
    "backslashes": "..\\..\\evil",
    "backslash inside": "shots\\evil",
    "verbatim": "\\\\?\\C:\\evil",
    "stream": "shots/a.txt:evil",
    "device": "shots/NUL",
    "device with extension": "shots/con.png",
    "device port": "COM1",
    "device in a folder": "aux/evil.png",
    "device superscript": "shots/com\u00b9.txt",
    "device console": "CONIN$",
    "empty": "",
    "empty part": "shots//evil",
    "ends with slash": "shots/evil/",
    "nul": "shots/a\0b",
    "newline": "shots/a\nb",
    "escape": "shots/a\x1b[2J",
    "trailing dot": "shots/evil.",
    "trailing space": "shots/evil ",
    "wildcard": "shots/*",
    "quote": 'shots/"evil"',
    "pipe": "shots/|evil",
    "name too long": "shots/" + "a" * 256,
    "path too long": "/".join(["a" * 100] * 9),
}
HOSTILE = {f"place: {name}": manifest(asset(place)) for name, place in PLACES.items()}
HOSTILE |= {
    "twins": manifest(asset("shots/b.png"), asset("shots/b.png")),
    "twins but for case": manifest(asset("shots/b.png"), asset("SHOTS/B.PNG")),
    "twins but for accents": manifest(asset("shots/\u00e9"), asset("shots/e\u0301")),
    "a file as a folder": manifest(asset("shots/b"), asset("shots/b/c")),
    "the scene as a folder": manifest(asset("shots/a.blend/textures/b.png")),
    "no scene": manifest(blend="shots/other.blend"),
    "scene outside": manifest(blend="../a.blend"),
    "another version": manifest(version=999),
    "huge": manifest(asset("b", bytes=GIANT, pieces=1)),
    "huge in many pieces": manifest(asset("b", bytes=GIANT, pieces=400_000)),
    "more than 64 bits": manifest(asset("b", bytes=1 << 70)),
    "negative": manifest(asset("b", bytes=-1)),
    "empty with a piece": manifest(asset("b", bytes=0)),
    "bytes without a piece": manifest(asset("b", pieces=0)),
    "more pieces than bytes": manifest(asset("b", pieces=5000)),
    "countless pieces": manifest(asset("b", bytes=1 << 37, pieces=(1 << 32) - 1)),
    "no digest": manifest(asset("b", digest="../../../etc/passwd")),
    "path outside": manifest(paths=[use(place="../../etc/passwd")]),
    "path absolute": manifest(paths=[use(place="/etc/passwd")]),
    "library outside": manifest(paths=[use(library="../lib.blend")]),
    "path with a false pattern": manifest(paths=[use(place="shots/<EVIL>.png")]),
    "endless raw path": manifest(paths=[use(raw="x" * 10_000)]),
    "surprise": {**manifest(), "run": "rm -rf /"},
    "not a list": {**manifest(), "assets": "all of them"},
}
# These are formed well; only who looks at the pieces sees that they lie.
LIES = {
    "wrong size": manifest(asset("b", bytes=len(CONTENT) + 1)),
    "not a list of pieces": manifest(asset("b", bytes=1000, pieces=3)),
    "not there": manifest(asset("b", digest="0" * 64)),
}


def test_there_are_at_least_fifty():
    assert len(HOSTILE) + len(LIES) >= 50


def record(content):
    return bytes.fromhex(digest_of(content)) + struct.pack("<II", len(content), len(content)) + content


@pytest.fixture(scope="module")
def master(lasting_master):
    """One that has the content of which the lists tell."""
    api = MasterApi(lasting_master.url)
    assert api.call("POST", "api/v1/pieces", record(CONTENT), "application/octet-stream").status == 204
    return lasting_master


@pytest.mark.parametrize("name", [*HOSTILE, *LIES])
def test_the_master_refuses_them_all(lasting_farm, master, name):
    api = MasterApi(master.url)
    before = {path for path in lasting_farm.folder.rglob("*") if master.data not in path.parents}
    answer = api.submit(api.put_blob(json.dumps({**HOSTILE, **LIES}[name]).encode()))
    assert 400 <= answer.status < 500, (answer.status, answer.body[:300])
    assert len(answer.error()["message"]) > 15, answer.error()
    assert api.jobs() == []
    assert {path for path in lasting_farm.folder.rglob("*") if master.data not in path.parents} == before


def test_the_master_takes_an_honest_one(farm):
    api = MasterApi(farm.master().url)
    assert api.call("POST", "api/v1/pieces", record(CONTENT), "application/octet-stream").status == 204
    assert api.submit(api.put_blob(json.dumps(manifest()).encode())).status == 201


RECORD = record(CONTENT)
DAMAGED = {
    "cut": RECORD[:-1],
    "changed": RECORD[:-1] + b"x",
    "cut in its head": RECORD[:20],
    "too long": bytes.fromhex(DIGEST) + struct.pack("<II", 1 << 31, 1 << 31) + CONTENT,
    "longer than plain": bytes.fromhex(DIGEST) + struct.pack("<II", 5, len(CONTENT)) + CONTENT,
    "squeezed": bytes.fromhex(DIGEST) + struct.pack("<II", 1 << 20, len(CONTENT)) + CONTENT,
    "more behind it": RECORD + b"x",
}


@pytest.mark.parametrize("bad", DAMAGED.values(), ids=DAMAGED)
def test_damaged_pieces_are_refused(lasting_master, bad):
    api = MasterApi(lasting_master.url)
    assert 400 <= api.call("POST", "api/v1/pieces", bad, "application/octet-stream").status < 500


def test_requests_for_pieces_that_are_not_there(lasting_master):
    api = MasterApi(lasting_master.url)
    assert api.call("POST", "api/v1/pieces", b"", "application/octet-stream").status == 204
    asked = api.call("POST", "api/v1/pieces/get", bytes(32), "application/octet-stream")
    assert asked.status == 404
    assert (
        api.call(
            "POST", "api/v1/pieces/missing", b"31 bytes are no digest", "application/octet-stream"
        ).status
        == 400
    )


class EvilMaster(http.server.ThreadingHTTPServer):
    """Speaks the protocol, and grants one frame of one hostile job after the other."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), EvilAnswers)
        self.names = list(HOSTILE) + list(LIES)
        self.blobs = {}
        self.manifests = []
        for name in self.names:
            text = json.dumps({**HOSTILE, **LIES}[name]).encode()
            self.blobs[digest_of(text)] = text
            self.manifests.append(digest_of(text))
        self.granted = 0
        self.failures = {}
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """A slave that has something better to do gives up a poll; that is no news."""


class EvilAnswers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, status=200):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_PUT(self):
        self.body()
        self.answer(b"", 201)

    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        if name == "info":
            info = {
                "service": "netrender",
                "protocol": PROTOCOL,
                "version": "0",
                "farm": "evil",
                "name": "evil",
            }
            self.answer(info)
        elif name in self.server.blobs:
            self.answer(self.server.blobs[name])
        else:
            self.answer({"error": {"code": "not_there", "message": "no", "hint": ""}}, 404)

    def do_POST(self):
        body = self.body()
        server = self.server
        if self.path == "/api/v1/slaves":
            self.answer({"slave": 1, "farm": "evil", "heartbeat_s": 5.0})
        elif self.path.endswith("/poll"):
            self.poll(json.loads(body))
        elif self.path == "/api/v1/failures":
            failure = json.loads(body)
            with server.lock:
                server.failures[failure["job"]] = failure["error"]
            self.answer(b"", 204)
        elif self.path == "/api/v1/pieces/get":
            # Whatever is asked for, the same content comes under that name.
            asked = [body[at : at + 32] for at in range(0, len(body), 32)]
            size = struct.pack("<II", len(CONTENT), len(CONTENT))
            self.answer(b"".join(digest + size + CONTENT for digest in asked))
        else:
            self.answer(b"", 204)

    def poll(self, request):
        server = self.server
        with server.lock:
            free = not request["held"] and server.granted == len(server.failures)
            if not free or server.granted == len(server.names):
                threading.Event().wait(0.05)
                return self.answer({"drop": [], "grant": None})
            spec = {
                "name": "evil", "frames": "1", "engine": "CYCLES", "blender": [3, 4], "width": 8, "height": 8,
                "manifest": server.manifests[server.granted],
            }  # fmt: skip
            server.granted += 1
            grant = {"lease": server.granted, "job": server.granted, "frames": [1], "spec": spec}
        return self.answer({"drop": [], "grant": grant})


@pytest.fixture
def evil():
    server = EvilMaster()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_slave_refuses_them_all(farm, evil, blender_program):
    slave = farm.slave(evil.url, blender_program, wait=False)
    wait_until(lambda: len(evil.failures) == len(evil.names), 120, "every hostile job failed")
    for number, name in enumerate(evil.names, 1):
        error = evil.failures[number]
        assert error["kind"] in ("fetch_failed", "missing_file"), (name, error)
        assert len(error["message"]) > 20, (name, error)
    inside = [
        slave.data / name for name in ("jobs", "cache", "lists", "spool", "worker", "slave.key", "slave.lock")
    ]
    written = [
        p for p in slave.data.rglob("*") if p.is_file() and not any(p == i or i in p.parents for i in inside)
    ]
    assert written == []
    assert [p for p in (slave.data / "jobs").rglob("*") if p.is_file()] == []
    assert not any(Path(p).exists() for p in ("/tmp/evil", "/evil"))
    assert not list(farm.folder.rglob("*evil*"))
