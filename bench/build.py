# SPDX-License-Identifier: GPL-3.0-or-later
"""Optimised builds of what is measured."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target"
PROGRAM = TARGET / "release" / "netrender"
MERGE = TARGET / "release" / "examples" / "merge"


def cargo(*what: str) -> None:
    subprocess.run(["cargo", "build", "--quiet", "--release", *what], cwd=ROOT, check=True)


def program() -> Path:
    """The program `netrender`."""
    cargo("--package", "netrender-cli", "--bin", "netrender")
    return PROGRAM


def merge_example() -> Path:
    """The example of the crate `film` that merges parts of a frame."""
    cargo("--package", "netrender-film", "--example", "merge")
    return MERGE


def native_module() -> None:
    """The native module; this process finds it before any other from now on."""
    folder = TARGET / "bench-modules"
    shutil.rmtree(folder, ignore_errors=True)
    maturin = [str(ROOT / ".venv" / "bin" / "maturin"), "build", "--quiet", "--locked", "--release"]
    subprocess.run([*maturin, "--out", str(folder / "wheel")], cwd=ROOT, check=True)
    (wheel,) = (folder / "wheel").glob("*.whl")
    shutil.unpack_archive(wheel, folder, "zip")
    sys.path.insert(0, str(folder))
