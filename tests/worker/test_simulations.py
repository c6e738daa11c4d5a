# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulations that are not baked: each frame follows from the one before."""

import json
import shutil

import pytest

from support import film
from support.paths import SCENES
from support.worker import sent

FRAMES = (3, 8, 12)

# Each frame after all before it, as playback in a window does.
PLAYED = """
import bpy, json, os, sys
blend, out, last, wanted = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
for frame in range(1, int(last) + 1):
    scene.frame_set(frame)
    if frame in json.loads(wanted):
        scene.render.filepath = f"{out}/{frame:04}"
        before = scene.frame_start, scene.frame_end
        scene.frame_start = scene.frame_end = frame
        bpy.ops.render.render(animation=True)
        scene.frame_start, scene.frame_end = before  # zones begin where the scene does
        os.replace(f"{out}/{frame:04}{frame:04}.exr", f"{out}/{frame:04}.exr")
"""


def build(blender, folder, *wishes):
    (folder / "textures").mkdir(parents=True)
    blend = folder / "shot.blend"
    blender.run_forked(SCENES / "simulations.py", blend, folder / "textures" / "made.png", *wishes)
    return blend


def render_played(blender, blend, folder, frames=FRAMES):
    """{frame: film} of frames that were played one after the other."""
    folder.mkdir()
    script = folder / "played.py"
    script.write_text(PLAYED)
    blender.run(script, blend, folder, max(frames), json.dumps(frames))
    return {frame: folder / f"{frame:04}.exr" for frame in frames}


@pytest.fixture(scope="module")
def shot(any_blender, tmp_path_factory):
    """A scene on the artist's machine, its films as played, and how a slave that has it elsewhere loads it."""
    artist = tmp_path_factory.mktemp("artist") / "project"
    blend = build(any_blender, artist)
    played = render_played(any_blender, blend, artist.parent / "played")
    told = any_blender.trace(blend)
    slave = artist.parent / "slave"
    artist.rename(slave)
    return slave / "shot.blend", sent(told, artist, slave), played


def bake(worker, blend, output, until=12, **fields):
    scratch = str(output.parent / "scratch")
    fields = {
        "files": {},
        "paths": [],
        "source": str(blend),
        "scripts": False,
        "scene": None,
        "scratch": scratch,
        **fields,
    }
    return worker.ask("bake", blend=str(blend), threads=0, until=until, output=str(output), **fields)


def test_frames_of_a_baked_scene_in_any_order_are_those_of_one_that_was_played(worker, shot, tmp_path):
    blend, here, played = shot
    output = tmp_path / "baked.blend"
    assert "ok" in bake(worker, blend, output, **here)
    assert any(said["text"].endswith(" of 12") for said in worker.progress), worker.progress
    assert worker.render(1, tmp_path / "none.exr")["error"]["kind"] == "not_loaded"

    # In place of the job's own .blend the baked one loads with the same paths
    there = tmp_path / "other" / "shot.blend"
    shutil.copytree(blend.parent, there.parent)
    shutil.copyfile(output, there)
    moved = json.loads(json.dumps(here).replace(str(blend.parent), str(there.parent)))
    assert "ok" in worker.load(there, **moved)
    for frame in (12, 3, 8):
        assert "ok" in worker.render(frame, tmp_path / f"{frame}.exr")
        film.assert_same_pixels(tmp_path / f"{frame}.exr", played[frame])


def test_a_frame_that_is_played_up_to_is_the_right_one_in_any_order(worker, shot, tmp_path):
    blend, here, played = shot
    assert "ok" in worker.load(blend, **here)
    for frame in (8, 12, 3):
        answer = worker.ask(
            "render", frame=frame, output=str(tmp_path / f"{frame}.exr"), share=None, play=True
        )
        assert "ok" in answer
        film.assert_same_pixels(tmp_path / f"{frame}.exr", played[frame])


def test_what_a_blend_does_not_keep_is_not_baked_but_played(blender, worker, tmp_path):
    blend = build(blender, tmp_path / "artist", "paint")
    refused = bake(worker, blend, tmp_path / "baked.blend")["error"]
    assert refused["kind"] == "bake_failed"
    assert "dynamic paint of 'Canvas'" in refused["message"]
    assert "in order" in refused["message"]
    played = render_played(blender, blend, tmp_path / "played", [5])
    assert "ok" in worker.load(blend)
    worker.ask("render", frame=5, output=str(tmp_path / "5.exr"), share=None, play=True)
    film.assert_same_pixels(tmp_path / "5.exr", played[5])
