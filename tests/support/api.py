# SPDX-License-Identifier: GPL-3.0-or-later
"""The master's HTTP interface as a stranger would speak it: plain JSON, the standard library, nothing of ours."""

import contextlib
import http.client
import json
import struct
import time
import urllib.parse

import blake3

PROTOCOL = 7


def digest_of(data):
    return blake3.blake3(data).hexdigest()


class Answer:
    def __init__(self, status, body):
        self.status, self.body = status, body

    def json(self):
        return json.loads(self.body)

    def error(self):
        """The error's three parts; fails when the answer is not an error in our form."""
        assert self.status >= 400, (self.status, self.body[:500])
        error = self.json()["error"]
        assert set(error) == {"code", "message", "hint"}, error
        assert error["message"], error
        return error


class MasterApi:
    def __init__(self, url):
        self.url = url.rstrip("/")
        self.host = urllib.parse.urlsplit(self.url).netloc

    def call(self, method, path, body=None, kind="application/json", headers=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            # Who is refused early must still read why: the answer may come while the body is on its way.
            with contextlib.suppress(BrokenPipeError):
                connection.request(
                    method,
                    f"/{path}",
                    data,
                    {**({"Content-Type": kind} if data is not None else {}), **(headers or {})},
                )
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def get(self, path):
        answer = self.call("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body[:500])
        return answer

    def post(self, path, body):
        answer = self.call("POST", path, body)
        assert answer.status < 300, (path, answer.status, answer.body[:500])
        return answer

    def farm(self):
        return self.get("api/v1/farm").json()

    def slaves(self):
        return self.farm()["slaves"]

    def jobs(self):
        return self.farm()["jobs"]

    def job(self, number):
        return self.get(f"api/v1/jobs/{number}").json()

    def frames(self, number, state):
        return {t["frame"] for t in self.job(number)["tasks"] if t["state"] == state}

    def wait(self, number, states=("finished", "failed", "canceled"), timeout_s=300):
        """The job, once it is in one of the states."""
        until = time.monotonic() + timeout_s
        while (job := self.job(number))["state"] not in states:
            assert time.monotonic() < until, (
                f"job {number} is {job['state']}, {job['done']}/{job['total']}: {job['why']}"
            )
            time.sleep(0.05)
        return job

    def put_blob(self, data):
        digest = digest_of(data)
        answer = self.call("PUT", f"api/v1/blobs/{digest}", data, "application/octet-stream")
        assert answer.status < 300, (answer.status, answer.body[:500])
        return digest

    def put_pieces(self, *contents):
        """Sends pieces, plain; their digests."""
        answer = self.call(
            "POST", "api/v1/pieces", b"".join(map(record_of, contents)), "application/octet-stream"
        )
        assert answer.status == 204, (answer.status, answer.body[:500])
        return [digest_of(data) for data in contents]

    def missing_pieces(self, digests):
        body = b"".join(map(bytes.fromhex, digests))
        bits = self.call("POST", "api/v1/pieces/missing", body, "application/octet-stream").body
        return [digest for at, digest in enumerate(digests) if bits[at // 8] >> at % 8 & 1]

    def put_blend(self, data, place="shots/sent.blend"):
        """A manifest with one .blend; returns its digest."""
        (piece,) = self.put_pieces(data)
        asset = {"source": f"/{place}", "place": place, "digest": piece, "bytes": len(data), "pieces": 1}
        return self.put_blob(
            json.dumps({"version": 2, "blend": place, "assets": [asset], "paths": []}).encode()
        )

    def submit(self, manifest, **changes):
        """Queues a job; returns the answer, good or bad."""
        spec = {
            "name": "by hand",
            "frames": "1",
            "engine": "CYCLES",
            "blender": [3, 4],
            "width": 32,
            "height": 18,
            "manifest": manifest,
            **changes,
        }
        return self.call("POST", "api/v1/jobs", spec)

    def log(self, job, frame):
        return self.get(f"log_{job}_{frame}.log").body.decode(errors="replace")


def record_of(data):
    """A piece as it is sent, plain."""
    return bytes.fromhex(digest_of(data)) + struct.pack("<II", len(data), len(data)) + data


class FakeSlave:
    """Registers, asks for work and hands in whatever the test gives it."""

    def __init__(self, api, name="fake", blender=(3, 4, 1)):
        self.api = api
        info = {
            "host": name,
            "os": "linux x86_64",
            "blender": list(blender),
            "engines": ["CYCLES"],
            "threads": 1,
            "memory_bytes": 1 << 30,
        }
        request = {"protocol": PROTOCOL, "key": f"key-of-{name}", "name": name, "info": info}
        self.id = api.post("api/v1/slaves", request).json()["slave"]
        self.held = []

    def lease(self):
        """The next grant; asks until there is one."""
        for _ in range(10):
            reply = self.api.post(f"api/v1/slaves/{self.id}/poll", {"held": self.held, "want": "now"}).json()
            if reply["grant"]:
                grant = reply["grant"]
                self.held = [{key: grant[key] for key in ("lease", "job", "frames")}]
                return grant
        raise AssertionError("no work came")

    def hand_in(self, job, frame, film, outputs=None):
        """Sends the film's bytes and the result, with files of File Output nodes; the answer, good or bad."""
        digest = self.api.put_blob(film)
        body = {
            "slave": self.id, "job": job, "frame": frame, "film": digest,
            "preview": None, "log": None, "seconds": 1.0,
            "outputs": [
                {"path": path, "digest": self.api.put_blob(content), "bytes": len(content)}
                for path, content in (outputs or {}).items()
            ],
        }  # fmt: skip
        return self.api.call("POST", "api/v1/results", body)

    def leave(self):
        self.api.call("POST", f"api/v1/slaves/{self.id}/leave")
