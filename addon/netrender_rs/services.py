# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes native Master and Slave handles out of a scene's settings, for buttons and for the headless engine
alike.
"""

import sys

import bpy

from . import native, settings


def new_master(scene):
    """A native Master that is not started. Raises ValueError or a native error for values that cannot be
    right.
    """
    wanted = scene.netrender.master
    return native.module().Master(
        settings.working_folder(wanted.folder, "master"),
        host=wanted.host.strip(),
        port=settings.port(wanted),
        name=wanted.name.strip(),
        broadcast=wanted.broadcast,
        clear_on_exit=wanted.clear_on_exit,
        slave_timeout_s=wanted.slave_timeout,
    )


def new_slave(scene):
    """A native Slave that is not started. It renders with the Blender it is started from."""
    wanted = scene.netrender.slave
    return native.module().Slave(
        settings.working_folder(wanted.folder, "slave"),
        bpy.app.binary_path or sys.executable,  # empty when Blender is the Python module bpy
        master=settings.master_address(wanted.master),
        name=wanted.name.strip(),
        threads=wanted.threads if wanted.threads_mode == "FIXED" else 0,
        tags=settings.tags(wanted.tags),
        console=wanted.console,
    )


NEW = {"master": new_master, "slave": new_slave}
