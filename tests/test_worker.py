# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker and the tracer in real Blenders, over a real socket; pictures against a cold local render."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ADDON = HERE.parent / "addon" / "netrender_rs"
SMALL = HERE / "scenes" / "small.py"
LINKED = HERE / "scenes" / "linked.py"
PATIENCE_S = 120

# Cold render of one frame by the bpy module, which has no `-f`.
COLD = """
import bpy, sys
blend, out, frame = sys.argv[1:]
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
scene.frame_set(int(frame))
scene.render.filepath = out
bpy.ops.render.render(write_still=True)
"""


def blenders():
    listed = os.environ.get("NETRENDER_TEST_BLENDERS")
    if listed:
        return listed.split(os.pathsep)
    found = [shutil.which("blender")]
    found.append(sys.executable if importlib.util.find_spec("bpy") else None)
    return [b for b in found if b] or [None]


class Blender:
    """An executable that runs scripts: Blender itself, or a Python with `bpy`."""

    def __init__(self, path):
        self.path = path
        self.is_python = "python" in Path(path).name

    def command(self, script, *arguments):
        tail = ["--", *map(str, arguments)] if arguments else []
        if self.is_python:
            return [self.path, str(script), *tail]
        return [self.path, "-b", "-noaudio", "-Y", "--python-exit-code", "1", "--python", str(script), *tail]

    def run(self, script, *arguments):
        done = subprocess.run(
            self.command(script, *arguments), capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def build(self, folder, *wishes):
        """A scene from scenes/small.py; its texture lies in `folder`/textures."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "textures").mkdir(exist_ok=True)
        blend = folder / "small.blend"
        self.run(SMALL, blend, folder / "textures" / "made.png", *wishes)
        return blend

    def render_cold(self, blend, frame, out):
        if self.is_python:
            command = [self.path, "-c", COLD, str(blend), str(out), str(frame)]
        else:
            pattern = out.with_name(out.stem + "_####")
            command = [self.path, "-b", "-noaudio", str(blend), "-o", str(pattern), "-f", str(frame)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if not self.is_python:
            out.with_name(f"{out.stem}_{frame:04}.exr").rename(out)
        return out


class Worker:
    """A worker process and our end of its socket."""

    def __init__(self, blender, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "worker.log"
        self.scratch = folder / "scratch"
        self.progress = []
        self._id = 0
        with socket.create_server(("127.0.0.1", 0)) as server, self.log.open("wb") as log:
            server.settimeout(PATIENCE_S)
            address = f"127.0.0.1:{server.getsockname()[1]}"
            env = dict(os.environ, NETRENDER_WORKER_ADDR=address, NETRENDER_WORKER_TOKEN="secret")
            command = blender.command(ADDON / "worker.py")
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.PIPE)
            self.socket, _ = server.accept()
        self.socket.settimeout(PATIENCE_S)
        self.lines = self.socket.makefile("rb")
        self.hello = self.read()["hello"]

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

    def load(self, blend, paths=None, **fields):
        defaults = {
            "scene": None,
            "engine": None,
            "threads": 0,
            "scratch": str(self.scratch),
            "view_table": None,
        }
        return self.ask("load", blend=str(blend), paths=paths or {}, **{**defaults, **fields})

    def render(self, frame, output):
        return self.ask("render", frame=frame, output=str(output))

    def close(self):
        self.lines.close()
        self.socket.close()
        self.process.wait(PATIENCE_S)
        self.process.stderr.close()


@pytest.fixture(scope="session", params=blenders(), ids=lambda b: Path(b).name if b else "none")
def blender(request):
    if request.param is None:
        message = "No Blender: install one, or set NETRENDER_TEST_BLENDERS."
        pytest.fail(message) if os.environ.get("NETRENDER_TEST_STRICT") == "1" else pytest.skip(message)
    return Blender(request.param)


@pytest.fixture
def worker(blender, tmp_path):
    worker = Worker(blender, tmp_path / "worker")
    yield worker
    worker.close()


def pixels(path):
    """{"part/channel": float array} of every channel."""
    OpenEXR = pytest.importorskip("OpenEXR")
    with OpenEXR.File(str(path), separate_channels=True) as film:
        return {
            f"{part.name()}/{name}": channel.pixels
            for part in film.parts
            for name, channel in part.channels.items()
        }


def assert_same_pixels(film, other):
    ours, theirs = pixels(film), pixels(other)
    assert ours.keys() == theirs.keys()
    assert len(ours) >= 4
    for name, values in ours.items():
        assert values.tobytes() == theirs[name].tobytes(), f"{name} differs"
    assert any(values.max() > values.min() for values in ours.values()), "a blank picture proves nothing"


def test_hello_tells_who_it_is(worker):
    hello = worker.hello
    assert hello["token"] == "secret"
    assert hello["protocol"] == 1
    assert len(hello["blender"]) == 3
    assert hello["blender"] >= [3, 4, 0]
    assert "CYCLES" in hello["engines"]
    assert "NET_RENDER" not in hello["engines"]
    assert "cycles" in hello["build_options"]
    assert {"CPU"} <= {d["type"] for d in hello["devices"]}


def test_warm_frames_equal_cold_local_ones(blender, worker, tmp_path):
    # Given a scene, rendered locally, whose texture then goes to another place
    blend = blender.build(tmp_path / "artist", "file-output")
    cold = {f: blender.render_cold(blend, f, tmp_path / f"cold{f}.exr") for f in (3, 7)}
    shutil.rmtree(tmp_path / "artist" / "artist")
    there = blend.parent / "textures" / "made.png"
    here = tmp_path / "slave" / "textures" / "made.png"
    here.parent.mkdir(parents=True)
    there.rename(here)

    # When a worker loads it with the new place
    table = tmp_path / "view.png"
    loaded = worker.load(blend, {str(there): str(here)}, view_table=str(table))["ok"]

    # Then it tells the film's shape and gives the view transform
    assert (loaded["scene"], loaded["engine"]) == ("Small", "CYCLES")
    assert (loaded["width"], loaded["height"], loaded["missing"]) == (16, 12, [])
    assert loaded["view_table"] == str(table)
    header = table.read_bytes()[:26]
    assert header[16:26] == (65).to_bytes(4, "big") + (65 * 65).to_bytes(4, "big") + bytes([16, 2])

    # And the frames, in any order and again, are those of the artist's machine
    for frame in (7, 3, 3):
        output = tmp_path / "with {braces} #1" / f"{frame}.exr"
        done = worker.render(frame, output)["ok"]
        assert (done["frame"], done["output"]) == (frame, str(output))
        assert_same_pixels(output, cold[frame])
        assert [p.name for p in output.parent.iterdir() if p.name.endswith(".part")] == []

    # And the artist's own folders stay untouched; the File Output node wrote into scratch
    assert not (tmp_path / "artist" / "artist").exists()
    assert [p for p in worker.scratch.rglob("*") if p.is_file()]


def test_an_answer_marks_its_end_in_the_log(blender, worker, tmp_path):
    blend = blender.build(tmp_path / "artist")
    worker.load(blend)
    worker.render(1, tmp_path / "1.exr")
    assert worker.ask("quit")["ok"] == {}
    assert worker.process.wait(PATIENCE_S) == 0
    parts = worker.log.read_text(errors="replace").split("\x1enetrender-end ")
    assert [p.partition("\n")[0] for p in parts[1:]] == ["1", "2", "3"]
    assert "Saved" in parts[1]
    assert worker.process.stderr.read() == b"", "stderr must be one stream with stdout"


def test_size_with_crop_to_border(blender, worker, tmp_path):
    blend = blender.build(tmp_path / "artist")
    script = tmp_path / "crop.py"
    script.write_text(
        "import bpy, sys\n"
        "blend = sys.argv[-1]\n"
        "bpy.ops.wm.open_mainfile(filepath=blend)\n"
        "r = bpy.context.scene.render\n"
        "r.resolution_x, r.resolution_y, r.resolution_percentage = 61, 47, 73\n"
        "r.use_border = r.use_crop_to_border = True\n"
        "r.border_min_x, r.border_max_x, r.border_min_y, r.border_max_y = 0.21, 0.7, 0.1, 0.83\n"
        "bpy.ops.wm.save_mainfile()\n"
    )
    blender.run(script, blend)
    loaded = worker.load(blend)["ok"]
    worker.render(1, tmp_path / "1.exr")
    height, width = next(iter(pixels(tmp_path / "1.exr").values())).shape
    assert (loaded["width"], loaded["height"]) == (width, height)


@pytest.mark.parametrize(
    ("fields", "kind", "named"),
    [
        ({"scene": "Nowhere"}, "missing_scene", "Nowhere"),
        ({"engine": "NO_SUCH_ENGINE"}, "missing_engine", "NO_SUCH_ENGINE"),
    ],
)
def test_what_is_not_there_is_named(blender, worker, tmp_path, fields, kind, named):
    blend = blender.build(tmp_path / "artist")
    error = worker.load(blend, **fields)["error"]
    assert error["kind"] == kind
    assert named in error["message"]
    # and the process goes on
    assert "ok" in worker.load(blend)


def test_no_camera(blender, worker, tmp_path):
    error = worker.load(blender.build(tmp_path / "artist", "no-camera"))["error"]
    assert error["kind"] == "no_camera"
    assert "Small" in error["message"]


def test_a_mapped_file_that_is_not_here(blender, worker, tmp_path):
    blend = blender.build(tmp_path / "artist")
    gone = tmp_path / "slave" / "made.png"
    error = worker.load(blend, {str(blend.parent / "textures" / "made.png"): str(gone)})["error"]
    assert error["kind"] == "missing_file"
    assert str(gone) in error["message"]


def test_garbage_is_refused_and_the_process_goes_on(blender, worker, tmp_path):
    garbage = tmp_path / "garbage.blend"
    garbage.write_bytes(b"BLENDER-v304" + os.urandom(4096))
    error = worker.load(garbage)["error"]
    assert error["kind"] == "cannot_open"
    assert str(garbage) in error["message"]
    assert worker.render(1, tmp_path / "1.exr")["error"]["kind"] == "not_loaded"
    assert worker.load(tmp_path / "none.blend")["error"]["kind"] == "missing_file"
    worker.socket.sendall(b"no json\n")
    assert worker.read()["error"]["kind"] == "bad_request"
    assert worker.ask("dance")["error"]["kind"] == "bad_request"
    assert "ok" in worker.load(blender.build(tmp_path / "artist"))


def test_a_missing_denoiser_fails_the_frame_and_says_why(blender, worker, tmp_path):
    worker.load(blender.build(tmp_path / "artist", "denoise"))
    answer = worker.render(1, tmp_path / "1.exr")
    if "ok" in answer:  # this Blender has OpenImageDenoise
        assert (tmp_path / "1.exr").exists()
        assert worker.hello["blender"] >= [4, 0, 0]
        return
    assert answer["error"]["kind"] == "render_failed"
    assert "OpenImageDenoise" in answer["error"]["message"] + worker.log.read_text(errors="replace")
    assert not (tmp_path / "1.exr").exists()


def test_linked_scene_of_absolute_paths_moves_whole(blender, worker, tmp_path):
    """Nested libraries, UDIM tiles and a scene that is not the active one, each by an absolute path."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    for folder in ("sets", "props", "textures"):
        (artist / folder).mkdir(parents=True)
    blender.run(LINKED, artist)
    shot = artist / "shot.blend"
    out = tmp_path / "trace.json"
    blender.run(ADDON / "trace.py", shot, out, "--scene", "Shot")
    told = json.loads(out.read_text())
    assert {Path(f).name for f in told["files"]} == {
        "set.blend",
        "prop.blend",
        "wood.1001.png",
        "wood.1002.png",
    }
    cold = blender.render_cold(shot, 2, tmp_path / "cold.exr")

    artist.rename(slave)
    paths = {f: f.replace(str(artist), str(slave)) for f in told["files"]}
    assert worker.load(slave / "shot.blend", paths, scene="Shot")["ok"]["missing"] == []
    output = tmp_path / "2.exr"
    assert "ok" in worker.render(2, output)
    assert_same_pixels(output, cold)


def test_a_closed_socket_ends_a_long_render(blender, worker, tmp_path):
    worker.load(blender.build(tmp_path / "artist", "long"))
    worker.send("render", frame=1, output=str(tmp_path / "1.exr"))
    part = tmp_path / "1.exr.part"
    until = time.monotonic() + PATIENCE_S
    while not part.exists():  # the render has begun
        assert time.monotonic() < until
        os.sched_yield()
    worker.socket.shutdown(socket.SHUT_RDWR)
    began = time.monotonic()
    worker.process.wait(PATIENCE_S)
    assert time.monotonic() - began < 1
    assert not (tmp_path / "1.exr").exists()


def test_trace_describes_a_file(blender, tmp_path):
    blend = blender.build(tmp_path / "artist")
    out = tmp_path / "trace.json"
    blender.run(ADDON / "trace.py", blend, out, "--scene", "Small")
    told = json.loads(out.read_text())
    assert told["source"] == str(blend)
    assert (told["scene"], told["scenes"], told["engine"]) == ("Small", ["Small"], "CYCLES")
    assert (told["frames"], told["width"], told["height"]) == ("1-10x2", 16, 12)
    assert (told["has_camera"], told["denoise"]) == (True, False)
    assert told["files"] == [str(blend.parent / "textures" / "made.png")]
    assert (told["missing"], told["unsaved_images"], told["warnings"]) == ([], [], [])


def test_trace_names_missing_files_and_bad_ones(blender, tmp_path):
    blend = blender.build(tmp_path / "artist", "no-camera", "denoise")
    texture = blend.parent / "textures" / "made.png"
    texture.unlink()
    out = tmp_path / "trace.json"
    blender.run(ADDON / "trace.py", blend, out)
    told = json.loads(out.read_text())
    assert told["missing"] == [{"path": str(texture), "kind": "image", "user": "made.png"}]
    assert (told["files"], told["has_camera"], told["denoise"]) == ([], False, True)

    blender.run(ADDON / "trace.py", SMALL, out)
    error = json.loads(out.read_text())["error"]
    assert error["kind"] == "cannot_open"
    assert str(SMALL) in error["message"]
