# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling, working and disabling leaves nothing behind in Blender. `scripts/count-leaks` does it a hundred times."""

import json
import re

from blenders import HERE
from test_headless import Addon

STORY = HERE / "gui" / "cycles_in_blender.py"
QUIET = """
import bpy
bpy.context.preferences.view.show_splash = False
bpy.ops.preferences.addon_disable(module="netrender_rs")
bpy.ops.wm.save_userpref()
"""


def count(farm, blender, cycles, screen=None):
    """What a Blender has before and after so many cycles; with windows where there is a screen."""
    addon = Addon(farm, blender)
    addon.script(QUIET)
    blend = blender.build(farm.folder / "shots" / "a.blend", "frames=1-3", "samples=8")
    temporary = farm.folder / "temporary"
    temporary.mkdir()
    environ = {**addon.environ, "TMPDIR": str(temporary)}
    if screen:
        environ |= {"DISPLAY": screen, "LIBGL_ALWAYS_SOFTWARE": "1"}
        command = [blender.path, "--window-geometry", 0, 0, 900, 700, blend, "--python", STORY]
        command += ["--", cycles, blend, farm.folder]
    else:
        command = blender.command(STORY, cycles, blend, farm.folder)
        command = [word for word in command if word != "--factory-startup"]
    service = farm.spawn("counting", command, **environ)
    code = farm.wait_end(service, timeout_s=120 + 60 * cycles)
    said = service.text()
    assert code == 0, said
    assert "Traceback" not in said, said
    assert list(temporary.glob("netrender-*")) == [], "a copy of the scene stays behind"
    return json.loads(re.search(r"^COUNTS (.*)", said, re.MULTILINE)[1])


def assert_nothing_left(told):
    print(json.dumps(told, indent=1))
    grown = {key: (n, told["after"][key]) for key, n in told["before"].items() if told["after"][key] > n}
    assert not grown, f"(before, after): {grown}; threads: {told['threads']}"


def test_without_windows(farm, blender_module):
    assert_nothing_left(count(farm, blender_module, 3))


def test_with_windows(farm, blender_program, screen):
    assert_nothing_left(count(farm, blender_program, 3, screen))
