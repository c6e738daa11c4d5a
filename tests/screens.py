# SPDX-License-Identifier: GPL-3.0-or-later
"""Screens that nobody looks at, for Blenders with windows."""

import contextlib
import os
import subprocess


@contextlib.contextmanager
def new_screen():
    """DISPLAY of a new X server."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "+extension", "GLX"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb did not start"
    try:
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)
