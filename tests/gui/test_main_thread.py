# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender stays usable while a job is sent: the add-on's part of the main thread, measured in a Blender with windows
and a real farm."""

import json
import os
import re

from blenders import HERE
from test_headless import Addon
from test_panels import screen  # noqa: F401 - a fixture

STORY = HERE / "gui" / "sending_in_blender.py"
FRAME_S = 16e-3
MEGABYTES = 512

QUIET = """
import bpy
bpy.context.preferences.view.show_splash = False
bpy.ops.wm.save_userpref()
"""


def test_the_main_thread_is_never_kept(farm, blender_program, screen, tmp_path, record_property):  # noqa: F811
    # Given an artist's Blender, a farm, and half a gigabyte beside her scene
    addon = Addon(farm, blender_program)
    addon.script(QUIET)
    blend = blender_program.build(tmp_path / "shots" / "a.blend", "rich")
    big = tmp_path / "shots" / "big.bin"
    with big.open("wb") as file:
        for _ in range(MEGABYTES):
            file.write(os.urandom(1 << 20))
    master = farm.master()

    # When she checks the files and sends the job
    environ = {**addon.environ, "DISPLAY": screen, "LIBGL_ALWAYS_SOFTWARE": "1"}
    command = [blender_program.path, "--window-geometry", 0, 0, 1500, 950, blend, "--python", STORY]
    done = farm.run([*command, "--", master.url, big], **environ)
    assert done.code == 0, done.out + done.err

    # Then nothing of ours on the main thread took longer than a frame of the screen, but for the saving of the copy
    figures = json.loads(re.search(r"^FIGURES (.*)", done.out, re.MULTILINE)[1])
    print(json.dumps(figures, indent=1))
    record_property("longest_ms", max(figures["ours_ms"].values()))
    assert figures["sent_mb"] > MEGABYTES
    assert max(figures["ours_ms"].values()) <= 1000 * FRAME_S
