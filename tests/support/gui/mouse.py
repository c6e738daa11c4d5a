# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouse and keys of a person at a Blender with windows that was started with --enable-event-simulate. Buttons are found
by what Blender says is under the mouse. Steps are generators, as those of `story`."""

import bpy

from support.gui.story import place, region_of

STEP_PX = 14  # less than a button is high


def move(where, x, y):
    where.event_simulate(type="MOUSEMOVE", value="NOTHING", x=int(x), y=int(y))
    yield


def under_mouse(where, editor, region):
    """What the button under the mouse does or shows, as Python; "" when there is none."""
    manager = bpy.context.window_manager
    with bpy.context.temp_override(window=where, area=editor, region=region):
        for operator in (bpy.ops.ui.copy_python_command_button, bpy.ops.ui.copy_data_path_button):
            if operator.poll():
                manager.clipboard = ""
                operator()
                if manager.clipboard:
                    return manager.clipboard
    return ""


def find(kind, word, parts, region="WINDOW"):
    """(window, x, y) of the button whose doing has this word, as the mouse comes upon it from the bottom up at these
    parts of the width; None when it is not to be seen."""
    where, editor = place(kind)
    ground = region_of(editor, region)
    for part in parts:
        x = ground.x + ground.width * part
        for y in range(ground.y + 4, ground.y + ground.height - 2, STEP_PX):
            yield from move(where, x, y)
            if word in under_mouse(where, editor, ground):
                return where, x, y
    return None


def click_at(at):
    where, x, y = at
    yield from move(where, x, y)
    yield from move(where, x + 1, y)
    yield from key(where, "LEFTMOUSE", x, y)


def press(kind, word, look, region="WINDOW", tries=5):
    """Clicks the button that `look`, steps as those of `find`, comes upon. The panel makes room for what arrives
    meanwhile, so a button that is no longer under the mouse is looked for again."""
    for _ in range(tries):
        at = yield from look()
        assert at, f"there is no button for {word}"
        where, x, y = at
        yield from move(where, x, y)
        yield from move(where, x + 1, y)
        _, editor = place(kind)
        if word in under_mouse(where, editor, region_of(editor, region)):
            yield from key(where, "LEFTMOUSE", x, y)
            return
    raise AssertionError(f"the button for {word} never stayed where it was")


def wheel(kind, down, turns=40):
    where, editor = place(kind)
    ground = region_of(editor)
    x, y = ground.x + ground.width // 2, ground.y + ground.height // 2
    yield from move(where, x, y)
    for _ in range(turns):
        where.event_simulate(type="WHEELDOWNMOUSE" if down else "WHEELUPMOUSE", value="PRESS", x=x, y=y)
    # Drawn once, not after each turn: without a GPU that costs most of a test's time.
    yield
    yield


def key(where, name, x, y):
    """Presses and releases a key, or a button of the mouse, with the mouse at x, y."""
    for value in ("PRESS", "RELEASE"):
        where.event_simulate(type=name, value=value, x=int(x), y=int(y))
        yield
