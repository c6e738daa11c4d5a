#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender that is none, for chaos: it answers the tracer's question and speaks the worker's protocol 5.

Its "scenes" are one line of JSON and noise. Its films are multilayer EXRs that follow from the bytes of all files of
the job and the frame alone, so whoever has those can say what each film must be. Some frames go wrong at the first
attempt, as their job's bytes want it: the process crashes, hangs, or writes half a picture. Standard library only.

In the environment: CHAOS_LEDGER, a folder where each scene that is loaded leaves a line, each render one when it begins
and one when it ends, and where first attempts are remembered.
"""

import contextlib
import hashlib
import json
import os
import random
import select
import shutil
import socket
import struct
import sys
import threading
from pathlib import Path

FAKE = str(Path(__file__).resolve())
VERSION = [4, 2, 0]
ENGINE = "CYCLES"
WIDTH, HEIGHT = 32, 18
CHANNELS = "ABGR"
HANG_S = 3.0
BAKED = b" with caches"


# ---------------------------------------------------------------------------------------------------- scenes and films


def scene(frames, seed, texture, noise_bytes, seconds=0.0):
    """A scene file's bytes. `texture`: the name and the bytes of a file beside it. `seconds`: how long each frame takes
    beyond the usual; none of them goes wrong then."""
    name, content = texture
    digest = hashlib.sha256(content).hexdigest()
    head = {"frames": frames, "texture": name, "digest": digest, "seconds": seconds}
    return json.dumps(head).encode() + b"\n" + random.Random(seed).randbytes(noise_bytes)


def head_of(blend):
    return json.loads(blend.split(b"\n", 1)[0])


def look_of(blend, texture):
    """What all films of a job follow from."""
    return hashlib.sha256(hashlib.sha256(blend).digest() + hashlib.sha256(texture).digest()).hexdigest()


def attribute(name, kind, value):
    return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value


def film(look, frame):
    """A multilayer EXR, half floats, uncompressed (https://openexr.com/en/latest/OpenEXRFileLayout.html)."""
    channels = b"".join(
        f"ViewLayer.Combined.{name}\0".encode() + struct.pack("<iB3xii", 1, 0, 1, 1) for name in CHANNELS
    )
    window = struct.pack("<4i", 0, 0, WIDTH - 1, HEIGHT - 1)
    header = struct.pack("<4sI", bytes.fromhex("762f3101"), 2) + b"".join(
        (
            attribute("channels", "chlist", channels + b"\0"),
            attribute("compression", "compression", b"\0"),
            attribute("dataWindow", "box2i", window),
            attribute("displayWindow", "box2i", window),
            attribute("lineOrder", "lineOrder", b"\0"),
            attribute("pixelAspectRatio", "float", struct.pack("<f", 1)),
            attribute("screenWindowCenter", "v2f", bytes(8)),
            attribute("screenWindowWidth", "float", struct.pack("<f", 1)),
            b"\0",
        )
    )
    row = 2 * WIDTH * len(CHANNELS)
    # With this mask every half is a number from 0 to below 1.
    bits = int.from_bytes(random.Random(f"{look} {frame}").randbytes(row * HEIGHT), "little")
    pixels = (bits & int.from_bytes(b"\xff\x3b" * (row * HEIGHT // 2), "little")).to_bytes(
        row * HEIGHT, "little"
    )
    first = len(header) + 8 * HEIGHT
    table = b"".join(struct.pack("<Q", first + line * (8 + row)) for line in range(HEIGHT))
    lines = (struct.pack("<ii", y, row) + pixels[y * row : (y + 1) * row] for y in range(HEIGHT))
    return header + table + b"".join(lines)


def rest(seconds):
    """time.sleep fails with libfaketime in the process."""
    select.select([], [], [], seconds)


def trick_of(look, frame):
    """(what goes wrong at the first attempt or "", seconds a render takes)."""
    chance = random.Random(f"trick {look} {frame}")
    trick = chance.choices(["", "crash", "hang", "broken"], [970, 10, 10, 10])[0]
    return trick, chance.uniform(0.01, 0.1)


# -------------------------------------------------------------------------------------------------------------- ledger


class Ledger:
    """What was rendered, by whom and how it ended; outlives every process of the farm."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.renders = self.folder / "renders"

    def write(self, *words):
        # One small write at the end of a file is not torn by another process's.
        with self.renders.open("ab", buffering=0) as file:
            file.write(" ".join(map(str, words)).encode() + b"\n")

    def is_first(self, look, frame):
        with contextlib.suppress(FileExistsError):
            (self.folder / f"{look}-{frame}").touch(exist_ok=False)
            return True
        return False

    def read(self):
        return (
            [line.split() for line in self.renders.read_text().splitlines()] if self.renders.exists() else []
        )


# -------------------------------------------------------------------------------------------------------------- tracer


def trace(blend, answer, *options):
    source = options[options.index("--source") + 1] if "--source" in options else str(Path(blend).absolute())
    head = head_of(Path(blend).read_bytes())
    texture = Path(source).parent / head["texture"]
    found = texture.is_file()
    use = {
        "library": "",
        "raw": f"//{head['texture']}",
        "path": str(texture),
        "kind": "image",
        "user": "wood",
    }
    description = {
        "blender": VERSION[:2],
        "source": source,
        "scene": "Scene",
        "engine": ENGINE,
        "frames": head["frames"],
        "width": WIDTH,
        "height": HEIGHT,
        "has_camera": True,
        "paths": [{**use, "found": int(found)}],
        "files": [str(texture)] if found else [],
        "missing": [] if found else [{"path": str(texture)}],
    }
    Path(answer).write_text(json.dumps(description))


# -------------------------------------------------------------------------------------------------------------- worker


class Refused(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Worker:
    def __init__(self):
        host, port = os.environ["NETRENDER_WORKER_ADDR"].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.ledger = Ledger(os.environ["CHAOS_LEDGER"])
        self.look = None
        self.seconds = 0.0
        self.send(
            hello={
                "token": os.environ["NETRENDER_WORKER_TOKEN"],
                "protocol": 5,
                "pid": os.getpid(),
                "blender": VERSION,
                "build_hash": "chaos",
                "build_options": [],
                "engines": [ENGINE],
                "devices": [{"type": "CPU", "name": "CPU"}],
            }
        )

    def send(self, **message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def serve(self):
        lines = self.socket.makefile("rb")
        requests = []
        there = threading.Condition()

        def read():
            with contextlib.suppress(OSError):
                for line in lines:
                    with there:
                        requests.append(json.loads(line))
                        there.notify()
            os._exit(1)  # nobody is left to render for

        threading.Thread(target=read, daemon=True).start()
        while True:
            with there:
                there.wait_for(lambda: requests)
                request = requests.pop(0)
            number, op = request.pop("id"), request.pop("op")
            try:
                answer = {"ok": getattr(self, op)(**request)}
            except Refused as refused:
                answer = {"error": {"kind": refused.kind, "message": str(refused)}}
            os.write(1, b"\x1enetrender-end %d\n" % number)
            self.send(id=number, **answer)
            if op == "quit":
                os._exit(0)

    def load(self, blend, files, threads=0, **_):
        self.look = None
        scene = Path(blend).read_bytes()
        try:
            head = head_of(scene)
        except ValueError:
            raise Refused("cannot_open", f"{blend} is no scene") from None
        place = next((here for path, here in files.items() if Path(path).name == head["texture"]), None)
        if place is None or not Path(place).is_file():
            raise Refused("missing_file", f"{head['texture']} is not there")
        # Whatever the bytes are, they decide how the films look: a wrong texture is seen in the end.
        self.look = look_of(scene, Path(place).read_bytes())
        self.seconds = head["seconds"]
        self.ledger.write("loaded", self.look, os.getpid(), threads)
        print("Read a scene", flush=True)
        return {"scene": "Scene", "engine": ENGINE, "width": WIDTH, "height": HEIGHT, "view_table": None}

    def bake(self, blend, until, output, **_):
        """Saves the scene with another content, as if there were caches in it."""
        scene = Path(blend).read_bytes()
        seconds = head_of(scene)["seconds"]
        self.ledger.write("bakes", os.getpid())
        if seconds < 0:
            raise Refused("bake_failed", "this scene can't be baked")
        for second in range(int(10 * seconds)):
            self.send(progress={"frame": until, "text": f"frame {second} of {10 * seconds:.0f}"})
            rest(0.1)
        Path(output).write_bytes(scene + BAKED)
        self.ledger.write("baked", os.getpid())
        return {"seconds": seconds, "output": output}

    def render(self, frame, output, share=None, play=False):
        if self.look is None:
            raise Refused("not_loaded", "there is no scene")
        trick, seconds = trick_of(self.look, frame)
        if trick and (self.seconds or not self.ledger.is_first(self.look, frame)):
            trick = ""
        self.ledger.write("began", self.look, frame, os.getpid(), trick or "-")
        self.send(progress={"frame": frame, "text": "Sample 1/1"})
        part = Path(
            f"{output}.part"
        )  # a folder, as the real worker has it: what is under the film's own name is whole
        try:
            part.mkdir(exist_ok=True)
            for second in range(int(self.seconds)):
                self.send(progress={"frame": frame, "text": f"Sample {second}/{self.seconds:.0f}"})
                print(f"Frame {frame}, second {second}", flush=True)
                rest(1.0)
            rest(seconds + (HANG_S if trick == "hang" else 0))
            if trick == "crash":
                os.abort()
            data = film(self.look, frame)
            (part / "film").write_bytes(data[: len(data) // 2] if trick == "broken" else data)
            (part / "film").replace(output)
        except OSError as error:
            self.ledger.write("ended", self.look, frame, os.getpid(), "unwritten")
            raise Refused("render_failed", f"{output}: {error}") from None
        finally:
            shutil.rmtree(part, ignore_errors=True)
        print(f"Saved {output}", flush=True)
        self.ledger.write("ended", self.look, frame, os.getpid(), trick or "-")
        return {"frame": frame, "seconds": seconds, "output": output}

    def quit(self):
        return {}


class FakeBlender:
    """This program as the Blender of a farm of tests, with a ledger of what it rendered."""

    def __init__(self, folder, farm):
        self.path, self.version = Path(FAKE), tuple(VERSION)
        farm.environ["CHAOS_LEDGER"] = str(folder / "ledger")
        (folder / "ledger").mkdir()
        self.ledger = Ledger(folder / "ledger")

    def build(self, blend, frames, seconds=0.0, noise_bytes=10_000):
        blend.parent.mkdir(exist_ok=True)
        (blend.parent / "wood.png").write_bytes(b"wood")
        blend.write_bytes(scene(frames, blend.name, ("wood.png", b"wood"), noise_bytes, seconds))
        return blend

    def renders(self):
        return sum(row[0] == "began" for row in self.ledger.read())


def main(words):
    script = Path(words[words.index("--python") + 1]).name
    if script == "netrender_trace.py":
        trace(*words[words.index("--") + 1 :])
    else:
        Worker().serve()


if __name__ == "__main__":
    main(sys.argv[1:])
