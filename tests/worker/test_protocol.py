# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's protocol in real Blenders, over a real socket: what it says of itself, and how it refuses."""

import os
import socket
import time

import pytest

from support import film
from support.blender import PATIENCE_S


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


def test_an_answer_marks_its_end_in_the_log(blender, new_worker, tmp_path):
    blend = blender.build_small(tmp_path / "artist")
    new_worker.load(blend)
    new_worker.render(1, tmp_path / "1.exr")
    assert new_worker.ask("quit")["ok"] == {}
    assert new_worker.process.wait(PATIENCE_S) == 0
    parts = new_worker.log.read_text(errors="replace").split("\x1enetrender-end ")
    assert [p.partition("\n")[0] for p in parts[1:]] == ["1", "2", "3"]
    assert "Saved" in parts[1]
    assert new_worker.process.stderr.read() == b"", "stderr must be one stream with stdout"


@pytest.mark.parametrize(
    ("fields", "kind", "named"),
    [
        ({"scene": "Nowhere"}, "missing_scene", "Nowhere"),
        ({"engine": "NO_SUCH_ENGINE"}, "missing_engine", "NO_SUCH_ENGINE"),
    ],
)
def test_what_is_not_there_is_named(blender, worker, tmp_path, fields, kind, named):
    blend = blender.build_small(tmp_path / "artist")
    error = worker.load(blend, **fields)["error"]
    assert error["kind"] == kind
    assert named in error["message"]
    # and the process goes on
    assert "ok" in worker.load(blend)


def test_no_camera(blender, worker, tmp_path):
    error = worker.load(blender.build_small(tmp_path / "artist", "no-camera"))["error"]
    assert error["kind"] == "no_camera"
    assert "Small" in error["message"]


def test_a_mapped_file_that_is_not_here(blender, worker, tmp_path):
    blend = blender.build_small(tmp_path / "artist")
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
    assert "ok" in worker.load(blender.build_small(tmp_path / "artist"))


def test_the_scene_asked_for(blender, worker, tmp_path):
    blend = blender.build_one(tmp_path / "artist", None, "second")
    loaded = worker.load(blend, scene="Second")["ok"]
    assert (loaded["scene"], loaded["width"]) == ("Second", 20)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    assert next(iter(film.pixels(tmp_path / "1.exr").values())).shape == (12, 20)


@pytest.mark.parametrize(
    "share",
    [
        5, {"of": "samples", "offset": 0, "samples": 4}, {"of": "pixels", "first": 0, "end": 4, "total": 4},
        ("samples", 0, 0, 4), ("samples", 3, 2, 4), ("samples", -1, 2, 4), ("samples", 0, True, 4),
        ("samples", 0, 1.5, 4), ("lines", 3, 3, 4), ("lines", 0, 5, 4), ("lines", -1, 2, 4), ("lines", 0, 2, 5),
    ],
    ids=str,
)  # fmt: skip
def test_a_share_that_is_none_is_refused(worker, small_scene, tmp_path, share):
    worker.load(small_scene)
    if isinstance(share, tuple):
        of, *numbers = share
        names = {"samples": ("offset", "samples", "total"), "lines": ("first", "end", "total")}[of]
        share = {"of": of, **dict(zip(names, numbers, strict=True))}
    answer = worker.ask("render", frame=1, output=str(tmp_path / "1.exr"), share=share)
    assert answer["error"]["kind"] == "bad_request"
    assert not (tmp_path / "1.exr").exists()


def test_engines_without_samples_have_no_shares(blender, worker, tmp_path):
    worker.load(blender.build_small(tmp_path / "artist"), engine="BLENDER_WORKBENCH")
    error = worker.render(1, tmp_path / "1.exr", (0, 1, 2))["error"]
    assert error["kind"] == "bad_request"
    assert "Small" in error["message"]


def test_a_closed_socket_ends_a_long_render(blender, new_worker, tmp_path):
    new_worker.load(blender.build_small(tmp_path / "artist", "long"))
    new_worker.send("render", frame=1, output=str(tmp_path / "1.exr"))
    part = tmp_path / "1.exr.part"
    until = time.monotonic() + PATIENCE_S
    while not part.exists():  # the render has begun
        assert time.monotonic() < until
        os.sched_yield()
    new_worker.socket.shutdown(socket.SHUT_RDWR)
    began = time.monotonic()
    new_worker.process.wait(PATIENCE_S)
    assert time.monotonic() - began < 1
    assert not (tmp_path / "1.exr").exists()
