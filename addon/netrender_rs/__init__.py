# SPDX-License-Identifier: GPL-3.0-or-later
"""netrender-rs: a render farm inside Blender. This file only says what the add-on is and in which order its
parts come up; they go down in reverse.
"""

from . import languages, native, rows, settings, writing, session, takes, engine, operators, panels  # isort: skip

bl_info = {
    "name": "Network Render (netrender-rs)",
    "author": "The netrender-rs contributors",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "Properties > Render > Network Render",
    "description": "A render farm inside Blender: send jobs, keep them, render them",
    "category": "Render",
}

# Engine after session: an unregistered engine must not be asked to serve without one.
LEAVES = (languages, native, rows, settings, writing, session, takes, engine, operators, panels)


def register():
    for leaf in LEAVES:
        leaf.register()


def unregister():
    for leaf in reversed(LEAVES):
        leaf.unregister()
