# SPDX-License-Identifier: GPL-3.0-or-later
"""netrender-rs: a render farm inside Blender. This file only says what the add-on is and in which
order its parts come up; they go down in reverse.
"""

from . import (
    engine,
    farm_render,
    languages,
    native,
    operators,
    panels,
    playback,
    props,
    runtime,
    safe_write,
    whole_picture,
)

bl_info = {
    "name": "Network Render (netrender-rs)",
    "author": "The netrender-rs contributors",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "Properties > Render > Network Render",
    "description": "A render farm inside Blender: send jobs, keep them, render them",
    "category": "Render",
}

# The engine comes after the runtime: an unregistered engine must not be asked to serve without one.
MODULES = (
    languages,
    native,
    props,
    safe_write,
    runtime,
    whole_picture,
    farm_render,
    playback,
    engine,
    operators,
    panels,
)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
