# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a Blender with windows, started by test_panels.py: Blender's switch against writing is put back wrong."""

import contextlib
import threading

import bpy

from support.gui.story import area, tell, until

drawing, asked, drawn, over = (threading.Event() for _ in range(4))


class PANEL_PT_slow(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_context = "PROPERTIES", "WINDOW", "render"
    bl_label = "Slow"

    def draw(self, _context):
        drawing.set()
        assert asked.wait(20)
        drawn.set()


class ASKED_OT_meanwhile(bpy.types.Operator):
    bl_idname, bl_label = "asked.meanwhile", "Meanwhile"

    @classmethod
    def poll(cls, _context):
        asked.set()  # Blender has read the switch, which is on while the panel is drawn, and will put it back
        return over.wait(20)

    def execute(self, _context):
        return {"CANCELLED"}


def ask():
    assert drawing.wait(20)
    bpy.ops.asked.meanwhile.poll()


def is_refused():
    scene = bpy.context.scene
    try:
        scene.frame_end = 77
    except AttributeError:
        return True
    return False


def story():
    from netrender_rs import safe_write
    from netrender_rs.runtime import session

    assert not safe_write.is_locked()
    area().spaces.active.context = "RENDER"
    bpy.utils.register_class(ASKED_OT_meanwhile)
    other = threading.Thread(target=ask)
    other.start()
    bpy.utils.register_class(PANEL_PT_slow)
    area().tag_redraw()
    yield from until(drawn.is_set, "the panel is drawn")

    over.set()
    other.join(20)
    assert is_refused(), "the switch was put back right"
    assert safe_write.is_locked()
    assert safe_write.run(lambda: (is_refused(), safe_write.run(is_refused))) == (False, False)
    assert bpy.context.scene.frame_end == 77
    with contextlib.suppress(ZeroDivisionError):
        safe_write.run(lambda: 1 / 0)
        raise AssertionError("what went wrong is lost")
    assert bpy.ops.asked.meanwhile.poll(), "operators may be called"
    assert is_refused(), "the switch is put right by a callback"

    session.timer.tick()
    assert not is_refused(), "the add-on leaves a Blender in which no script may write"
    assert bpy.ops.asked.meanwhile() == {"CANCELLED"}, "operators are refused"


tell(story)
