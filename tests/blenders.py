# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blenders of the tests, and what a test asks of one without the farm: build a scene, render a frame."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCENES = HERE / "scenes"
PATIENCE_S = 180

# As `blender -b FILE -o OUT -f FRAME` does; the module has no command line.
LOCAL = """
import bpy, sys
blend, out, frames = sys.argv[1:]
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
for frame in map(int, frames.split(",")):
    scene.render.filepath = out
    scene.frame_start = scene.frame_end = frame
    bpy.ops.render.render(animation=True)
"""


class Blender:
    """A Blender program, or a Python with the module bpy."""

    def __init__(self, path, version):
        self.path, self.version = str(path), version
        self.is_python = "python" in Path(path).name

    def __repr__(self):
        return f"{'bpy' if self.is_python else 'blender'} {'.'.join(map(str, self.version))}"

    def command(self, script, *arguments):
        tail = ["--", *map(str, arguments)] if arguments else []
        if self.is_python:
            return [self.path, str(script), *tail]
        start = [
            self.path,
            "-b",
            "-noaudio",
            "--factory-startup",
            "--python-exit-code",
            "1",
            "--python",
            str(script),
        ]
        return [*start, *tail]

    def run(self, script, *arguments, env=None):
        done = subprocess.run(
            self.command(script, *arguments), capture_output=True, text=True, errors="replace",
            timeout=PATIENCE_S, check=False, env=env,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, blend, *wishes):
        """A scene from scenes/farm.py."""
        blend.parent.mkdir(parents=True, exist_ok=True)
        self.run(SCENES / "farm.py", blend, *wishes)
        assert blend.exists()
        return blend

    def render_local_with_scripts(self, blend, frame, folder):
        """The film of a frame of a scene whose own Python may run."""
        return self.render_local(blend, [frame], folder, "--enable-autoexec")[frame]

    def render_local(self, blend, frames, folder, *options):
        """{frame: film} as this machine renders them without any farm."""
        folder.mkdir(parents=True, exist_ok=True)
        pattern = folder / "####"
        if self.is_python:
            command = [self.path, "-c", LOCAL, blend, pattern, ",".join(map(str, frames))]
        else:
            command = [self.path, "-b", "-noaudio", "--factory-startup", *options, blend, "-o", pattern]
            command += ["-f", ",".join(map(str, frames))]
        done = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        films = {frame: folder / f"{frame:04}.exr" for frame in frames}
        for film in films.values():
            assert film.exists(), done.stdout + done.stderr
        return films


def version_of(path):
    is_python = "python" in Path(path).name
    expression = "import bpy; print('VERSION', *bpy.app.version)"
    command = (
        [path, "-c", expression]
        if is_python
        else [path, "-b", "--factory-startup", "--python-expr", expression]
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    line = next(line for line in done.stdout.splitlines() if line.startswith("VERSION"))
    return tuple(map(int, line.split()[1:]))


def find_program():
    """The Blender with a command line: $BLENDER or the one on the PATH."""
    path = shutil.which(os.environ.get("BLENDER") or "blender")
    return Blender(path, version_of(path)) if path else None


def find_module():
    """This very Python, when it has the module bpy."""
    if importlib.util.find_spec("bpy") is None:
        return None
    return Blender(sys.executable, version_of(sys.executable))
