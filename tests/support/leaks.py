# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender has before and after the add-on was enabled, worked and disabled several times."""

import json
import re

from support import screens
from support.addon import Addon
from support.paths import STORIES
from support.text import found

STORY = STORIES / "cycles_in_blender.py"
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
        environ |= screens.on(screen)
        command = blender.with_windows(STORY, cycles, blend, farm.folder, size=(900, 700), blend=blend)
    else:
        command = blender.command(STORY, cycles, blend, farm.folder)
        command = [word for word in command if word != "--factory-startup"]
    service = farm.spawn("counting", command, **environ)
    code = farm.wait_end(service, timeout_s=120 + 60 * cycles)
    said = service.text()
    assert code == 0, said
    assert "Traceback" not in said, said
    assert list(temporary.glob("netrender-*")) == [], "a copy of the scene stays behind"
    return json.loads(found(r"^COUNTS (.*)", said, re.MULTILINE)[1])
