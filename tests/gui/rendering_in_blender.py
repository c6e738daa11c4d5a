# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows and the add-on: renders on the network by button and by key, and looks at the render
window. `-- BLEND LONG URL OUT PHOTOS`: a scene of ten quick frames, one of slow frames that slaves render together, the
master, where frames go, and a folder for pictures of the screen.
"""

import json
import sys
import threading
from pathlib import Path

import bpy

from support.gui.mouse import click_at, find, key, wheel
from support.gui.story import photograph, place, rest, tell, until, window

BLEND, LONG, URL, OUT, PHOTOS = sys.argv[sys.argv.index("--") + 1 :]
told = {"shown": []}


def open_scene(blend):
    """Blender's standard screen, its largest editor the render properties."""
    bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False)
    yield from rest()
    scene = bpy.context.scene
    scene.netrender.client.master = URL
    image = scene.render.image_settings
    image.file_format, image.color_depth = "PNG", "16"
    scene.render.filepath = f"{OUT}/shot_####"
    _, editor = place("VIEW_3D") or place("PROPERTIES")
    editor.ui_type = "PROPERTIES"
    yield from rest()
    editor.spaces.active.context = "RENDER"
    yield from rest()


def button(word):
    yield from wheel("PROPERTIES", down=True)
    at = yield from find("PROPERTIES", word, (0.5,))
    if not at:
        yield from wheel("PROPERTIES", down=False)
        at = yield from find("PROPERTIES", word, (0.5,))
    assert at, word
    return at


def is_rendering():
    return bpy.app.is_job_running("RENDER")


PHOTOGRAPHED = (1, 6)
# Set by the story once it has the picture of the frame that waits for it.
photographed = threading.Event()


def saw(scene, *_):
    """A frame is in the render window when it is written. The render thread waits for the photograph: the farm's
    frames come faster than a busy machine draws them."""
    photographed.clear()
    told["shown"].append(scene.frame_current)
    if scene.frame_current in PHOTOGRAPHED:
        assert photographed.wait(60), "no photograph was taken"


def animation():
    """Animation on Network: frame after frame in the render window."""
    yield from open_scene(BLEND)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 10
    engine = scene.render.engine
    bpy.app.handlers.render_write.append(saw)
    yield from click_at((yield from button("netrender.animate")))
    for frame in PHOTOGRAPHED:
        yield from until(lambda frame=frame: frame in told["shown"], f"frame {frame} is shown", 200)
        yield from photograph(f"{PHOTOS}/animation-{frame}.png")
        photographed.set()
    yield from until(lambda: len(told["shown"]) == 10 and not is_rendering(), "all frames are shown", 200)
    yield from until(lambda: scene.render.engine == engine, "the scene is as it was")
    bpy.app.handlers.render_write.remove(saw)
    told["range"] = [scene.frame_start, scene.frame_end]


def refine():
    """F12 with the engine Network Render: the picture refines; the cross beside the progress bar cancels the job."""
    yield from open_scene(LONG)
    from netrender_rs import farm_render
    from netrender_rs.farm_render import FarmRender
    from netrender_rs.runtime import session

    scene = bpy.context.scene
    scene.render.engine = "NET_RENDER"
    scene.netrender.job.split = "SAMPLES"
    where, editor = place("PROPERTIES")
    middle = editor.x + editor.width // 2, editor.y + editor.height // 2
    seen = []
    show = farm_render.fetch_unfinished

    def watch(engine, render, number):
        path = show(engine, render, number)
        seen.append(path is not None)
        return path

    farm_render.fetch_unfinished = watch
    yield from key(where, "F12", *middle)
    yield from until(is_rendering, "it renders")
    yield from until(lambda: seen.count(True) >= 2, "samples are shown", 90)
    yield from rest(10)
    yield from photograph(f"{PHOTOS}/refining.png", after=0)
    job = FarmRender.current.job
    # ESC is looked for before events become Blender's own, so a simulated one is none. The cross beside the progress
    # bar does the same; it lies in the middle of the status bar, which nobody can be asked about.
    for x in range(window().width // 3, window().width * 2 // 3, 8):
        yield from click_at((window(), x, 12))
        if FarmRender.current is None or FarmRender.current.is_canceled:
            break
    yield from until(lambda: not is_rendering(), "the cross ends it")
    told["job"] = job
    client = session.client_farm.client_for(URL)
    yield from until(lambda: client.job(job)["state"] == "canceled", "and cancels the job")
    told["looks"] = len(seen)


def story():
    yield from key(window(), "ESC", 100, 100)
    yield from animation()
    yield from refine()
    Path(PHOTOS, "told.json").write_text(json.dumps(told))


tell(story, turn_s=0.02, quits=False)
