# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows and the add-on: renders on the network by button and by key, and looks at the render
window. `-- BLEND LONG URL OUT PHOTOS`: a scene of ten quick frames, one of slow frames that slaves render together, the
master, where frames go, and a folder for pictures of the screen.
"""

import json
import subprocess
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from hand import area, click, find, press, run, until, wheel, window

BLEND, LONG, URL, OUT, PHOTOS = sys.argv[sys.argv.index("--") + 1 :]
told = {"shown": []}


def photograph(name):
    subprocess.run(["import", "-window", "root", f"{PHOTOS}/{name}.png"], check=True)


def rest(steps=15):
    for _ in range(steps):
        yield


def open_scene(blend):
    """Blender's standard screen, its largest editor the render properties."""
    bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False)
    yield from rest()
    scene = bpy.context.scene
    scene.netrender.client.master = URL
    image = scene.render.image_settings
    image.file_format, image.color_depth = "PNG", "16"
    scene.render.filepath = f"{OUT}/shot_####"
    place = area("VIEW_3D") or area("PROPERTIES")
    place[1].ui_type = "PROPERTIES"
    yield from rest()
    place[1].spaces.active.context = "RENDER"
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


def saw(scene, *_):
    """A frame is in the render window when it is written."""
    told["shown"].append(scene.frame_current)


def animation():
    """Animation on Network: frame after frame in the render window."""
    yield from open_scene(BLEND)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 10
    engine = scene.render.engine
    bpy.app.handlers.render_write.append(saw)
    yield from click((yield from button("netrender.animate")))
    photographed = 0
    while not told["shown"] or is_rendering():
        if len(told["shown"]) >= photographed + (3 if photographed else 1):
            photographed = len(told["shown"])
            yield from rest(3)
            photograph(f"animation-{photographed}")
        yield
    yield from until(lambda: scene.render.engine == engine, "the scene is as it was")
    bpy.app.handlers.render_write.remove(saw)
    told["range"] = [scene.frame_start, scene.frame_end]


def refine():
    """F12 with the engine Network Render: the picture refines; the cross beside the progress bar cancels the job."""
    yield from open_scene(LONG)
    from netrender_rs import session, takes

    scene = bpy.context.scene
    scene.render.engine = "NET_RENDER"
    scene.netrender.job.split = "SAMPLES"
    where, place = area("PROPERTIES")
    middle = place.x + place.width // 2, place.y + place.height // 2
    seen = []
    show = takes.fetch_unfinished

    def watch(engine, take, number):
        path = show(engine, take, number)
        seen.append(path is not None)
        return path

    takes.fetch_unfinished = watch
    yield from press(where, "F12", *middle)
    yield from until(is_rendering, "it renders")
    yield from until(lambda: seen.count(True) >= 2, "samples are shown", 90)
    yield from rest(10)
    photograph("refining")
    job = takes.current.job
    # ESC is looked for before events become Blender's own, so a simulated one is none. The cross beside the progress
    # bar does the same; it lies in the middle of the status bar, which nobody can be asked about.
    for x in range(window().width // 3, window().width * 2 // 3, 8):
        yield from click((window(), x, 12))
        if takes.current is None or takes.current.is_canceled:
            break
    yield from until(lambda: not is_rendering(), "the cross ends it")
    told["job"] = job
    client = session.client_for(URL)
    yield from until(lambda: client.job(job)["state"] == "canceled", "and cancels the job")
    told["looks"] = len(seen)


def story():
    yield from press(window(), "ESC", 100, 100)
    yield from animation()
    yield from refine()
    Path(PHOTOS, "told.json").write_text(json.dumps(told))


run(story)
