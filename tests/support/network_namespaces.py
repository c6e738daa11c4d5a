# SPDX-License-Identifier: GPL-3.0-or-later
"""Two machines and a wire between them, as network namespaces: for what loopback can't show."""

import contextlib
import subprocess

ADDRESSES = ("10.77.0.1", "10.77.0.2")


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


class TwoHosts:
    """`here` and `there` are the hosts' names. No default route in either."""

    def __init__(self, mark):
        self.names = [f"nr{mark}a", f"nr{mark}b"]
        self.ends = [f"v{mark}a", f"v{mark}b"]
        self.here, self.there = self.names

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            for name in self.names:
                ip("netns", "add", name)
                undo.callback(ip, "netns", "del", name)
            (one, other), (end, far_end) = self.names, self.ends
            ip("link", "add", end, "netns", one, "type", "veth", "peer", "name", far_end, "netns", other)
            for name, end, address in zip(self.names, self.ends, ADDRESSES, strict=True):
                ip("-n", name, "addr", "add", f"{address}/24", "brd", "+", "dev", end)
                ip("-n", name, "link", "set", "lo", "up")
            self.mend()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    def on(self, farm, name):
        """What `farm` starts from now on runs on this host."""
        farm.prefix = ["ip", "netns", "exec", name]

    def address(self, name):
        return ADDRESSES[self.names.index(name)]

    def cut(self):
        """Pulls the cable at the far end: whoever sends is not told."""
        ip("-n", self.there, "link", "set", self.ends[1], "down")

    def mend(self):
        for name, end in zip(self.names, self.ends, strict=True):
            ip("-n", name, "link", "set", end, "up")

    def sent_by(self, name):
        """Bytes that left this host since it was made, headers and repetitions included."""
        end = self.ends[self.names.index(name)]
        counters = ip("netns", "exec", name, "cat", f"/sys/class/net/{end}/statistics/tx_bytes")
        return int(counters)
