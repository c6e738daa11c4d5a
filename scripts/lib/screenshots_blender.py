# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside the Blender that scripts/screenshots starts: a farm of one machine is set up with the
add-on's own operators, and each panel is drawn and photographed while it works."""

import os
import subprocess
import sys

import bpy

from support.gui.story import area, click, properties_alone, region_of, rest, tell, until, window

WORK, DOCS = sys.argv[sys.argv.index("--") + 1 :]
PATIENCE_S = 120
TURN_S = 0.1
SECOND = round(1 / TURN_S)  # in turns


def settings():
    return bpy.context.scene.netrender


def show(mode):
    settings().mode = mode
    area().spaces.active.context = "RENDER"
    area().tag_redraw()


def photograph(name):
    """The panels' region alone, without the empty space below the last one."""
    path = f"{DOCS}/panel-{name}.png"
    region = region_of(area())
    top = window().height - region.y - region.height
    crop = f"{region.width}x{region.height}+{region.x}+{top}"
    shot = f"{WORK}/root.png"
    subprocess.run(["import", "-window", "root", "-crop", crop, "+repage", shot], check=True)
    grey = ["-bordercolor", "#303030", "-border"]
    frame = ["-gravity", "SouthEast", "-chop", "6x8", *grey, "1", "-trim", "+repage", *grey, "12"]
    subprocess.run(["convert", shot, *frame, "-strip", path], check=True)
    print(f"screenshots: {path}", flush=True)


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
    from netrender_rs.runtime import session

    properties_alone()
    make_scene()
    yield from rest(1 * SECOND)
    show("MASTER")
    click("start_master")
    yield from until(lambda: session.master.snapshot["state"] == "running", seconds=PATIENCE_S)
    show("SLAVE")
    click("start_slave")
    yield from rest(1 * SECOND)
    show("CLIENT")
    yield from until(lambda: session.client_farm.lists.head["state"] == "connected", seconds=PATIENCE_S)
    click("send_job")
    yield from until(lambda: session.sent_jobs.last == 1, seconds=PATIENCE_S)
    click("send_frame")
    yield from until(lambda: session.sent_jobs.last == 2, seconds=PATIENCE_S)
    bpy.context.scene.render.engine = "NET_RENDER"
    yield from until(
        lambda: any(job["done"] for job in session.client_farm.lists.jobs.values()), seconds=PATIENCE_S
    )
    yield from rest(2 * SECOND)
    photograph("client")
    show("MASTER")
    yield from rest(2 * SECOND)
    photograph("master")
    show("SLAVE")
    yield from rest(2 * SECOND)
    photograph("slave")


def story_or_why_not():
    try:
        yield from story()
    except Exception:
        from netrender_rs.runtime import session

        for service in (session.master, session.slave):
            print(service.kind, service.error, service.read())
        raise


tell(story_or_why_not, TURN_S)
