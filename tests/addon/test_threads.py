# SPDX-License-Identifier: GPL-3.0-or-later
"""The native module's threads step back behind those of the Blender they live in."""

import os
import sys
from pathlib import Path

import netrender_native as native
import pytest

from support.farm import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


def threads():
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


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
    # A thread begins as its parent was
    wait_until(lambda: standing(begun()) == {(os.SCHED_OTHER, 19)}, 10, "all are at nice 19")
    client.stop(), master.stop()
