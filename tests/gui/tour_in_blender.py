# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender with windows that has never heard of a farm: an artist's first hour with it, by mouse alone.
`-- ZIP BLEND URL PHOTOS`: the zip to install, her scene, the address under which the master must be found, and a folder
for pictures of the screen. What she does is clicked; what a click did is looked up.
"""

import importlib
import sys
from pathlib import Path

import bpy

from support.gui.mouse import click_at, find, key, press, wheel
from support.gui.story import photograph, place, region_of, rest, tell, until, window

ZIP, BLEND, URL, PHOTOS = sys.argv[sys.argv.index("--") + 1 :]


def show(name):
    yield from photograph(f"{PHOTOS}/{name}.png")


def press_button(kind, word, parts, region="WINDOW"):
    yield from press(kind, word, lambda: find(kind, word, parts, region), region)


def installed():
    """The name of the add-on's module once it is enabled: an extension's one begins with its repository."""
    names = bpy.context.preferences.addons.keys()
    return next((name for name in names if name.split(".")[-1] == "netrender_rs"), None)


def install():
    # The splash goes. The next window opens where the mouse is.
    yield from key(window(), "ESC", window().width // 2, window().height // 2)
    bpy.ops.screen.userpref_show("INVOKE_DEFAULT")
    bpy.context.preferences.active_section = "ADDONS"
    yield from rest()
    where, _ = place("PREFERENCES")
    if bpy.app.version >= (4, 2):
        yield from choose_from_disk()
    else:
        yield from press_button("PREFERENCES", "preferences.addon_install", (0.75, 0.6, 0.9))
    yield from until(lambda: place("FILE_BROWSER"), "a file browser opens")
    yield from rest()
    _, browser = place("FILE_BROWSER")
    browser.spaces.active.params.directory = str(Path(ZIP).parent).encode()
    browser.spaces.active.params.filename = Path(ZIP).name
    yield from rest()
    yield from press_button("FILE_BROWSER", "file.execute", (0.7, 0.8, 0.9, 0.5), region="EXECUTE")
    yield from until(lambda: not place("FILE_BROWSER"), "it is installed")
    yield from rest()
    yield from show("installed")
    if bpy.app.version < (4, 2):  # later ones enable what they install
        enable = 'addon_enable(module="netrender_rs"'
        yield from press_button("PREFERENCES", enable, (0.07, 0.05, 0.09, 0.03, 0.11))
    yield from until(installed, "it is enabled")
    yield from show("enabled")
    with bpy.context.temp_override(window=where):
        bpy.ops.wm.window_close()


def choose_from_disk():
    """Install from Disk..., in the menu at the right end of the uppermost row: the key is its underlined letter."""
    where, editor = place("PREFERENCES")
    ground = region_of(editor)
    unit = bpy.context.preferences.system.ui_scale * 20
    x, y = ground.x + ground.width - unit, ground.y + ground.height - unit
    yield from click_at((where, x, y))
    yield from rest()
    yield from show("menu")
    yield from key(where, "I", x, y)


WIDE, ICON = (0.5,), (0.985, 0.97)


def button(word, parts=WIDE):
    """Where a button of the render properties is; scrolled to, if need be."""
    yield from wheel("PROPERTIES", down=True)
    for _ in range(5):
        at = yield from find("PROPERTIES", word, parts)
        if at:
            return at
        yield from wheel("PROPERTIES", down=False, turns=12)
    raise AssertionError(f"there is no button for {word}")


def press_in_panel(word, parts=WIDE):
    """Presses a button of the render properties."""
    yield from press("PROPERTIES", word, lambda: button(word, parts))


def choose_mode(part):
    """Client, Master and Slave are three parts of one row."""
    where, _, y = yield from button("netrender.mode")
    _, editor = place("PROPERTIES")
    yield from click_at((where, editor.x + editor.width * part, y))


def story():
    yield from install()
    bpy.ops.wm.open_mainfile(filepath=BLEND)
    yield from rest()
    _, view = place("VIEW_3D")
    view.ui_type = "PROPERTIES"
    yield from rest()
    view.spaces.active.context = "RENDER"
    yield from rest()
    session = importlib.import_module(f"{installed()}.runtime").session
    state = bpy.context.window_manager.netrender
    scene = bpy.context.scene
    settings = scene.netrender
    client = session.client_farm.client_for(URL)

    # She presses the two arrows, and the master is there
    yield from press_in_panel("netrender.find_master", ICON)
    yield from until(lambda: settings.client.master, "a master is found")
    assert settings.client.master == URL, settings.client.master
    yield from until(lambda: len(state.client_farm.slaves) == 2, "its slaves are seen")
    yield from show("connected")

    # Send Job, and its progress is seen
    yield from press_in_panel("netrender.send_job")
    yield from until(lambda: state.last_job, "the job is sent")
    yield from until(
        lambda: len(state.client_farm.jobs) == 1 and state.client_farm.jobs[0].done, "it gets on"
    )
    yield from until(lambda: state.client_farm.jobs[0].status == "Finished", "it is finished", 120)
    yield from show("finished")

    # Get Frame brings it into an Image Editor
    scene.frame_current = 2
    yield from press_in_panel("netrender.get_frame", ICON)
    yield from until(lambda: state.last_file, "the frame is here")
    yield from until(lambda: place("IMAGE_EDITOR"), "an image editor shows it")
    _, editor = place("IMAGE_EDITOR")
    image = editor.spaces.active.image
    assert bpy.path.abspath(image.filepath) == state.last_file, image.filepath
    Path(PHOTOS, "frame.exr").write_bytes(Path(state.last_file).read_bytes())
    yield from show("frame")

    # A longer job: a slave is kept from it, and it is canceled
    scene.frame_end = 5000
    yield from press_in_panel("netrender.send_job")
    yield from until(lambda: state.last_job == 2, "the second job is sent")
    yield from until(lambda: state.client_farm.selected_job().number == 2, "it is selected")
    yield from press_in_panel("netrender.blacklist_slave", ICON)
    yield from until(lambda: client.job(2)["blacklist"], "a slave is kept from it")
    at = yield from button("netrender.cancel_job", ICON)
    yield from click_at(at)
    yield from rest()
    yield from key(at[0], "RET", at[1], at[2])  # yes, really
    yield from until(lambda: client.job(2)["state"] == "canceled", "it is canceled")
    yield from show("canceled")

    # This machine renders, too
    yield from choose_mode(0.83)
    yield from until(lambda: settings.mode == "SLAVE", "the mode is Slave")
    yield from press_in_panel("netrender.find_master", ICON)
    yield from until(lambda: settings.slave.master == URL, "the slave's master is found")
    yield from press_in_panel("netrender.start_slave")
    yield from until(lambda: session.slave.snapshot["state"] == "idle", "it waits for work")
    yield from show("slave")
    yield from press_in_panel("netrender.stop_slave")
    yield from until(lambda: not session.slave.is_running(), "it is stopped")


tell(story, turn_s=0.02, quits=False)
