# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of the farm through Blender's own render: composited and written as if this machine had rendered them."""

import json
import os
import shutil
import struct
import zlib

import pytest

from support import screens
from support.addon import Addon, copy_native_module
from support.api import MasterApi
from support.paths import ADDONS, SCENES, STORIES

BEGIN = """
import bpy, json, os, sys
blend, master, out, *wishes = sys.argv[sys.argv.index("--") + 1:]
sys.path.insert(0, os.environ["ADDON_FOLDER"])
bpy.ops.wm.open_mainfile(filepath=blend)
import netrender_rs
netrender_rs.register()
wm, scene = bpy.context.window_manager, bpy.context.scene
scene.netrender.client.master = master
scene.frame_start, scene.frame_end = 1, 3
image = scene.render.image_settings
if hasattr(image, "media_type"):
    image.media_type = "IMAGE"
image.file_format, image.color_depth = "PNG", "16"
scene.render.filepath = out + "/shot_####"
before = (scene.render.engine, scene.render.filepath, scene.frame_start, scene.frame_end, scene.frame_current)

def refused(call, **keywords):
    try:
        call(**keywords)
    except RuntimeError as error:
        return str(error)
    raise AssertionError("was not refused")

def tell(**words):
    print("TOLD " + json.dumps(words))
"""

END = """
after = (scene.render.engine, scene.render.filepath, scene.frame_start, scene.frame_end, scene.frame_current)
assert before == after, (before, after)
assert netrender_rs.farm_render.FarmRender.current is None
netrender_rs.unregister()
sys.exit(0)  # a render that Blender ended itself would make it another number
"""

LOCAL = "scene.render.filepath = out + '/shot_####'; bpy.ops.render.render(animation=True)"


LOST_EYE = """
from netrender_rs import film_loading
unfold = film_loading.native.module().unfold
film_loading.native.module().unfold = lambda *about: [one for one in unfold(*about) if one["view"] == "left"]
print(refused(bpy.ops.netrender.animate))
assert not os.path.exists(out) or not os.listdir(out), os.listdir(out)
"""


class Artist:
    """Runs Python text in a Blender with the add-on and the real module."""

    def __init__(self, blender, folder):
        self.blender, self.folder = blender, folder
        modules = copy_native_module(folder / "modules")
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(modules),
            "ADDON_FOLDER": str(ADDONS),
            "BLENDER_USER_CONFIG": str(folder / "config"),
        }
        self.environ.pop("NETRENDER_MASTER", None)

    def __call__(self, text, *arguments):
        script = self.folder / "artist.py"
        script.write_text(BEGIN + text + END)
        out = self.blender.run(script, *arguments, env=self.environ)
        line = next((line for line in out.splitlines() if line.startswith("TOLD ")), "TOLD {}")
        return {**json.loads(line.removeprefix("TOLD ")), "out": out}


@pytest.fixture
def artist(any_blender, tmp_path):
    return Artist(any_blender, tmp_path)


def scene(blender, folder, *wishes, samples=4):
    """Two view layers, AOV, Cryptomatte, and a compositor that uses them."""
    blend = folder / "shot.blend"
    blender.run_forked(SCENES / "finish.py", blend, samples, *wishes)
    return blend


def pixels(png):
    """What a PNG holds without the words in it, which tell the time."""
    data, found, at = png.read_bytes(), b"", 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"IHDR", b"IDAT"):
            found += data[at + 8 : at + 8 + length]
        at += length + 12
    return found[:13], zlib.decompress(found[13:])


def assert_same_pictures(ours, local, frames, eye=""):
    for frame in frames:
        one, other = (pixels(folder / f"shot_{frame:04}{eye}.png") for folder in (ours, local))
        assert one == other, f"frame {frame}{eye} is another picture"
        assert len(set(one[1])) > 100, f"frame {frame} is blank"


def test_an_animation_is_what_this_machine_would_have_made(farm, any_blender, artist, tmp_path):
    # Given a scene with a compositor, and what this machine makes of it
    blend = scene(any_blender, tmp_path)
    master = farm.master()
    farm.slave(master, any_blender, "--threads", "1")
    artist(LOCAL, blend, master.url, tmp_path / "local")

    # When a script renders it on the network
    told = artist(
        "print(bpy.ops.netrender.animate()); tell(job=wm.netrender.last_job)",
        blend,
        master.url,
        tmp_path / "ours",
    )

    # Then the files are the same, and the scene is as it was
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == [
        f"shot_000{n}.png" for n in (1, 2, 3)
    ]
    assert_same_pictures(tmp_path / "ours", tmp_path / "local", (1, 2, 3))

    # And Get Animation brings what is missing, and leaves what is there when that is wished
    kept = tmp_path / "ours" / "shot_0002.png"
    kept.write_text("mine")
    (tmp_path / "ours" / "shot_0003.png").unlink()
    artist(
        f"scene.render.use_overwrite = False; bpy.ops.netrender.get_animation(job={told['job']})",
        blend,
        master.url,
        tmp_path / "ours",
    )
    assert kept.read_text() == "mine"
    assert_same_pictures(tmp_path / "ours", tmp_path / "local", (1, 3))


