# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker process in a real Blender and the slave's end of its socket, spoken by hand."""

import json
import os
import socket
import subprocess

from support.blender import PATIENCE_S
from support.paths import ADDON


class Worker:
    """A worker process and our end of its socket."""

    def __init__(self, blender, folder, **environ):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "worker.log"
        self.progress = []
        self._id = 0
        with socket.create_server(("127.0.0.1", 0)) as server, self.log.open("wb") as log:
            server.settimeout(PATIENCE_S)
            address = f"127.0.0.1:{server.getsockname()[1]}"
            env = dict(os.environ, NETRENDER_WORKER_ADDR=address, NETRENDER_WORKER_TOKEN="secret", **environ)
            command = blender.command(ADDON / "worker" / "netrender_worker.py")
            if environ:  # of a user, whom a factory start-up leaves out
                command = [word for word in command if word != "--factory-startup"]
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.PIPE)
            self.socket, _ = server.accept()
        self.socket.settimeout(PATIENCE_S)
        self.lines = self.socket.makefile("rb")
        self.scratch, self._log_begins = folder / "scratch", 0
        self.hello = self.read()["hello"]

    def begin(self, scratch):
        """From now on it writes into this folder, and what it printed before does not count."""
        self.scratch = scratch
        self._log_begins = self.log.stat().st_size

    def printed(self):
        """What it printed since it began."""
        return self.log.read_bytes()[self._log_begins :].decode(errors="replace")

    def read(self):
        return json.loads(self.lines.readline())

    def send(self, op, **fields):
        self._id += 1
        self.socket.sendall(json.dumps({"id": self._id, "op": op, **fields}).encode() + b"\n")

    def answer(self):
        while "progress" in (message := self.read()):
            self.progress.append(message["progress"])
        assert message["id"] == self._id
        return message

    def ask(self, op, **fields):
        self.send(op, **fields)
        return self.answer()

    def load(self, blend, files=None, paths=(), **fields):
        defaults = {
            "source": str(blend),
            "scripts": False,
            "scene": None,
            "engine": None,
            "threads": 0,
            "scratch": str(self.scratch),
            "view_table": None,
        }
        fields = {**defaults, **fields}
        return self.ask("load", blend=str(blend), files=files or {}, paths=list(paths), **fields)

    def render(self, frame, output, share=None):
        """`share`: (offset, samples, total) or, with these names, {"first", "end", "total"} of lines."""
        if isinstance(share, tuple):
            share = {"of": "samples", **dict(zip(("offset", "samples", "total"), share, strict=True))}
        elif share is not None:
            share = {"of": "lines", **share}
        return self.ask("render", frame=frame, output=str(output), share=share)

    def close(self):
        self.lines.close()
        self.socket.close()
        self.process.wait(PATIENCE_S)
        if self.process.stderr:
            self.process.stderr.close()


def sent(told, artist, slave):
    """What a load request says of a traced scene whose folder `artist` lies at `slave` here."""

    def here(path):
        odd = path.translate({0x10DC00 + byte: 0xDC00 + byte for byte in range(0x80, 0x100)})
        return odd.replace(str(artist), str(slave), 1)

    paths = [[here(p["library"]), p["raw"], here(p["path"]), p["found"] > 0] for p in told["paths"]]
    files = {path: here(path) for path in told["files"]}
    return {"source": told["source"], "files": files, "paths": paths}
