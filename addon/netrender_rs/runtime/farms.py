# SPDX-License-Identifier: GPL-3.0-or-later
"""The two farms that a Blender knows: the one it sends to, and the one whose master it runs. Each
has its lists and a native Client to ask things of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import bpy

from .. import native
from ..farm_lists import STOPPED, FarmLists
from ..languages import rpt_
from .errands import Errands
from .services import Service

if TYPE_CHECKING:
    from netrender_native import Client


class ClientFarm:
    """The farm that this Blender sends to. At most one native Client exists, for the address asked
    for last.
    """

    def __init__(self, lists: FarmLists, errands: Errands, on_drop: Callable[[], None]):
        self.lists = lists
        self.address: str | None = None  # of the Client, as the artist gave it
        self._client: Client | None = None
        self._is_started = False  # the Client watches the farm
        self._watched: str | None = None  # the address that a panel shows
        self._errands = errands
        self._on_drop = on_drop

    def client_for(self, address: str) -> Client:
        """The native Client for an address: the one that watches it, else a new one that does not
        watch yet.
        """
        if self._client is None or address != self.address:
            self.drop()
            self._client = native.module().Client(address)
            self.address = address
        return self._client

    def client(self) -> Client:
        """The native Client of the farm whose lists are known."""
        return self.client_for(self.address or "")

    def drop(self) -> None:
        """Forgets the farm and stops its Client in the background."""
        if self._client is not None and self._is_started:
            self._errands.do(self._client.stop)
        self._client, self.address, self._is_started = None, None, False
        self.lists.close()
        self._on_drop()

    def watch(self, address: str) -> None:
        """Asks the timer to watch the master at this address. Called while a panel is drawn, so it
        starts nothing.
        """
        self._watched = address

    def unwatch(self) -> None:
        self._watched = None

    def is_watched(self) -> bool:
        return self._watched is not None

    def read(self) -> bool:
        """Takes over some changes of the watched farm. True when there are more at once."""
        if self._watched is None or native.problem() or not may_look_around(self._watched):
            return False
        try:
            client = self.client_for(self._watched)
            if not self._is_started:
                client.start()
                self._is_started = True
            return self.lists.read(client)
        except Exception as error:
            self.lists.head = dict(STOPPED, message=str(error))
            return False

    def why_unreachable(self) -> str:
        """Reason why nothing can be asked of the farm; "" when it answers."""
        return "" if self.lists.is_connected() else rpt_("Not connected to a master")


class MasterFarm:
    """The farm of the master in this Blender."""

    def __init__(self, lists: FarmLists, service: Service):
        self.lists = lists
        self._service = service
        self._client: Client | None = None
        self._url = ""  # of the Client

    def client(self) -> Client:
        """A native Client for the master. Raises RuntimeError when none runs."""
        url = self._service.snapshot.get("url") if self._service.is_running() else ""
        if not url:
            raise RuntimeError(rpt_("The master in this Blender is not running. Press Start Service"))
        if self._client is None or self._url != url:
            self._client, self._url = native.module().Client(url), url
        return self._client

    def drop(self) -> None:
        self._client, self._url = None, ""

    def why_unreachable(self) -> str:
        """Reason why nothing can be asked of the farm; "" when it answers."""
        return "" if self.lists.is_connected() else rpt_("The master in this Blender is not running")


Farm = ClientFarm | MasterFarm


def may_look_around(address: str) -> bool:
    """Blender 4.2+ asks add-ons to stay silent while Allow Online Access is off, unless the user
    names a place.
    """
    return bool(address) or getattr(bpy.app, "online_access", True)
