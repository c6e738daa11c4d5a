# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers: submissions, checks of files and downloads that the compiled module has under way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import netrender_native as native


class Transfers:
    """The transfers under way, and the report on the files of the job that was sent or checked
    last.
    """

    def __init__(self):
        self.running: list[Transfer] = []  # oldest first
        self.report: native.Report | None = None

    def start(
        self,
        handle: native.Transfer,
        label: str,
        folder: str = "",
        on_end: Callable[[native.TransferSnapshot], None] | None = None,
    ) -> Transfer:
        """Takes charge of a native transfer and of its private `folder`. `on_end(snapshot)` runs on
        the main thread.
        """
        transfer = Transfer(self, handle, label, folder, on_end)
        self.running.append(transfer)
        return transfer

    def read(self) -> None:
        for transfer in list(self.running):
            transfer.read()

    def cancel(self) -> None:
        """Cancels all transfers and waits for none."""
        for transfer in self.running:
            transfer.cancel()
            transfer.remove_folder()
        self.running.clear()

    def fraction(self) -> float:
        """0 to 1: how far the oldest transfer is."""
        return self.running[0].fraction() if self.running else 0.0

    def problem_count(self) -> int:
        """Number of things that would go wrong with the job of the report."""
        return self.report["problem_count"] if self.report else 0


class Transfer:
    """A native transfer with the folder that must go when it is over."""

    def __init__(self, owner: Transfers, handle: native.Transfer, label: str, folder: str, on_end):
        self.handle = handle
        self.label = label
        self.hears_esc = False  # True while an operator waits for it
        self.snapshot = handle.snapshot()
        self._owner = owner
        self._folder = folder
        self._on_end = on_end
        self._end_is_known = False

    def read(self) -> native.TransferSnapshot:
        """The snapshot, fresh while the transfer runs. The first call that sees its end also tidies
        up.
        """
        if self._end_is_known:
            return self.snapshot
        self.snapshot = self.handle.snapshot()
        if self.snapshot.get("report"):
            self._owner.report = self.snapshot["report"]
        if self.snapshot["state"] != "running":
            self._end_is_known = True
            self.remove_folder()
            if self in self._owner.running:
                self._owner.running.remove(self)
            if self._on_end is not None:
                self._on_end(self.snapshot)
        return self.snapshot

    def is_over(self) -> bool:
        return self.read()["state"] != "running"

    def wait(self) -> None:
        # Short waits, so that Ctrl-C still reaches a script.
        while not self.handle.wait(0.2):
            pass
        self.read()

    def cancel(self) -> None:
        self.handle.cancel()

    def state(self) -> str:
        return self.read()["state"]

    @property
    def error(self) -> str:
        return self.snapshot["error"] or ""

    def fraction(self) -> float:
        """0 to 1, by bytes."""
        total = self.snapshot["bytes_total"]
        return min(1.0, self.snapshot["bytes_done"] / total) if total else 0.0

    def remove_folder(self) -> None:
        remove_folder(self._folder)


def private_folder() -> str:
    """A new empty folder that only this user can read."""
    return tempfile.mkdtemp(prefix="netrender-")


def remove_folder(path: str) -> None:
    if path:
        shutil.rmtree(path, ignore_errors=True)
