# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker and the tracer in real Blenders, over a real socket; pictures against a cold local render."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ADDON = HERE.parent / "addon" / "netrender_rs"
SMALL = HERE / "scenes" / "small.py"
LINKED = HERE / "scenes" / "linked.py"
ONE = HERE / "scenes" / "paths_one.py"
RARE = HERE / "scenes" / "paths_rare.py"
PATIENCE_S = 120

# Cold render of one frame by the bpy module, which has no `-f`.
COLD = """
import bpy, sys
blend, out, frame, scripts = sys.argv[1:]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=scripts == "yes")
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
            self.command(script, *arguments),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, folder, *wishes):
        """A scene from scenes/small.py; its texture lies in `folder`/textures."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "textures").mkdir(exist_ok=True)
        blend = folder / "small.blend"
        self.run(SMALL, blend, folder / "textures" / "made.png", *wishes)
        return blend

    def build_one(self, folder, raw=None, *wishes, picture="made.png"):
        """A scene from scenes/paths_one.py; its picture lies in `folder`/textures."""
        folder.mkdir(parents=True, exist_ok=True)
        blend, picture = folder / "one.blend", folder / "textures" / picture
        self.run(ONE, blend, picture, raw or picture, *wishes)
        return blend

    def trace(self, blend, *options):
        """What the tracer tells."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "trace.json"
            self.run(ADDON / "trace" / "netrender_trace.py", blend, out, *options)
            return json.loads(out.read_bytes())

    def render_cold(self, blend, frame, out, scripts=False):
        if self.is_python:
            command = [self.path, "-c", COLD, str(blend), str(out), str(frame), "yes" if scripts else "no"]
        else:
            pattern = out.with_name(out.stem + "_####")
            command = [self.path, "-b", "-noaudio", "-y" if scripts else "-Y", str(blend)]
            command += ["-o", str(pattern), "-f", str(frame)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False
        )
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
            command = blender.command(ADDON / "worker" / "netrender_worker.py")
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
        self.process.stderr.close()


def sent(told, artist, slave):
    """What a load request says of a traced scene whose folder `artist` lies at `slave` here."""

    def here(path):
        odd = path.translate({0x10DC00 + byte: 0xDC00 + byte for byte in range(0x80, 0x100)})
        return odd.replace(str(artist), str(slave), 1)

    paths = [[here(p["library"]), p["raw"], here(p["path"]), p["found"] > 0] for p in told["paths"]]
    files = {path: here(path) for path in told["files"]}
    return {"source": told["source"], "files": files, "paths": paths}


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


@pytest.fixture(scope="module")
def lasting_worker(blender, tmp_path_factory):
    """For requests that change nothing."""
    folder = tmp_path_factory.mktemp("lasting")
    worker = Worker(blender, folder / "worker")
    worker.load(blender.build(folder / "artist"))
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
    assert hello["protocol"] == 5
    assert len(hello["blender"]) == 3
    assert hello["blender"] >= [3, 4, 0]
    assert "CYCLES" in hello["engines"]
    assert "NET_RENDER" not in hello["engines"]
    assert "cycles" in hello["build_options"]
    assert {"CPU"} <= {d["type"] for d in hello["devices"]}


def test_a_scene_is_rendered_with_the_device_of_the_slave(blender, worker, tmp_path):
    # Given a scene whose artist rendered with a GPU
    blend = blender.build(tmp_path / "artist", "gpu")
    cold = blender.render_cold(blend, 3, tmp_path / "cold.exr")
    refused = worker.load(blend, device="CUDA")["error"]
    assert refused["kind"] == "no_device"
    assert "no CUDA device" in refused["message"]
    assert "It has: CPU" in refused["message"]
    refused = worker.load(blend, device="METAL")["error"]
    assert refused["kind"] == "no_device", "that Blender was not even built for"
    # Then the CPU renders it all the same
    assert "ok" in worker.load(blend, device="CPU")
    assert "ok" in worker.render(3, tmp_path / "film.exr")
    assert_same_pixels(tmp_path / "film.exr", cold)


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
    assert (loaded["width"], loaded["height"]) == (16, 12)
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


@pytest.mark.parametrize("loop", [False, True], ids=["nested", "loop"])
def test_linked_scene_of_absolute_paths_moves_whole(blender, worker, tmp_path, loop):
    """Nested libraries, UDIM tiles and a scene that is not the active one, each by an absolute path; with `loop`
    the libraries link each other and one links itself."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    for folder in ("sets", "props", "textures"):
        (artist / folder).mkdir(parents=True)
    blender.run(LINKED, artist, *(["loop"] if loop else []))
    shot = artist / "shot.blend"
    told = blender.trace(shot, "--scene", "Shot")
    assert {Path(f).name for f in told["files"]} == {
        "set.blend",
        "prop.blend",
        "wood.1001.png",
        "wood.1002.png",
    }
    cold = blender.render_cold(shot, 2, tmp_path / "cold.exr")

    artist.rename(slave)
    fields = sent(told, artist, slave)
    assert "ok" in worker.load(slave / "shot.blend", scene="Shot", **fields)
    output = tmp_path / "2.exr"
    assert "ok" in worker.render(2, output)
    assert_same_pixels(output, cold)


