# SPDX-License-Identifier: GPL-3.0-or-later
"""The native module's threads step back behind those of the Blender they live in; what an artist waits for does not."""

import contextlib
import os
import sys
from pathlib import Path

import netrender_native as native
import pytest

from support.farm import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


def threads():
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def starters():
    """The threads that only start programs."""
    found = set()
    for task in threads():
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            if Path(f"/proc/self/task/{task}/comm").read_text() == "netrender-start\n":
                found.add(task)
    return found


def standing(tasks):
    """(policy, nice) of each thread that is still there."""
    found = set()
    for task in tasks:
        try:
            found.add((os.sched_getscheduler(task), os.getpriority(os.PRIO_PROCESS, task)))
        except ProcessLookupError:
            continue
    return found


@pytest.fixture
def begun():
    """The threads that were begun since."""
    native.end_threads()
    before = threads()
    mine = standing(before)
    yield lambda: threads() - before
    native.end_threads()
    assert standing(before) == mine, "threads of others were touched"


def test_they_step_back(begun, tmp_path):
    master = native.Master(data=str(tmp_path), host="127.0.0.1", port=0, broadcast=False)
    master.start()
    client = native.Client(master.snapshot()["url"])
    client.start()
    wait_until(lambda: client.snapshot()["state"] == "connected", 10, "the master answers")
    # A thread begins as its parent was. One starts programs, which inherit its priority.
    wait_until(lambda: standing(begun() - starters()) == {(os.SCHED_OTHER, 19)}, 10, "all are at nice 19")
    client.stop(), master.stop()


def test_a_blender_that_looks_at_the_scene_does_not(begun, tmp_path):
    # Given a Blender that tells its priority instead
    blender = tmp_path / "blender"
    blender.write_text(f"#!/bin/sh\nnice > {tmp_path}/nice\n")
    blender.chmod(0o700)
    scene = tmp_path / "a.blend"
    scene.touch()

    # When a scene is looked at
    client = native.Client("http://127.0.0.1:1")
    transfer = client.check({"blend": str(scene), "source": str(scene), "program": str(blender)})
    assert transfer.wait(60)

    # Then it has the priority of this process: at the lowest one, a machine that renders lets it starve
    assert (tmp_path / "nice").read_text() == f"{os.nice(0)}\n"
