# SPDX-License-Identifier: GPL-3.0-or-later
"""Small file systems in memory, and how to fill them. Mounting needs root."""

import contextlib
import os
import subprocess


@contextlib.contextmanager
def small_disk(folder, options):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "netrender-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk):
    """Leaves some 64 KiB."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    os.truncate(ballast, ballast.stat().st_size - 65536)
    return ballast


def free_bytes(disk):
    about = os.statvfs(disk)
    return about.f_bavail * about.f_frsize
