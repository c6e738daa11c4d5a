# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm that chaos is made in: one master and some slaves that are started again whenever they end, each with a
line to the master that can be cut and slowed, and, where the system allows it, full disks and clocks that jump."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from support.api import MasterApi
from support.fake_blender import FAKE
from support.farm import PROGRAM, START_S, wait_until
from support.tcp_relay import TcpRelay

SLAVE_TIMEOUT_S = 3
DISK_MB = 1024  # at most; memory is taken for what is in it only
ROOT_OF_LIBRARIES = Path("/usr/lib")


def command(*words):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)


def is_linux_root():
    return hasattr(os, "geteuid") and os.geteuid() == 0 and Path("/proc/self/ns").exists()


def faketime_library():
    return next(iter(ROOT_OF_LIBRARIES.glob("*/faketime/libfaketimeMT.so.1")), None)


# ------------------------------------------------------------------------------------------------------ lines


class Relay:
    """A line through this process: works everywhere."""

    prefix = ()

    def __init__(self, port):
        self._line = TcpRelay(f"http://127.0.0.1:{port}")
        self.url = self._line.url
        self.cut, self.mend, self.damage = self._line.cut, self._line.mend, self._line.damage

    def slow(self):
        self._line.slow_s = 0.05

    def quicken(self):
        self._line.slow_s = 0.0

    def close(self):
        self._line.__exit__()


class Wire:
    """A network namespace at the end of a veth pair. A cut wire swallows packets, which a cut relay does not."""

    def __init__(self, port, mark, number):
        self._space, self._here, self._there = (
            f"chaos{mark}{number}",
            f"ch{mark}{number}a",
            f"ch{mark}{number}b",
        )
        # Other runs on this machine have other numbers here, most likely.
        net = f"10.{64 + int(mark[:2], 16) % 128}.{int(mark[2:4], 16)}"
        here, there = (f"{net}.{4 * number + host}" for host in (1, 2))
        command("ip", "netns", "add", self._space)
        try:
            command(
                "ip",
                "link",
                "add",
                self._here,
                "type",
                "veth",
                "peer",
                "name",
                self._there,
                "netns",
                self._space,
            )
            command("ip", "addr", "add", f"{here}/30", "dev", self._here)
            command("ip", "link", "set", self._here, "up")
            command("ip", "-n", self._space, "addr", "add", f"{there}/30", "dev", self._there)
            command("ip", "-n", self._space, "link", "set", self._there, "up")
            command("ip", "-n", self._space, "link", "set", "lo", "up")
        except AssertionError:
            self.close()
            raise
        self.prefix = ("ip", "netns", "exec", self._space)
        self.url = f"http://{here}:{port}"

    def cut(self):
        command("ip", "-n", self._space, "link", "set", self._there, "down")

    def mend(self):
        command("ip", "-n", self._space, "link", "set", self._there, "up")

    def slow(self):
        shape = ("root", "tbf", "rate", "512kbit", "burst", "16kbit", "latency", "500ms")
        command("tc", "-n", self._space, "qdisc", "replace", "dev", self._there, *shape)
        command("tc", "qdisc", "replace", "dev", self._here, *shape)

    def quicken(self):
        for words in (("-n", self._space), ()):
            device = self._there if words else self._here
            with contextlib.suppress(AssertionError):
                command("tc", *words, "qdisc", "del", "dev", device, "root")

    def close(self):
        with contextlib.suppress(AssertionError):
            command("ip", "netns", "del", self._space)


def wires_work():
    """Whether this machine lets us make namespaces, pairs and slow queues."""
    if not is_linux_root() or not shutil.which("ip") or not shutil.which("tc"):
        return False
    try:
        wire = Wire(1, os.urandom(2).hex(), 63)
    except AssertionError:
        return False
    try:
        wire.slow()
    except AssertionError:
        return False
    finally:
        wire.close()
    return True


# ------------------------------------------------------------------------------------------------ disk and clock


class Disk:
    """A file system of its own in memory. It is full when it is made as small as what is in it: no ballast needed."""

    def __init__(self, folder):
        self.folder = folder
        self.full_until = None  # inf while it is full
        folder.mkdir()
        command("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "netrender-chaos", folder)

    def fill(self):
        """Done again it takes what was freed meanwhile, as other programs on a full disk do."""
        self.full_until = float("inf")
        for _ in range(20):
            there = os.statvfs(self.folder)
            used = (there.f_blocks - there.f_bfree) * there.f_frsize
            # Refused when more was written meanwhile.
            with contextlib.suppress(AssertionError):
                return command("mount", "-o", f"remount,size={used}", self.folder)
        self.free()
        raise AssertionError("the disk can't be made small")

    def free(self):
        command("mount", "-o", f"remount,size={DISK_MB}m", self.folder)
        self.full_until = time.monotonic()

    def was_full(self, within_s=10):
        return self.full_until is not None and time.monotonic() - self.full_until < within_s

    def close(self, keep):
        if keep:
            shutil.copytree(
                self.folder, self.folder.with_name(f"{self.folder.name}-kept"), dirs_exist_ok=True
            )
        command("umount", "--lazy", self.folder)
        self.folder.rmdir()


class Clock:
    """The wall clock that a process sees; the monotonic one is left alone, as real jumps do."""

    def __init__(self, file, library):
        self._file = file
        self.jump(0)
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
        }

    @staticmethod
    def sweep():
        """What libfaketime leaves of processes that were killed."""
        for path in Path("/dev/shm").glob("*faketime_s*_*"):
            if not Path("/proc", path.name.rsplit("_", 1)[1]).exists():
                with contextlib.suppress(PermissionError):  # somebody else's
                    path.unlink(missing_ok=True)

    def jump(self, seconds):
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)


