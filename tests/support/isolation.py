# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets several test processes run on one machine: a network of their own, a lock for tests that need the machine
for themselves, and one for what is built once."""

import contextlib
import ctypes
import fcntl

from support.network_namespaces import ip
from support.paths import ROOT

CLONE_NEWNET = 0x40000000
LOCKS = ROOT / "target"


def enter_own_network():
    """Moves this thread, and all that it starts from now on, into a network of its own with nothing but loopback.

    Masters announce themselves by broadcasts, which reach every process of a network. Does nothing for those who may
    not: people other than root, and containers without that capability.
    """
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0:
        ip("link", "set", "lo", "up")


@contextlib.contextmanager
def locked(name, shared=False):
    """Holds a lock among all processes that test this checkout."""
    LOCKS.mkdir(exist_ok=True)
    with (LOCKS / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
