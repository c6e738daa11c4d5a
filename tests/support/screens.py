# SPDX-License-Identifier: GPL-3.0-or-later
"""Screens that nobody looks at, for Blenders with windows."""

import contextlib
import os
import subprocess
from pathlib import Path


def on(display):
    """The environment of a Blender whose windows are on this screen."""
    # Without threads of its own, drawing takes a sixth less of the processors, which other tests want too.
    return {"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1", "LP_NUM_THREADS": "0"}


@contextlib.contextmanager
def new_screen():
    """DISPLAY of a new X server. Its number is chosen here, because a server that chooses by itself takes no lock:
    one in another network would get the same number, and a program in a third would find either of them.
    """
    number = next(
        n for n in range(100 + os.getpid() % 10_000, 20_000) if not Path(f"/tmp/.X{n}-lock").exists()
    )
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "+extension", "GLX"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.readline().strip() == str(number), "Xvfb did not start"
    try:
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)
