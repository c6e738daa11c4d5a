# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames fetched to be looked at: where they were put."""

import os

import bpy


class FetchedFrames:
    def __init__(self):
        self.last_file = ""  # path of the frame fetched last
        self._folders: dict[
            tuple[bool, int], str
        ] = {}  # (the job is the master's in this Blender, its number)

    def folder_of(self, is_master: bool, job: int) -> str:
        """The folder where frames of a job were put last; "" when none was fetched."""
        return self._folders.get((is_master, job), "")

    def add(self, is_master: bool, job: int, path: str) -> None:
        self.last_file = path
        self._folders[is_master, job] = os.path.dirname(path)

    def forget(self) -> None:
        self._folders.clear()


def passing_folder(address: str, job: int) -> str:
    """A folder for frames of a job that goes when Blender quits, as its Render Result does. Made if
    missing.
    """
    name = "".join(c if c.isalnum() else "_" for c in address)
    path = os.path.join(bpy.app.tempdir, "netrender", name, f"job_{job}")
    os.makedirs(path, exist_ok=True)
    return path