@pytest.mark.parametrize("loop", [False, True], ids=["nested", "loop"])
def test_relative_libraries_from_a_copy(blender, worker, tmp_path, loop):
    """Nested libraries by relative paths; with `loop` they link each other and one links itself."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    for folder in ("sets", "props", "textures"):
        (artist / folder).mkdir(parents=True)
    blender.run(LINKED, artist, "relative", *(["loop"] if loop else []))
    shot = artist / "shot.blend"
    in_place = blender.trace(shot)

    # When it is traced from a copy in some temporary folder
    copy = tmp_path / "deep" / "down" / "copy.blend"
    copy.parent.mkdir(parents=True)
    shutil.copy(shot, copy)
    told = blender.trace(copy, "--source", shot)

    # Then nothing is different, even what Blender calls each path
    assert told == in_place
    assert told["missing"] == []
    names = {Path(f).name for f in told["files"]}
    assert names == {"set.blend", "prop.blend", "wood.1001.png", "wood.1002.png"}
    library, raw = str(artist / "props" / "prop.blend"), "//../textures/wood.<UDIM>.png"
    wood = next(p for p in told["paths"] if p["kind"] == "image")
    assert (wood["library"], wood["raw"], wood["found"]) == (library, raw, 2)
    assert wood["path"] == str(artist / "textures" / "wood.<UDIM>.png")

    # And it renders elsewhere as it does here
    cold = blender.render_cold(shot, 2, tmp_path / "cold.exr")
    artist.rename(slave)
    assert "ok" in worker.load(slave / "shot.blend", scene="Shot", **sent(told, artist, slave))
    assert "ok" in worker.render(2, tmp_path / "2.exr")
    assert_same_pixels(tmp_path / "2.exr", cold)


def test_libraries_need_not_lie_as_they_did(blender, worker, tmp_path):
    """Relative paths between files that lie in other folders here than on the artist's machine."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    for folder in ("sets", "props", "textures"):
        (artist / folder).mkdir(parents=True)
    blender.run(LINKED, artist, "relative")
    shot = artist / "shot.blend"
    told = blender.trace(shot)
    cold = blender.render_cold(shot, 1, tmp_path / "cold.exr")
    fields = sent(told, artist, slave)
    for number, name in enumerate(("sets", "props", "textures")):
        old, new = f"{slave}/{name}/", f"{slave}/{number}/deep/"
        fields["files"] = {key: path.replace(old, new) for key, path in fields["files"].items()}
        fields["paths"] = [
            [library.replace(old, new), raw, path.replace(old, new), must]
            for library, raw, path, must in fields["paths"]
        ]
    for path, here in fields["files"].items():
        Path(here).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, here)
    (slave / "main").mkdir()
    shot.rename(slave / "main" / "shot.blend")
    shutil.rmtree(artist)
    assert "ok" in worker.load(slave / "main" / "shot.blend", scene="Shot", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    assert_same_pixels(tmp_path / "1.exr", cold)


def test_a_sequence_and_caches_from_a_copy(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    raw = "//textures/made.0001.png"
    blend = blender.build_one(
        artist, raw, "sequence", "extra=//notes", "extra=//gone.txt", "extra=//one.ocio"
    )
    cache = artist / "blendcache_one" / "deep"
    cache.mkdir(parents=True)
    (cache / "cloth_000001_00.bphys").write_bytes(b"cloth")
    (artist / "notes").mkdir()
    (artist / "notes" / "a.txt").write_text("by hand")
    (artist / "notes" / "again").symlink_to(artist / "notes")
    (artist / "one.ocio").write_text("by hand")
    copy = tmp_path / "copy" / "other name.blend"
    copy.parent.mkdir()
    shutil.copy(blend, copy)

    told = blender.trace(copy, "--source", blend)
    assert told == blender.trace(blend)
    frames = [artist / "textures" / f"made.000{n}.png" for n in (1, 2, 3)]
    by_hand = [artist / "notes" / "a.txt", artist / "one.ocio"]
    cached = cache / "cloth_000001_00.bphys"
    assert told["files"] == sorted(map(str, [*frames, *by_hand, cached]))
    gone = {"path": str(artist / "gone.txt"), "kind": "added by hand", "user": "First"}
    assert told["missing"] == [{**gone, "why": "No such file or directory"}]
    assert [(p["raw"], p["found"]) for p in told["paths"]] == [(raw, 3)]

    cold = blender.render_cold(blend, 2, tmp_path / "cold.exr")
    artist.rename(slave)
    assert "ok" in worker.load(slave / "one.blend", **sent(told, artist, slave))
    assert "ok" in worker.render(2, tmp_path / "2.exr")
    assert_same_pixels(tmp_path / "2.exr", cold)


def test_backslashes_in_a_relative_path(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures\\made.png")
    told = blender.trace(blend)
    assert told["files"] == [str(artist / "textures" / "made.png")]
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    artist.rename(slave)
    fields = sent(told, artist, slave)
    fields["paths"][0][1] = "//textures\\made.png"  # as Blender on Windows has it
    (slave / "textures").rename(slave / "elsewhere")
    fields["paths"][0][2] = str(slave / "elsewhere" / "made.png")
    fields["files"] = dict.fromkeys(fields["files"], fields["paths"][0][2])
    assert "ok" in worker.load(slave / "one.blend", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    assert_same_pixels(tmp_path / "1.exr", cold)


@pytest.mark.skipif(os.sep != "/", reason="there it is a path like any other")
@pytest.mark.parametrize("exactly", [True, False], ids=["as told", "by the artist's path"])
def test_windows_paths_mean_what_they_say(blender, worker, tmp_path, exactly):
    """`C:\\proj\\a.png` is neither `/proj/a.png` nor `/c/proj/a.png`."""
    blend = blender.build_one(tmp_path / "artist")
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    raw = "C:\\proj\\tex\\a.png"
    blend = blender.build_one(tmp_path / "windows", raw)
    told = blender.trace(blend)
    missing = {"path": raw, "kind": "image", "user": "made.png"}
    assert told["missing"] == [{**missing, "why": "a Windows path, and this is not Windows"}]
    assert [(p["path"], p["found"]) for p in told["paths"]] == [(raw, 0)]

    here, wrong = tmp_path / "slave" / "a.png", tmp_path / "slave" / "wrong.png"
    here.parent.mkdir()
    shutil.copy(blend.parent / "textures" / "made.png", here)
    wrong.write_bytes(b"not this one")
    files = {"/proj/tex/a.png": str(wrong), "/c/proj/tex/a.png": str(wrong)}
    paths = [["", "/proj/tex/a.png", str(wrong), True], ["", "/c/proj/tex/a.png", str(wrong), True]]
    if exactly:
        paths.append(["", raw, str(here), True])
    else:
        files["c:/Proj/tex/A.png"] = str(here)
    source = "C:\\proj\\one.blend"
    assert "ok" in worker.load(blend, files, paths, source=source)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    assert_same_pixels(tmp_path / "1.exr", cold)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_name_that_is_not_utf8(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures/m\udcffde.png", picture="m\udcffde.png")
    told = blender.trace(blend)
    assert told["files"] == [f"{artist}/textures/m\U0010dcffde.png"]
    assert [(p["raw"], p["found"]) for p in told["paths"]] == [("//textures/m\U0010dcffde.png", 1)]
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    artist.rename(slave)
    (slave / "textures").rename(slave / "elsewhere")
    here = str(slave / "elsewhere" / "m\udcffde.png")
    fields = sent(told, artist, slave)
    fields["files"] = dict.fromkeys(fields["files"], here)
    fields["paths"][0][2] = here
    assert "ok" in worker.load(slave / "one.blend", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    assert_same_pixels(tmp_path / "1.exr", cold)


def test_the_rarer_kinds_of_files(blender, worker, tmp_path):
    """Each is found, and re-pointed when the .blend no longer lies beside them; load refuses otherwise."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    artist.mkdir()
    said = blender.run(RARE, artist)
    made = sorted(line.partition(" ")[2] for line in said.splitlines() if line.startswith("MADE "))
    assert len(made) >= 10
    told = blender.trace(artist / "rare.blend")
    assert told["files"] == [f"{artist}/{path}" for path in made]
    assert (told["missing"], told["warnings"]) == ([], [])
    # Two are neighbours of a file that a path names: the compiled shader, the second frame
    assert sum(p["found"] for p in told["paths"]) == len(made) - 1

    (slave / "main").mkdir(parents=True)
    artist.rename(slave / "files")
    (slave / "files" / "rare.blend").rename(slave / "main" / "rare.blend")
    fields = sent(told, artist, slave / "files")
    assert "ok" in worker.load(slave / "main" / "rare.blend", **fields)


def test_a_folder_of_very_many_files(blender, tmp_path):
    blend = blender.build_one(tmp_path / "artist", None, "extra=//many")
    many = blend.parent / "many"
    many.mkdir()
    for number in range(100_000):
        (many / f"{number}.txt").touch()
    began = time.monotonic()
    told = blender.trace(blend)
    assert len(told["files"]) == 100_001
    assert time.monotonic() - began < 20
    shutil.rmtree(many)


@pytest.mark.skipif(os.sep != "/", reason="links need rights there")
def test_a_loop_of_links_is_missing_and_says_why(blender, tmp_path):
    blend = blender.build_one(tmp_path / "artist")
    texture = blend.parent / "textures" / "made.png"
    texture.unlink()
    texture.symlink_to(texture)
    told = blender.trace(blend)
    assert told["files"] == []
    assert [(m["path"], m["why"]) for m in told["missing"]] == [
        (str(texture), "Too many levels of symbolic links")
    ]


def test_a_file_that_vanished_is_named_before_rendering(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures/made.png")
    told = blender.trace(blend)
    artist.rename(slave)
    (slave / "textures" / "made.png").unlink()
    fields = sent(told, artist, slave)
    error = worker.load(slave / "one.blend", **fields)["error"]
    assert error["kind"] == "missing_file"
    for named in ("//textures/made.png", f"{artist}/textures/made.png", "Image 'made.png'", "Send the job"):
        assert named in error["message"]
    assert worker.render(1, tmp_path / "1.exr")["error"]["kind"] == "not_loaded"

    # One that the artist had not either is let be
    fields["paths"][0][3] = False
    assert "ok" in worker.load(slave / "one.blend", source=fields["source"], paths=fields["paths"])


def test_stereo_pictures_come_along(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures/made_L.png", "stereo")
    told = blender.trace(blend)
    assert [Path(f).name for f in told["files"]] == ["made_L.png", "made_R.png"]
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    artist.rename(slave)
    (slave / "textures").rename(slave / "elsewhere")
    fields = sent(told, artist, slave / "elsewhere")
    fields["files"] = {key: path.replace("/textures", "") for key, path in fields["files"].items()}
    fields["paths"][0][2] = fields["paths"][0][2].replace("/textures", "")
    assert "ok" in worker.load(slave / "one.blend", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    assert_same_pixels(tmp_path / "1.exr", cold)


def test_scripts_run_only_when_asked(blender, worker, tmp_path):
    plain = blender.build_one(tmp_path / "plain")
    blend = blender.build_one(tmp_path / "artist", None, "driver", "module")
    told = blender.trace(blend)
    assert len(told["scripts"]) == 2
    assert "Object 'Cube': the driver of location" in told["scripts"][0]
    assert "on_load.py" in told["scripts"][1]
    still = blender.render_cold(plain, 1, tmp_path / "still.exr")
    moved = blender.render_cold(blend, 1, tmp_path / "moved.exr", scripts=True)
    for scripts, cold in ((False, still), (True, moved), (False, still)):
        assert "ok" in worker.load(blend, scripts=scripts)
        assert "ok" in worker.render(1, tmp_path / "1.exr")
        assert_same_pixels(tmp_path / "1.exr", cold)
    assert [v.tobytes() for v in pixels(still).values()] != [v.tobytes() for v in pixels(moved).values()]


def test_the_scene_asked_for(blender, worker, tmp_path):
    blend = blender.build_one(tmp_path / "artist", None, "second")
    loaded = worker.load(blend, scene="Second")["ok"]
    assert (loaded["scene"], loaded["width"]) == ("Second", 20)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    assert next(iter(pixels(tmp_path / "1.exr").values())).shape == (12, 20)


@pytest.mark.parametrize("wishes", [("layers",), ("layers", "single"), ("markers",)], ids="+".join)
def test_layers_and_cameras_as_in_a_local_render(blender, worker, tmp_path, wishes):
    blend = blender.build_one(tmp_path / "artist", None, *wishes)
    assert "ok" in worker.load(blend)
    films = []
    for frame in (1, 6):
        cold = blender.render_cold(blend, frame, tmp_path / f"cold{frame}.exr")
        film = tmp_path / f"{frame}.exr"
        assert "ok" in worker.render(frame, film)
        assert_same_pixels(film, cold)
        films.append(pixels(film))
    first, second = ([v.tobytes() for v in film.values()] for film in films)
    assert (first != second) == ("markers" in wishes)


def mean_of(parts):
    """The pictures that films of some samples of one frame make together: {name: array}.

    `parts` are (film, {view layer: its samples in that film}).
    """
    films = [(pixels(path), samples) for path, samples in parts]

    def samples_of(name, samples):
        return next(number for layer, number in samples.items() if f"{layer}." in name)

    return {
        name: sum(film[name].astype("f8") * samples_of(name, samples) for film, samples in films)
        / sum(samples_of(name, samples) for _, samples in films)
        for name in films[0][0]
        if "Combined" in name
    }


@pytest.mark.parametrize("wishes", [(), ("layers",)], ids=["one layer", "two layers"])
def test_shares_make_the_frame_and_leave_no_trace(blender, worker, tmp_path, record_property, wishes):
    # Given two frames of 64 samples (of a second view layer: 40), rendered whole and composited
    worker.load(blender.build(tmp_path / "artist", "file-output", "many", *wishes))

    def render(name, frame, share=None):
        film = tmp_path / f"{name}.exr"
        done = worker.render(frame, film, share)["ok"]
        assert (done["frame"], done["output"]) == (frame, str(film))
        return film

    def written():
        return {path: path.stat().st_mtime_ns for path in worker.scratch.rglob("*") if path.is_file()}

    whole = {frame: render(f"whole{frame}", frame) for frame in (3, 7)}
    composited = written()
    assert composited

    # When one is rendered in shares, with some of the other in between
    first = render("first", 3, (0, 25, 64))
    second = render("second", 3, (25, 39, 64))
    render("other", 7, (16, 8, 64))
    again = render("again", 3, (25, 39, 64))

    # Then a share is the same from a Cycles that kept what it built and from one that had to build it
    assert_same_pixels(second, again)
    # And the shares differ, and together are the frame in every view layer
    merged = mean_of([(first, {"ViewLayer": 25, "Back": 25}), (second, {"ViewLayer": 39, "Back": 15})])
    assert len(merged) == 4 * (1 + len(wishes))
    direct, early, late = map(pixels, (whole[3], first, second))
    apart = {
        name: float(
            (abs(values - direct[name]) / abs(direct[name]).clip(1 if name.endswith("A") else 1e-3)).max()
        )
        for name, values in merged.items()
    }
    record_property("merged beside direct", f"{max(apart.values()):.1e}")
    assert max(apart.values()) < 2e-6
    assert any((early[name] != late[name]).any() for name in merged)
    # And the compositor waited for all of the frame
    assert written() == composited
    assert not [name for name in early if "Composite" in name]

    # And whole frames afterwards are those before
    for frame, before in whole.items():
        assert_same_pixels(render(f"after{frame}", frame), before)


def test_lines_make_the_frame_and_leave_no_trace(blender, worker, tmp_path):
    worker.load(blender.build(tmp_path / "artist", "dense"))

    def render(name, frame, share=None):
        done = worker.render(frame, tmp_path / f"{name}.exr", share)
        assert "ok" in done, done
        return pixels(tmp_path / f"{name}.exr")

    whole = render("whole", 2)
    tiles = [
        render(f"{first}", 2, {"first": first, "end": end, "total": 12}) for first, end in ((7, 12), (0, 7))
    ]
    for name, values in whole.items():
        if "Time" not in name:
            assert tiles[1][name].tobytes() + tiles[0][name].tobytes() == values.tobytes(), name
    # A tile of another frame, and whole frames afterwards, are what they would be
    render("other", 3, {"first": 3, "end": 4, "total": 12})
    for name, values in render("again", 2).items():
        if "Time" not in name:
            assert values.tobytes() == whole[name].tobytes(), name
    # Who takes it for a frame of another height is told so
    error = worker.render(2, tmp_path / "no.exr", {"first": 0, "end": 4, "total": 13})["error"]
    assert error["kind"] == "bad_request"
    assert "has 12 lines and not 13" in error["message"]


def test_a_further_share_of_a_frame_is_cheap(blender, worker, tmp_path, record_property):
    worker.load(blender.build(tmp_path / "artist", "dense"))
    worker.render(2, tmp_path / "whole.exr")  # what is loaded once is loaded
    seconds = [
        worker.render(frame, tmp_path / "share.exr", (offset, 1, 4))["ok"]["seconds"]
        for frame, offset in ((1, 0), (1, 1), (1, 2), (3, 0), (3, 1))
    ]
    record_property("seconds of shares", " ".join(f"{s:.3f}" for s in seconds))
    first, further = min(seconds[0], seconds[3]), min(seconds[1], seconds[2], seconds[4])
    assert further < first / 3


@pytest.mark.parametrize(
    "share",
    [
        5, {"of": "samples", "offset": 0, "samples": 4}, {"of": "pixels", "first": 0, "end": 4, "total": 4},
        ("samples", 0, 0, 4), ("samples", 3, 2, 4), ("samples", -1, 2, 4), ("samples", 0, True, 4),
        ("samples", 0, 1.5, 4), ("lines", 3, 3, 4), ("lines", 0, 5, 4), ("lines", -1, 2, 4), ("lines", 0, 2, 5),
    ],
    ids=str,
)  # fmt: skip
def test_a_share_that_is_none_is_refused(lasting_worker, tmp_path, share):
    if isinstance(share, tuple):
        of, *numbers = share
        names = {"samples": ("offset", "samples", "total"), "lines": ("first", "end", "total")}[of]
        share = {"of": of, **dict(zip(names, numbers, strict=True))}
    answer = lasting_worker.ask("render", frame=1, output=str(tmp_path / "1.exr"), share=share)
    assert answer["error"]["kind"] == "bad_request"
    assert not (tmp_path / "1.exr").exists()


def test_engines_without_samples_have_no_shares(blender, worker, tmp_path):
    worker.load(blender.build(tmp_path / "artist"), engine="BLENDER_WORKBENCH")
    error = worker.render(1, tmp_path / "1.exr", (0, 1, 2))["error"]
    assert error["kind"] == "bad_request"
    assert "Small" in error["message"]


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
    told = blender.trace(blend, "--scene", "Small")
    assert told["source"] == str(blend)
    assert (told["scene"], told["scenes"], told["engine"]) == ("Small", ["Small"], "CYCLES")
    assert (told["frames"], told["width"], told["height"]) == ("1-10x2", 16, 12)
    assert (told["has_camera"], told["denoise"]) == (True, False)
    texture = str(blend.parent / "textures" / "made.png")
    assert told["files"] == [texture]
    slot = {"library": "", "raw": texture, "path": texture, "kind": "image", "user": "made.png", "found": 1}
    assert (told["paths"], told["scripts"]) == ([slot], [])
    assert (told["missing"], told["unsaved_images"], told["warnings"]) == ([], [], [])


def test_trace_names_missing_files_and_bad_ones(blender, tmp_path):
    blend = blender.build(tmp_path / "artist", "no-camera", "denoise")
    texture = blend.parent / "textures" / "made.png"
    texture.unlink()
    told = blender.trace(blend)
    why = "No such file or directory"
    assert told["missing"] == [{"path": str(texture), "kind": "image", "user": "made.png", "why": why}]
    assert [slot["found"] for slot in told["paths"]] == [0]
    assert (told["files"], told["has_camera"], told["denoise"]) == ([], False, True)

    error = blender.trace(SMALL)["error"]
    assert error["kind"] == "cannot_open"
    assert str(SMALL) in error["message"]
