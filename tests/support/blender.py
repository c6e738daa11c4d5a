# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blenders of the tests, and what a test asks of one without the farm: build a scene, render a frame."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support.paths import ADDON, SCENES, TESTS
from support.zygote import Zygote

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


# Cold render of one frame by the bpy module, which has no `-f`.
COLD = """
import bpy, sys
blend, out, frame, scripts = sys.argv[1:]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=scripts == "yes")
scene = bpy.context.scene
scene.frame_set(int(frame))
scene.render.filepath = out
bpy.ops.render.render(write_still=True)
"""


def with_tests(environ):
    """The environment in which scripts inside Blender can import the packages `support` and `scenes`."""
    folders = [environ.get("PYTHONPATH"), str(TESTS)]
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


class Blender:
    """A Blender program, or a Python with the module bpy."""

    def __init__(self, path, version):
        self.path, self.version = str(path), version
        self.is_python = "python" in Path(path).name
        self._zygote = None

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

    def with_windows(self, story, *arguments, size=(1500, 950), blend=None, simulated=False):
        """The command that tells a story of gui/ in a Blender with windows; `simulated`: with a mouse and keys of its
        own."""
        command = [self.path, *(["--enable-event-simulate"] if simulated else [])]
        command += ["--window-geometry", 0, 0, *size, *([blend] if blend else [])]
        command += ["--python-exit-code", 1, "--python", story]
        return [*command, "--", *arguments]

    def run(self, script, *arguments, env=None):
        done = subprocess.run(
            self.command(script, *arguments), capture_output=True, text=True, errors="replace",
            timeout=PATIENCE_S, check=False, env=with_tests(env or os.environ),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_forked(self, script, *arguments):
        """As `run`, in a fork of a Blender that has started, which saves the start (about 1 s). For
        scripts that write no OpenEXR file and need no environment of their own."""
        if not Zygote.is_possible:
            return self.run(script, *arguments)
        if self._zygote is None:
            self._zygote = Zygote(self._command_for_forks, with_tests(os.environ))
        code, printed = self._zygote.run(script, arguments, PATIENCE_S)
        assert code == 0, printed
        return printed

    def _command_for_forks(self, script, argument):
        program, *options = self.command(script, argument)
        # A fork lacks the threads of before: there are to be few.
        return [program, *([] if self.is_python else ["-t", "1"]), *options]

    def close(self):
        if self._zygote:
            self._zygote.close()
            self._zygote = None

    def build(self, blend, *wishes):
        """A scene from scenes/farm.py."""
        blend.parent.mkdir(parents=True, exist_ok=True)
        self.run_forked(SCENES / "farm.py", blend, *wishes)
        assert blend.exists()
        return blend

    def build_small(self, folder, *wishes):
        """A scene from scenes/small.py; its texture lies in `folder`/textures."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "textures").mkdir(exist_ok=True)
        blend = folder / "small.blend"
        self.run_forked(SCENES / "small.py", blend, folder / "textures" / "made.png", *wishes)
        return blend

    def build_one(self, folder, raw=None, *wishes, picture="made.png"):
        """A scene from scenes/paths_one.py; its picture lies in `folder`/textures."""
        folder.mkdir(parents=True, exist_ok=True)
        blend, picture = folder / "one.blend", folder / "textures" / picture
        self.run_forked(SCENES / "paths_one.py", blend, picture, raw or picture, *wishes)
        return blend

    def trace(self, blend, *options):
        """What the tracer tells."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "trace.json"
            self.run_forked(ADDON / "trace" / "netrender_trace.py", blend, out, *options)
            return json.loads(out.read_bytes())

    def render_cold(self, blend, frame, out, scripts=False):
        if self.is_python:
            command = [self.path, "-c", COLD, str(blend), str(out), str(frame), "yes" if scripts else "no"]
        else:
            pattern = out.with_name(out.stem + "_####")
            command = [self.path, "-b", "-noaudio", "-y" if scripts else "-Y", str(blend)]
            command += ["-o", str(pattern), "-f", str(frame)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if not self.is_python:
            out.with_name(f"{out.stem}_{frame:04}.exr").rename(out)
        return out

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


def find_any() -> Blender:
    """The Blender of this machine, rather with a command line than without."""
    blender = find_program() or find_module()
    assert blender, "no Blender on the PATH, and this Python has no module bpy"
    return blender


def find_module():
    """This very Python, when it has the module bpy."""
    if importlib.util.find_spec("bpy") is None:
        return None
    return Blender(sys.executable, version_of(sys.executable))
