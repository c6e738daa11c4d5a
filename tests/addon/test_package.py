# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip and the wheel that people install, in a Blender and a Python that know nothing of this folder."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

PATIENCE_S = 240

INSTALL = """
import os, sys
import bpy

archive, folder = sys.argv[-2:]
bpy.ops.preferences.addon_install(filepath=archive)
bpy.ops.preferences.addon_enable(module="netrender_rs")
import netrender_rs
from netrender_rs import native

assert native.problem() == "", native.problem()
where = os.path.dirname(os.path.abspath(native.module().__file__))
master = native.module().Master(folder, host="127.0.0.1", port=0, broadcast=False)
master.start()
assert master.snapshot()["state"] == "running"
master.stop()
bpy.ops.preferences.addon_disable(module="netrender_rs")
assert not hasattr(bpy.types.Scene, "netrender")
bpy.ops.preferences.addon_enable(module="netrender_rs")
assert native.problem() == "", native.problem()
print("LOADED", where)
"""


def run(command, **options):
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_S,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_zip_installs_as_an_add_on(package, blender_program, tmp_path):
    archive, wheel = package
    script = tmp_path / "install.py"
    script.write_text(INSTALL)
    home = {
        f"BLENDER_USER_{name}": str(tmp_path / name.lower()) for name in ("CONFIG", "SCRIPTS", "DATAFILES")
    }
    for folder in home.values():
        Path(folder).mkdir()
    command = [blender_program.path, "-b", "-noaudio", "--factory-startup", "--python-exit-code", "1"]
    command += ["--python", script, "--", archive, tmp_path / "farm"]
    said = run(command, env={**os.environ, **home})
    where = Path(next(line for line in said.splitlines() if line.startswith("LOADED "))[7:])
    assert where.is_relative_to(tmp_path), "the module came from somewhere else"
    # Its wheel is what `pip install` takes, and both are all of it
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
        assert {name.split("/")[0] for name in names} == {"netrender_rs"}
        assert content.read(f"netrender_rs/wheels/{wheel.name}") == wheel.read_bytes()
        assert not [name for name in names if "__pycache__" in name]
        assert "netrender_rs/LICENSE" in names


def test_a_server_installs_the_wheel(package, tmp_path):
    _, wheel = package
    venv.create(tmp_path / "server", with_pip=False, symlinks=True)
    python = tmp_path / "server" / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", wheel])
    program = shutil.which("netrender", path=str(python.parent))
    assert run([program, "--version"]).startswith("netrender ")
    assert "master" in run([program, "--help"])
