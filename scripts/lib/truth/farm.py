# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm of its own for an audit: a master, and for each job new slaves that do not see the originals."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import demo_farm

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "target" / "debug" / "netrender"
SLAVES = ("anna", "ben")


def unshare() -> list[str]:
    """The command whose children have mounts of their own; [] where the system has none, or refuses."""
    if not shutil.which("unshare"):
        return []
    for command in (["unshare", "-m"], ["unshare", "-Urm"]):
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
        if done.returncode == 0:
            return command
    return []


class Farm(demo_farm.Farm):
    """Leaving the `with` block ends every process."""

    def __init__(self, blender: str, folder: Path, allow_scripts: bool):
        super().__init__(str(PROGRAM), blender, folder)
        self.allow_scripts = allow_scripts
        self.unshare = unshare()
        self.empty = folder / "empty"
        self.empty.touch()

    def begin(self) -> None:
        options = ["--host", "127.0.0.1", "--port", 0, "--no-broadcast", "--name", "truth"]
        options += ["--allow-scripts"] if self.allow_scripts else []
        log = self.start("master", "master", "--data", self.output / "master", *options)
        self.url = self.url_of(log)

    def files_of(self, job: int) -> list[str]:
        """The artist's paths of the files of a job."""
        paths: list[str] = []
        while True:
            page = self.get(f"api/v1/jobs/{job}/files?skip={len(paths)}&limit=10000")
            paths += [file["path"] for file in page["files"]]
            if not page["files"] or len(paths) >= page["total"]:
                return paths

    def slaves(self, job: int, hidden: list[Path]) -> list[str]:
        """Starts slaves that find nothing below these folders. Returns their names."""
        names = [f"{name}-{job}" for name in SLAVES]
        threads = max(1, (os.cpu_count() or 2) // len(SLAVES))
        for name in names:
            command = [PROGRAM, "slave", "--master", self.url, "--data", self.output / name, "--name", name]
            command += ["--blender", self.blender, "--threads", threads]
            if self.unshare:
                hide = "".join(f"{mount}\n" for mount in self.mounts(hidden, self.files_of(job)))
                script = f"set -e\n{hide}exec {shlex.join(map(str, command))}"
                command = [*self.unshare, "bash", "-c", script]
            self.run_service(name, list(map(str, command)))
        return names

    def mounts(self, folders: list[Path], files: list[str]) -> list[str]:
        """Commands that hide folders, or the files in them where something that a slave needs lies below."""
        needed = [
            PROGRAM,
            self.output,
            Path(self.blender).absolute(),
            Path(self.blender).resolve(),
            ROOT / ".venv",
        ]
        whole = {folder for folder in folders if not any(path.is_relative_to(folder) for path in needed)}
        commands = [
            f"mount -t tmpfs -o size=4k none {shlex.quote(str(folder))}" for folder in top_most(whole)
        ]
        for path in map(Path, files):
            if path.is_file() and not any(path.is_relative_to(folder) for folder in whole):
                commands.append(f"mount --bind {shlex.quote(str(self.empty))} {shlex.quote(str(path))}")
        return commands

    def run_service(self, name: str, command: list[str]) -> None:
        program, self.program = self.program, command[0]
        try:
            self.start(name, *command[1:])
        finally:
            self.program = program

    def stop(self, names: list[str]) -> None:
        """Ends these slaves."""
        ended = [entry for entry in self._running if entry[0] in names]
        self._running = [entry for entry in self._running if entry not in ended]
        for _, process, _ in ended:
            process.terminate()
        for _, process, _ in ended:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def top_most(folders: set[Path]) -> list[Path]:
    return sorted(folder for folder in folders if not any(above in folders for above in folder.parents))
