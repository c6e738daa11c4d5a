# SPDX-License-Identifier: GPL-3.0-or-later
"""The master and the slave that this Blender may run, and how they are made of a scene's settings,
for buttons and for the headless engine alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bpy

from .. import native
from ..farm_lists import STOPPED, FarmLists
from ..props import effective

if TYPE_CHECKING:
    from netrender_native import Master, Slave


class Service:
    """A master or a slave in this Blender. `phase` bridges the time in which the native service
    starts or stops.
    """

    def __init__(self, kind: str, new_handle: Callable[[bpy.types.Scene], Master | Slave], lists=None):
        self.kind = kind
        self.new_handle = (
            new_handle  # not started; raises ValueError or a native error for impossible settings
        )
        self.lists: FarmLists | None = lists  # a master's
        self.handle: Any = None  # a native Master or Slave while the service runs
        self.snapshot: Any = STOPPED  # a MasterHead or a SlaveSnapshot
        self.error = ""
        self.phase = ""  # "", "starting" or "stopping"
        self.has_more = False  # some rows of the lists did not fit into the last turn

    def is_running(self) -> bool:
        return self.handle is not None

    def start(self, handle: Master | Slave) -> None:
        """Blocks until the service runs. Raises native errors. May be called on a thread."""
        self.handle, self.error, self.phase = handle, "", "starting"
        try:
            handle.start()
            if self.lists is None:  # lists belong to the main thread: read() follows
                self._look(handle)
        except Exception as error:
            self.handle, self.snapshot, self.error = None, STOPPED, str(error)
            raise
        finally:
            self.phase = ""

    def stop(self) -> None:
        """Blocks until the service is gone. Safe to call when there is none. May be called on a
        thread.
        """
        handle = self.handle
        if handle is None:
            return
        self.phase = "stopping"
        try:
            handle.stop()
        finally:
            self.handle, self.snapshot, self.phase = None, STOPPED, ""

    def _look(self, handle: Any) -> None:
        if self.lists is None:
            self.snapshot = handle.snapshot()
        else:
            self.has_more = self.lists.read(handle)
            self.snapshot = self.lists.head

    def read(self) -> Any:
        """The snapshot, fresh while the service runs. Notes why a service ended by itself."""
        handle = self.handle
        if handle is None:
            self.has_more = False
            if self.lists is not None:
                self.lists.close()
        elif self.phase != "starting":
            self._look(handle)
            if self.snapshot["state"] == "failed" and self.phase != "stopping":
                self.error = self.snapshot["error"] or "The service ended by itself"
        return self.snapshot


def new_master(scene: bpy.types.Scene) -> Master:
    """A native Master that is not started. Raises ValueError or a native error for values that
    cannot be right.
    """
    wanted = scene.netrender.master
    return native.module().Master(
        effective.working_folder(wanted.folder, "master"),
        host=wanted.host.strip(),
        port=effective.port(wanted),
        name=wanted.name.strip(),
        broadcast=wanted.broadcast,
        clear_on_exit=wanted.clear_on_exit,
        slave_timeout_s=wanted.slave_timeout,
        allow_scripts=wanted.allow_scripts,
        allow_host=effective.host_names(),
    )


def new_slave(scene: bpy.types.Scene) -> Slave:
    """A native Slave that is not started. It renders with the Blender it is started from."""
    wanted = scene.netrender.slave
    return native.module().Slave(
        effective.working_folder(wanted.folder, "slave"),
        this_blender(),
        master=effective.master_address(wanted.master),
        name=wanted.name.strip(),
        threads=wanted.threads if wanted.threads_mode == "FIXED" else 0,
        device=wanted.device.lower(),
        tags=effective.tags(wanted.tags),
        console=wanted.console,
        cache_limit_gb=wanted.cache_limit,
        hang_timeout_s=wanted.hang_timeout,
        upload_interval_s=wanted.upload_interval,
        clear_on_exit=wanted.clear_on_exit,
    )


def this_blender() -> str:
    """The program that starts another Blender like this one: itself, or the Python whose module bpy
    is.
    """
    return bpy.app.binary_path or sys.executable