# --------------------------------------------------------------------------------------------------------- units


class Unit:
    """A service with a name and a folder. Whoever does something to it holds its lock."""

    def __init__(self, env, name, folder, disk=None, clock=None):
        self.env, self.name, self.folder, self.disk, self.clock = env, name, folder, disk, clock
        self.lock = threading.Lock()
        self.starts = 0
        self.deaths = []
        self.service = None

    def command(self):
        raise NotImplementedError

    def start(self):
        self.starts += 1
        environ = self.clock.environ if self.clock else {}
        self.service = self.env.spawn(f"{self.name}.{self.starts}", self.command(), **environ)

    def kill(self):
        self.env.kill(self.service)

    def signal(self, number):
        self.service.popen.send_signal(number)

    def look_after(self):
        """Starts it again when it ended by itself. It may do so when it finds its disk full, and never else."""
        if not self.lock.acquire(blocking=False):
            return
        try:
            if self.service.alive():
                return
            self.env.services.remove(self.service)
            if not (self.disk and self.disk.was_full()):
                self._died(f"ended by itself with {self.service.popen.returncode}")
            self.start()
        finally:
            self.lock.release()

    def _died(self, how):
        self.deaths.append(f"{self.service.name} {how}:\n{self.service.text()[-1500:]}")


class Master(Unit):
    def __init__(self, *arguments, newer, **keywords):
        super().__init__(*arguments, **keywords)
        self.programs = [PROGRAM, newer]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = MasterApi(self.url)

    def command(self):
        options = ["--host", "0.0.0.0", "--port", self.port, "--name", "chaos", "--no-broadcast"]
        options += ["--data", self.folder, "--slave-timeout", SLAVE_TIMEOUT_S]
        return [self.programs[0], "master", *options]

    def replace(self):
        """The other build from now on."""
        try:
            code, _ = self.env.stop(self.service, timeout_s=30)
            if code != 0:
                self._died(f"ended with {code} on SIGTERM")
        except AssertionError as error:
            self._died(str(error))
        self.programs.reverse()
        self.start()

    def is_up(self):
        with contextlib.suppress(OSError, AssertionError, ValueError):
            return self.api.get("api/v1/info").json()["service"] == "netrender"
        return False


class Slave(Unit):
    def __init__(self, *arguments, line, blender, **keywords):
        super().__init__(*arguments, **keywords)
        self.line, self.blender = line, blender
        self.line_lock = threading.Lock()

    def command(self):
        options = ["--data", self.folder, "--name", self.name, "--threads", 1, "--blender", self.blender]
        return [*self.line.prefix, PROGRAM, "slave", "--master", self.line.url, *options]

    def workers(self):
        """The numbers of its Blenders' processes; none while it starts: a slave whose first Blender dies refuses to."""
        found = []
        if not self.service.lines("registered"):
            return found
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == self.service.popen.pid:
                    found.append(int(stat.parent.name))
        return found


class Farm:
    """Everything that runs. `skipped` says which kinds of faults this machine can't have, and why."""

    def __init__(self, env, blender, slaves, newer):
        self.env, self.skipped = env, {}
        self._closing = contextlib.ExitStack()
        self._keep = False
        try:
            self._build(blender, slaves, newer)
        except BaseException:
            self.close()
            raise

    def _build(self, blender, slaves, newer):
        wires, library = wires_work(), faketime_library()
        if not is_linux_root():
            self.skipped["disk"] = "needs root on Linux"
        if not wires:
            self.skipped["wires"] = "need root on Linux, ip and tc; all slaves are behind relays"
        if library is None:
            self.skipped["clock"] = "the package faketime is not installed"
        apart = {"disk": self._disk("master"), "clock": self._clock("master")}
        self.master = Master(self.env, "master", self._folder("master"), newer=newer, **apart)
        self.slaves = []
        for number in range(slaves):
            name = f"slave{number}"
            # Half of them, and at least one, behind wires; a clock of its own for the first only.
            wired = wires and number >= slaves - max(1, slaves // 2)
            line = Wire(self.master.port, self.env.mark[:4], number) if wired else Relay(self.master.port)
            self._closing.callback(line.close)
            disk = self._disk(name) if number in (0, slaves - 1) else None
            # A real Blender does not stand libfaketime, which a slave hands on to it.
            clock = self._clock(name) if number == 0 and blender == FAKE else None
            slave = Slave(
                self.env, name, self._folder(name), line=line, blender=blender, disk=disk, clock=clock
            )
            self.slaves.append(slave)

    def _folder(self, name):
        return self.env.folder / f"{name}-disk" / "data"

    def _disk(self, name):
        if "disk" in self.skipped:
            return None
        disk = Disk(self._folder(name).parent)
        self._closing.callback(lambda: disk.close(self._keep))
        return disk

    def _clock(self, name):
        return (
            None if "clock" in self.skipped else Clock(self.env.folder / f"{name}.clock", faketime_library())
        )

    @property
    def units(self):
        return [self.master, *self.slaves]

    @property
    def api(self):
        return self.master.api

    def start(self):
        for unit in self.units:
            unit.start()
        wait_until(self.master.is_up, START_S, "the master answers")
        wait_until(lambda: len(self.api.slaves()) == len(self.slaves), START_S, "the slaves are there")

    def look_after(self):
        for unit in self.units:
            unit.look_after()

    def close(self, keep=False):
        """Takes down lines and disks; `keep` copies what is on the disks first."""
        self._keep = keep
        self._closing.close()
        Clock.sweep()
