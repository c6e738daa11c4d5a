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
        allow_scripts=wanted.allow_scripts,
    )


def this_blender():
    """The program to start another Blender like this one: itself, or the Python whose module bpy is."""
    return bpy.app.binary_path or sys.executable


def new_slave(scene):
    """A native Slave that is not started. It renders with the Blender it is started from."""
    wanted = scene.netrender.slave
    return native.module().Slave(
        settings.working_folder(wanted.folder, "slave"),
        this_blender(),
        master=settings.master_address(wanted.master),
        name=wanted.name.strip(),
        threads=wanted.threads if wanted.threads_mode == "FIXED" else 0,
        device=wanted.device.lower(),
        tags=settings.tags(wanted.tags),
        console=wanted.console,
        cache_limit_gb=wanted.cache_limit,
        hang_timeout_s=wanted.hang_timeout,
        upload_interval_s=wanted.upload_interval,
        clear_on_exit=wanted.clear_on_exit,
    )


NEW = {"master": new_master, "slave": new_slave}
