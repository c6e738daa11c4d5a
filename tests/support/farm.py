# SPDX-License-Identifier: GPL-3.0-or-later
"""Real `netrender` processes for tests: started, watched, ended, and looked for afterwards.

Every process carries a mark in its environment, which its children inherit. So whatever a test leaves running is
found in /proc, however it was started and whoever adopted it.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from support.api import MasterApi
from support.paths import ROOT

PROGRAM = Path(os.environ.get("NETRENDER_TEST_PROGRAM", ROOT / "target" / "debug" / "netrender"))
MARK = "TEST_MARK_OF_NETRENDER"  # not NETRENDER_...: slaves keep those from their workers
START_S = 60
STOP_S = 10
# Exit codes of the program.
USAGE, NO_MASTER = 2, 3


def complaint(done):
    """What a command said when it refused: one message, no traces of the program's insides."""
    said = done.err.strip()
    assert said
    assert "panicked" not in said
    assert "RUST_BACKTRACE" not in said
    return said


def wait_until(look, timeout_s, what, every_s=0.02):
    """What `look` finds; fails with `what` when it finds nothing in time."""
    until = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < until, f"{what}: not within {timeout_s} s"
        time.sleep(every_s)
    return found


@dataclass
class Service:
    """A process that goes on until it is stopped."""

    name: str
    popen: subprocess.Popen
    log: Path
    url: str = ""
    data: Path | None = None
    command: list[str] = field(default_factory=list)

    def text(self):
        return self.log.read_text(errors="replace")

    def lines(self, word):
        return [line for line in self.text().splitlines() if word in line]

    def alive(self):
        return self.popen.poll() is None


@dataclass
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str
    seconds: float

    def json(self):
        """What it answered; an error that follows on stdout is another document."""
        return json.JSONDecoder().raw_decode(self.out.lstrip())[0]


class FarmEnv:
    """One farm in a folder of its own. `close()` is the last test of every test: nothing died, nothing is left."""

    def __init__(self, folder):
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.services = []
        self.prefix = []  # put before every command; for network namespaces
        home = folder / "home"
        home.mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NETRENDER_", "BLENDER"))}
        self.environ = {
            **kept,
            MARK: self.mark,
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "NO_COLOR": "1",
        }

    # -------------------------------------------------------------------------------------------- services

    def spawn(self, name, command, stdin=subprocess.DEVNULL, **environ):
        log = self.folder / f"{name}-{len(self.services)}.log"
        command = [*self.prefix, *map(str, command)]
        with log.open("wb") as file:
            popen = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**self.environ, **environ},
                stdin=stdin,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = Service(name, popen, log, command=command)
        self.services.append(service)
        return service

    def master(self, *options, data=None, name="master", port=0, host="127.0.0.1", broadcast=False):
        data = data or self.folder / "master-data"
        command = [PROGRAM, "master", "--data", data, "--host", host, "--port", port, "--name", name]
        command += [] if broadcast else ["--no-broadcast"]
        service = self.spawn(name, [*command, *options])
        service.data = data
        service.url = self.await_line(service, r"listening on (http://[^\s,\"]+)").group(1)
        return service

    def slave(self, master, blender, *options, name="slave", wait=True):
        """Starts a slave; returns once the master lists it, unless told not to wait."""
        url = master if isinstance(master, str) else master.url
        data = self.folder / f"{name}-data"
        command = [
            PROGRAM,
            "slave",
            "--master",
            url,
            "--data",
            data,
            "--name",
            name,
            "--blender",
            blender.path,
        ]
        service = self.spawn(name, [*command, *options])
        service.data, service.url = data, url
        if wait:
            self.await_slave(url, name)
        return service

    def await_slave(self, url, name, state="ready"):
        def look():
            self.check_alive()
            return next(
                (s for s in MasterApi(url).slaves() if s["name"] == name and s["state"] == state), None
            )

        return wait_until(look, START_S, f"slave {name} is {state}")

    def await_line(self, service, pattern, timeout_s=START_S):
        expression = re.compile(pattern)

        def look():
            found = expression.search(service.text())
            assert found or service.alive(), (
                f"{service.name} ended ({service.popen.returncode}):\n{service.text()}"
            )
            return found

        return wait_until(look, timeout_s, f"{service.name} says {pattern!r}")

    def check_alive(self):
        for service in self.services:
            assert service.alive(), (
                f"{service.name} ended ({service.popen.returncode}):\n{service.text()[-3000:]}"
            )

    def stop(self, service, number=signal.SIGTERM, timeout_s=STOP_S):
        """Asks it to end as its owner would; returns (exit code, seconds it took)."""
        self.services.remove(service)
        began = time.monotonic()
        service.popen.send_signal(number)
        try:
            code = service.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            service.popen.kill()
            raise AssertionError(
                f"{service.name} did not end within {timeout_s} s:\n{service.text()[-3000:]}"
            ) from None
        return code, time.monotonic() - began

    def kill(self, service):
        """As a power cut would."""
        self.services.remove(service)
        service.popen.kill()
        service.popen.wait()

    def wait_end(self, service, timeout_s=START_S):
        """For a service that is expected to end by itself; returns its exit code."""
        self.services.remove(service)
        return service.popen.wait(timeout_s)

    # -------------------------------------------------------------------------------------------- commands

    def run(self, command, timeout_s=300, **environ):
        began = time.monotonic()
        done = subprocess.run(
            [*self.prefix, *map(str, command)],
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            start_new_session=True,  # a share of the processors of its own, whatever other tests run
        )
        return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def cli(self, *arguments, code=0, timeout_s=300, **environ):
        """`netrender ARGUMENTS`; fails unless it ends with `code`."""
        done = self.run([PROGRAM, *arguments], timeout_s, **environ)
        assert done.code == code, (
            f"netrender {' '.join(map(str, arguments))} ended with {done.code}, not {code}\n{done.out}\n{done.err}"
        )
        assert "panicked" not in done.err, done.err
        return done

    def submit(self, master, blender, blend, *options, code=0):
        """Sends a scene as an artist does; the job's number. With `--wait` it returns at the job's end."""
        address = ["--master", master.url, "--blender", blender.path]
        told = self.cli("submit", blend, *address, "--split", "off", "--json", *options, code=code).json()
        return told["id"] if "--wait" in options else told["job"]

    # ------------------------------------------------------------------------------------------------- end

    def running(self):
        """{pid: command line} of every process with our mark, zombies aside."""
        found = {}
        needle = f"{MARK}={self.mark}".encode()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if needle in (folder / "environ").read_bytes().split(b"\0"):
                    command = (
                        (folder / "cmdline")
                        .read_bytes()
                        .replace(b"\0", b" ")
                        .decode(errors="replace")
                        .strip()
                    )
                    if command:
                        found[int(folder.name)] = command
        return found

    def close(self):
        problems = [
            f"{service.name} died unexpectedly with code {service.popen.returncode}"
            for service in self.services
            if not service.alive()
        ]
        problems += [
            f"{service.name} panicked: {service.lines('panicked')[0]}"
            for service in self.services
            if service.lines("panicked")
        ]
        # Slaves first, as people do; a slave without master must end just as well, but that is its own test.
        for service in [s for s in reversed(self.services) if s.alive()]:
            try:
                code, _ = self.stop(service)
                if code != 0:
                    problems.append(f"{service.name} ended with code {code} on SIGTERM")
            except AssertionError as error:
                problems.append(str(error))
        deadline = time.monotonic() + 3
        while (left := self.running()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid, command in left.items():
            problems.append(f"left running: {pid} {command}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not problems, "\n".join(problems)
