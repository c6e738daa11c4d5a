# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside the Blender that scripts/screenshots starts: a farm of one machine is set up with the add-on's own
operators, and each panel is drawn and photographed while it works."""

import os
import subprocess
import sys
import time
import traceback

import bpy

WORK, DOCS = sys.argv[sys.argv.index("--") + 1 :]
PATIENCE_S = 120


def settings():
    return bpy.context.scene.netrender


def button(name, **arguments):
    """As a click does it: on the window, without blocking."""
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, area=window.screen.areas[0]):
        getattr(bpy.ops.netrender, name)("INVOKE_DEFAULT", **arguments)


def properties_alone():
    """One Properties editor, Render tab, fills the window."""
    preferences = bpy.context.preferences
    preferences.view.show_splash = False
    preferences.view.ui_scale = 1.15
    window = bpy.context.window_manager.windows[0]
    area = max(window.screen.areas, key=lambda a: a.width * a.height)
    area.type = "PROPERTIES"
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.screen.screen_full_area(use_hide_panels=True)


def show(mode):
    settings().mode = mode
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    area.spaces.active.context = "RENDER"
    area.tag_redraw()


def photograph(name):
    path = os.path.join(DOCS, f"panel-{name}.png")
    background = "-bordercolor #303030 -border 1x1 -fuzz 2% -trim +repage".split()
    shot = os.path.join(WORK, "root.png")
    subprocess.run(["import", "-window", "root", "-crop", "520x1100+0+0", shot], check=True)
    subprocess.run(["convert", shot, "+repage", *background, "-strip", path], check=True)
    print(f"screenshots: {path}", flush=True)


def until(look):
    end = time.monotonic() + PATIENCE_S
    while not look():
        if time.monotonic() > end:
            raise TimeoutError("the farm did not get there in time")
        yield 0.1


def make_scene():
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 64
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 640, 360
    scene.frame_start, scene.frame_end = 1, 24
    scene.netrender.job.engine = "CYCLES"
    scene.netrender.master.name = "Studio"
    scene.netrender.master.port = int(os.environ.get("NETRENDER_SCREENSHOT_PORT", "8123"))
    scene.netrender.master.folder = os.path.join(WORK, "master")
    scene.netrender.master.broadcast = False
    scene.netrender.slave.folder = os.path.join(WORK, "slave")
    scene.netrender.slave.name = "node-01"
    scene.netrender.slave.master = scene.netrender.client.master = f"127.0.0.1:{scene.netrender.master.port}"
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(WORK, "shot_042.blend"))


def story():
    """Yields the seconds to wait; the timer below calls it on."""
    from netrender_rs import session

    properties_alone()
    make_scene()
    yield 1.0
    yield 1.0
    print("A", flush=True)
    show("MASTER")
    yield 1.0
    print("B", flush=True)
    button("start_master")
    print("C", flush=True)
    yield from until(lambda: session.master.snapshot["state"] == "running")
    show("SLAVE")
    button("start_slave")
    yield 1.0
    show("CLIENT")
    yield from until(lambda: session.client_snapshot()["state"] == "connected")
    button("send_job")
    yield from until(lambda: session.last_job == 1)
    button("send_frame")
    yield from until(lambda: session.last_job == 2)
    bpy.context.scene.render.engine = "NET_RENDER"
    yield from until(lambda: any(job["done"] for job in session.client_snapshot()["jobs"]))
    yield 2.0
    photograph("client")
    show("MASTER")
    yield 2.0
    photograph("master")
    show("SLAVE")
    yield 2.0
    photograph("slave")


steps = story()


def turn():
    try:
        r = next(steps); print("STEP", steps.gi_frame.f_lineno, flush=True); return r
    except StopIteration:
        bpy.ops.wm.quit_blender()
    except Exception:
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)


bpy.app.timers.register(turn, first_interval=2.0, persistent=True)
