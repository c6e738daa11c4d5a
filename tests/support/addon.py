# SPDX-License-Identifier: GPL-3.0-or-later
"""Blenders with the add-on: one with the real native module, and one whose farm is a stub."""

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path

from support.blender import with_tests
from support.paths import ADDON, ADDONS, TESTS

ENABLE = """
import bpy
bpy.ops.preferences.addon_enable(module="netrender_rs")
bpy.ops.wm.save_userpref()
"""

# A service is configured by its .blend.
MAKE_SERVICE = """
import bpy, sys
out, mode, folder, address = sys.argv[sys.argv.index("--") + 1:]
scene = bpy.context.scene
scene.render.engine = "NET_RENDER"
scene.render.filepath = out + ".pictures/####"
scene.frame_start, scene.frame_end = 1, 5
settings = scene.netrender
settings.mode = mode
settings.master.folder = settings.slave.folder = folder
settings.master.host, settings.master.port, settings.master.broadcast = "127.0.0.1", 0, False
settings.slave.master = address
settings.slave.name = folder.rsplit("/", 1)[1]
settings.slave.threads_mode, settings.slave.threads = "FIXED", 1
bpy.ops.wm.save_as_mainfile(filepath=out)
"""

REGISTER = """
import bpy, os, sys
sys.path.insert(0, os.environ["ADDON_FOLDER"])
import netrender_rs
netrender_rs.register()
wm, scene = bpy.context.window_manager, bpy.context.scene
arguments = sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else []

def refused(call, **keywords):
    try:
        call(**keywords)
    except RuntimeError as error:
        return str(error)
    raise AssertionError("was not refused")
"""


def copy_native_module(folder):
    """Puts the native module alone into the folder: Blender must not see the rest of the tests' Python."""
    spec = importlib.util.find_spec("netrender_native")
    assert spec, "scripts/setup --test builds the native module"
    assert spec.origin
    native = Path(spec.origin)
    folder.mkdir()
    if native.parent.name == "netrender_native":
        shutil.copytree(native.parent, folder / "netrender_native")
    else:
        shutil.copy(native, folder)
    return folder


def run_with_addon(blender, folder, text, *arguments):
    """What Python text prints in a Blender with the add-on and the real native module."""
    modules = folder / "modules"
    environ = {
        **os.environ,
        "PYTHONPATH": str(modules if modules.exists() else copy_native_module(modules)),
        "ADDON_FOLDER": str(ADDONS),
        "BLENDER_USER_CONFIG": str(folder / "config"),
    }
    environ.pop("NETRENDER_MASTER", None)
    script = folder / "with_addon.py"
    script.write_text(REGISTER + text)
    return blender.run(script, *arguments, env=environ)


class Addon:
    """An artist's Blender with the add-on installed and enabled, in folders of its own."""

    def __init__(self, farm, blender):
        self.farm, self.blender = farm, blender
        home = farm.folder / "artist"
        addons = home / "scripts" / "addons"
        addons.mkdir(parents=True)
        (addons / "netrender_rs").symlink_to(ADDON)
        (home / "config").mkdir()
        modules = copy_native_module(home / "modules")
        self.environ = with_tests(
            {
                "BLENDER_USER_SCRIPTS": str(home / "scripts"),
                "BLENDER_USER_CONFIG": str(home / "config"),
                "PYTHONPATH": str(modules),
            }
        )
        self.script(ENABLE)

    def script(self, text, *arguments, blend=None):
        file = self.farm.folder / "script.py"
        file.write_text(text)
        if self.blender.is_python:
            assert blend is None, "a script opens the file itself there"
            command = [self.blender.path, file]
        else:
            command = [self.blender.path, "-b", "-noaudio", *([blend] if blend else [])]
            command += ["--python-exit-code", "1", "--python", file]
        done = self.farm.run([*command, "--", *arguments], **self.environ)
        assert done.code == 0, done.out + done.err
        return done.out

    def service(self, mode, name, address=""):
        """`blender -b name.blend -a`, running."""
        blend = self.farm.folder / f"{name}.blend"
        self.script(MAKE_SERVICE, blend, mode, self.farm.folder / f"{name}-data" / name, address)
        service = self.farm.spawn(name, [self.blender.path, "-b", "-noaudio", blend, "-a"], **self.environ)
        service.data = Path(f"{blend}.pictures")
        return service

    def master(self):
        service = self.service("MASTER", "master")
        service.url = self.farm.await_line(service, r"listens on (http://[^\s,]+)").group(1)
        return service

    def slave(self, name, master):
        service = self.service("SLAVE", name, master.url)
        self.farm.await_slave(master.url, name)
        return service


class StubbedAddon:
    """Runs scripts in a Blender with the add-on, whose native module is support/stub_native.py."""

    def __init__(self, blender, folder):
        self.blender, self.folder = blender, folder
        self.modules = folder / "modules"
        self.modules.mkdir()
        shutil.copy(TESTS / "support" / "stub_native.py", self.modules / "netrender_native.py")
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(self.modules),
            "ADDON_FOLDER": str(ADDONS),
            "XDG_DATA_HOME": str(folder / "data"),
            "BLENDER_USER_DATAFILES": str(folder / "datafiles"),
            "BLENDER_USER_CONFIG": str(folder / "config"),
        }
        for name in [name for name in self.environ if name.startswith("NETRENDER_")]:
            del self.environ[name]

    def without_native(self):
        (self.modules / "netrender_native.py").write_text('raise ImportError("not here")')

    def script(self, text):
        path = self.folder / "script.py"
        path.write_text(REGISTER + text)
        return path

    def __call__(self, text, *arguments):
        return self.blender.run(self.script(text), *arguments, env=self.environ)

    def serve(self, text, until):
        """Starts Blender and waits for a line of it."""
        log = self.folder / "log"
        process = subprocess.Popen(
            self.blender.command(self.script(text)),
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            env={**self.environ, "PYTHONUNBUFFERED": "1"},
        )
        end = time.monotonic() + 60
        while until not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        return process, log