def test_both_eyes(farm, any_blender, artist, tmp_path):
    # Given a scene in stereo, written as a file for each eye
    blend = scene(any_blender, tmp_path, "stereo")
    master = farm.master()
    farm.slave(master, any_blender, "--threads", "1")
    each = "image.views_format = 'INDIVIDUAL'; "
    artist(each + LOCAL, blend, master.url, tmp_path / "local")

    # When it is rendered on the network
    artist(each + "bpy.ops.netrender.animate()", blend, master.url, tmp_path / "ours")

    # Then each eye sees what this machine would have made
    assert len(list((tmp_path / "ours").iterdir())) == 6
    for eye in ("_L", "_R"):
        assert_same_pictures(tmp_path / "ours", tmp_path / "local", (1, 2, 3), eye)
    left, right = (pixels(tmp_path / "ours" / f"shot_0001{eye}.png") for eye in ("_L", "_R"))
    assert left != right

    # And a film of one eye is not taken for both, where Blender's own reader does not look for the other
    if any_blender.version >= (5, 0):
        told = artist(each + LOST_EYE, blend, master.url, tmp_path / "lost")
        assert "is not there in each view" in told["out"]


def test_a_frame_that_cannot_come_is_not_written_black(farm, any_blender, artist, tmp_path):
    # Given a job of which one frame is done, canceled then
    blend = scene(any_blender, tmp_path)
    master = farm.master()
    api = MasterApi(master.url)
    slave = farm.slave(master, any_blender, "--threads", "1")
    job = farm.submit(master, any_blender, blend, "--frames", "1")
    api.wait(job)
    farm.stop(slave)
    job = farm.submit(master, any_blender, blend, "--frames", "1-3")
    farm.cli("cancel", job, "--master", master.url)

    # When a script plays it, then it is refused with the reason, and nothing is written
    told = artist(
        f"""
from netrender_rs import farm_render, playback
render = farm_render.FarmRender(scene, "CYCLES", [1, 2, 3], {job})
playback.play(render, scene, True, lambda render: None)
tell(problem=render.problem, get=refused(bpy.ops.netrender.get_animation, job={job}))
""",
        blend,
        master.url,
        tmp_path / "ours",
    )
    assert told["problem"] == f"Job {job} was canceled"
    assert f"No frame of job {job} is finished yet" in told["get"]
    assert not (tmp_path / "ours").exists() or not list((tmp_path / "ours").iterdir())


def test_what_does_not_fit_the_scene_is_said(farm, blender_program, tmp_path):
    blend = scene(blender_program, tmp_path)
    master = farm.master()
    farm.slave(master, blender_program, "--threads", "1")
    job = farm.submit(master, blender_program, blend, "--frames", "1,2,4")
    MasterApi(master.url).wait(job)
    told = Artist(blender_program, tmp_path)(
        f"""
image.file_format = "FFMPEG"
gaps = refused(bpy.ops.netrender.get_animation, job={job})
image.file_format = "PNG"
scene.render.resolution_percentage = 50
size = refused(bpy.ops.netrender.get_animation, job={job})
tell(gaps=gaps, size=size, unknown=refused(bpy.ops.netrender.get_animation, job=99))
""",
        blend,
        master.url,
        tmp_path / "ours",
    )
    assert "cannot go into one movie" in told["gaps"]
    assert "does not fit this scene's resolution" in told["size"]
    assert "99" in told["unknown"]


def test_jpegs_alone(farm, blender_program, tmp_path):
    blend = scene(blender_program, tmp_path)
    master = farm.master()
    farm.slave(master, blender_program, "--threads", "1")
    job = farm.submit(master, blender_program, blend, "--frames", "1-2")
    MasterApi(master.url).wait(job)
    Artist(blender_program, tmp_path)(
        f"bpy.ops.netrender.get_jpegs(job={job})", blend, master.url, tmp_path / "ours"
    )
    assert [p.name for p in sorted((tmp_path / "ours" / f"job_{job}_jpeg").iterdir())] == [
        "0001.jpg",
        "0002.jpg",
    ]


def test_in_the_render_window(farm, blender_program, screen, tmp_path, record_property):
    # Given a scene of ten frames with a compositor, a long one that two slaves share, and what this machine makes of it
    addon = Addon(farm, blender_program)
    addon.script("import bpy; bpy.context.preferences.view.show_splash = False; bpy.ops.wm.save_userpref()")
    blend = scene(blender_program, tmp_path, samples=100)
    long = blender_program.build(tmp_path / "long.blend", "frames=1-1", "samples=60000", "size=160x90")
    master = farm.master()
    for name in ("anna", "ben"):
        farm.slave(master, blender_program, "--threads", "1", name=name)
    ten = LOCAL.replace("bpy.ops", "scene.frame_end = 10; bpy.ops") + "; scene.frame_end = 3"
    Artist(blender_program, tmp_path)(ten, blend, master.url, tmp_path / "local")
    photos = tmp_path / "photos"
    photos.mkdir()

    # When she presses Animation on Network, and then F12 and ESC
    story = STORIES / "rendering_in_blender.py"
    arguments = [blend, long, master.url, tmp_path / "ours", photos]
    command = blender_program.with_windows(story, *arguments, simulated=True)
    done = farm.run(command, **addon.environ, **screens.on(screen))
    assert done.code == 0, done.out + done.err
    assert "Traceback" not in done.out + done.err, done.out + done.err

    # Then each frame was shown in order and is what this machine makes, and the shared one was seen refining
    told = json.loads((photos / "told.json").read_text())
    keep = os.environ.get("NETRENDER_PHOTOS")
    if keep:
        shutil.copytree(photos, keep, dirs_exist_ok=True)
    assert (told["shown"], told["range"]) == (list(range(1, 11)), [1, 10])
    assert_same_pictures(tmp_path / "ours", tmp_path / "local", range(1, 11))
    assert told["looks"] >= 2
    pictures = [path.read_bytes() for path in photos.glob("animation-*.png")]
    assert len(pictures) == 2
    assert len(set(pictures)) == len(pictures), "the window did not change"
