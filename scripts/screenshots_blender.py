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


def properties():
    return next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "PROPERTIES")


def button(name, **arguments):
    """As a click does it: on the window, without blocking."""
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, area=properties()):
        getattr(bpy.ops.netrender, name)("INVOKE_DEFAULT", **arguments)


def properties_alone():
    """The Properties editor fills the window. Maximising it crashes Blender 3.4 from a timer; this does not."""
    window = bpy.context.window_manager.windows[0]
    for area in [a for a in window.screen.areas if a.type != "PROPERTIES"]:
        with bpy.context.temp_override(window=window, area=area):
            bpy.ops.screen.area_close()


def show(mode):
    settings().mode = mode
    area = properties()
    area.spaces.active.context = "RENDER"
    area.tag_redraw()


def photograph(name):
    """The panels' region alone, without the empty space below the last one."""
    path = f"{DOCS}/panel-{name}.png"
    region = next(r for r in properties().regions if r.type == "WINDOW")
    window = bpy.context.window_manager.windows[0]
    top = window.height - region.y - region.height
    crop = f"{region.width}x{region.height}+{region.x}+{top}"
    shot = f"{WORK}/root.png"
    subprocess.run(["import", "-window", "root", "-crop", crop, "+repage", shot], check=True)
    grey = ["-bordercolor", "#303030", "-border"]
    frame = ["-gravity", "SouthEast", "-chop", "6x8", *grey, "1", "-trim", "+repage", *grey, "12"]
    subprocess.run(["convert", shot, *frame, "-strip", path], check=True)
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
    scene.netrender.master.broadcast = False
    scene.netrender.slave.name = "node-01"
    scene.netrender.slave.master = scene.netrender.client.master = f"127.0.0.1:{scene.netrender.master.port}"
    bpy.ops.wm.save_as_mainfile(filepath=f"{WORK}/shot_042.blend")


def story():
    """Yields the seconds to wait; the timer below calls it on."""
    from netrender_rs import session

    properties_alone()
    make_scene()
    yield 1.0
    show("MASTER")
    button("start_master")
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
    yield from until(lambda: any(job["done"] for job in session.client_farm.jobs.values()))
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
        return next(steps)
    except StopIteration:
        bpy.ops.wm.quit_blender()
    except Exception:
        traceback.print_exc()
        from netrender_rs import session

        for service in (session.master, session.slave):
            print(service.kind, service.error, service.read())
        sys.stdout.flush()
        os._exit(1)


bpy.app.timers.register(turn, first_interval=2.0, persistent=True)
