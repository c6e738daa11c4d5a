# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to the compiled module `netrender_native`.

Blender 4.2 and later unpack the wheel that the manifest lists, so that a plain import finds it.
Older Blenders know nothing of wheels: there this module unpacks the wheel that came in `wheels/`
into a folder of its own under Blender's data files and imports it from there. When neither works
the add-on lives on without it: `problem()` is then a sentence for people, shown in the panel and on
every grey button. No other file imports the module.
"""

import hashlib
import importlib
import os
import platform
import shutil
import sys
import tempfile
import zipfile
from types import ModuleType
from typing import Any

import bpy


class Loaded:
    """The compiled module, or the reason why it is missing."""

    module: ModuleType | None = None
    problem = "The compiled part of netrender-rs was not loaded yet"
    folder = ""  # of an unpacked wheel, put on sys.path and to be taken off again


def module() -> ModuleType:
    """`netrender_native`. Raises RuntimeError with the reason when it is not there."""
    if Loaded.module is None:
        raise RuntimeError(Loaded.problem)
    return Loaded.module


def problem() -> str:
    """Reason why the compiled part is missing, as one or more sentences; "" when it is there."""
    return "" if Loaded.module is not None else Loaded.problem


def errors() -> tuple[type[Exception], ...]:
    """The exceptions that native calls raise on purpose; their text is meant for people."""
    return (Loaded.module.NetrenderError,) if Loaded.module is not None else ()


def slave_settings() -> dict[str, Any]:
    """{setting: SettingInfo} of a slave's settings; empty without the module."""
    if Loaded.module is None:
        return {}
    return {info["setting"]: info for info in Loaded.module.slave_settings()}


def register() -> None:
    try:
        Loaded.module = importlib.import_module("netrender_native")
        return
    except ImportError as error:
        plain = error
    try:
        wheel = bundled_wheel(os.path.join(os.path.dirname(__file__), "wheels"))
        if wheel is None:
            Loaded.problem = (
                f"The compiled part of netrender-rs (netrender_native) is missing: {plain}. "
                "Install the add-on from a release zip made for your system"
            )
            return
        Loaded.folder = unpack(wheel)
        sys.path.insert(0, Loaded.folder)
        importlib.invalidate_caches()
        Loaded.module = importlib.import_module("netrender_native")
    except (ImportError, OSError, ValueError, zipfile.BadZipFile) as error:
        Loaded.problem = f"The compiled part of netrender-rs cannot be used here: {error}"
        forget_path()


def unregister() -> None:
    # The module stays in sys.modules: a compiled module cannot be unloaded, and enabling again
    # finds it there.
    if Loaded.module is not None:
        Loaded.module.end_threads()
    Loaded.module = None
    forget_path()


def forget_path() -> None:
    if Loaded.folder in sys.path:
        sys.path.remove(Loaded.folder)
    Loaded.folder = ""


def bundled_wheel(folder: str) -> str | None:
    """Path of the wheel made for this machine; None when there are no wheels at all.

    Raises ImportError naming what the zip was made for when none of its wheels fits.
    """
    if not os.path.isdir(folder):
        return None
    wheels = sorted(n for n in os.listdir(folder) if n.startswith("netrender") and n.endswith(".whl"))
    if not wheels:
        return None
    fitting = [n for n in wheels if fits(n)]
    if not fitting:
        made_for = ", ".join(n[:-4].rsplit("-", 1)[-1] for n in wheels)
        raise ImportError(
            f"this zip was made for {made_for}, this is {sys.platform} on {platform.machine()}. "
            "Install the zip for your system"
        )
    return os.path.join(folder, fitting[-1])


def fits(wheel: str) -> bool:
    """True for a wheel whose last tag (`manylinux_2_28_x86_64`, `macosx_11_0_arm64`, `win_amd64`)
    is this machine's.
    """
    tag = wheel[:-4].rsplit("-", 1)[-1].lower()
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}.get(machine, machine)
    tag = tag.replace("amd64", "x86_64").replace("aarch64", "arm64")
    system = {"linux": "linux", "darwin": "macosx", "win32": "win"}.get(sys.platform, sys.platform)
    right_system = tag.startswith(system) or (system == "linux" and tag.startswith("manylinux"))
    return right_system and (tag.endswith(machine) or tag.endswith("universal2"))


def unpack(wheel: str) -> str:
    """Unpacks a wheel once and returns the folder. Folders of older wheels are removed."""
    with open(wheel, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    home = bpy.utils.user_resource("DATAFILES", path="netrender_rs", create=True)
    version = os.path.basename(wheel).split("-")[1]
    target = os.path.join(home, f"{version}-{digest}")
    if not os.path.isdir(target):
        fresh = tempfile.mkdtemp(dir=home)
        try:
            with zipfile.ZipFile(wheel) as content:
                content.extractall(fresh)
            os.rename(fresh, target)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            if not os.path.isdir(target):  # else another Blender was faster, with the same content
                raise
    for name in os.listdir(home):
        other = os.path.join(home, name)
        if other != target and "-" in name:
            shutil.rmtree(other, ignore_errors=True)  # Windows keeps one that is in use: next time
    return target
