# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective values of a service or a job: the scene's settings, the environment and the preferences
combined. Decided here and nowhere else.
"""

import functools
import os
import sys

import bpy

from .. import native
from .preferences import preferences
from .scene import NETRENDER_PG_master


def master_address(named: str) -> str:
    """The master to talk to: the address given in the scene, else NETRENDER_MASTER, else the
    preferences'; "" leaves it to discovery. In a service without a window the environment comes
    first, so that one .blend serves many machines.
    """
    environment = os.environ.get("NETRENDER_MASTER", "")
    default = getattr(preferences(), "master", "")
    first, second = (environment, named) if bpy.app.background else (named, environment)
    return (first or second or default).strip()


def service_variable(name: str, former: str) -> str:
    """Value of an environment variable for a service without a window; "" in a Blender with one. The
    variable's former name still works, with a warning.
    """
    if not bpy.app.background:
        return ""
    value = os.environ.get(name, "")
    if not value and os.environ.get(former):
        value = os.environ[former]
        warn_once(f"{former} is called {name} now; the old name still works")
    return value


@functools.cache
def warn_once(sentence: str) -> None:
    print(f"netrender: {sentence}", file=sys.stderr, flush=True)


def working_folder(given: str, kind: str) -> str:
    """Absolute working folder of a "master" or a "slave"; the service makes it when it is missing.
    Raises RuntimeError without the compiled module, and ValueError where no folder is known.
    """
    environment = service_variable(f"NETRENDER_{kind.upper()}_DATA", "NETRENDER_DATA")
    if environment:
        return os.path.abspath(environment)
    if given:
        return os.path.abspath(bpy.path.abspath(given))
    base = getattr(preferences(), "folder", "")
    if base:
        return os.path.join(os.path.abspath(bpy.path.abspath(base)), kind)
    folder = native.module().data_folder(kind)
    if folder is None:
        raise ValueError(f"This user has no home folder. Give the {kind} a working folder")
    return os.path.abspath(folder)


def default_folder(kind: str) -> str:
    """The working folder of a service whose settings name none, to be shown; "" where it is not
    known.
    """
    try:
        return working_folder("", kind)
    except (RuntimeError, ValueError):
        return ""


def port(settings: NETRENDER_PG_master) -> int:
    """The master's port. Raises ValueError for an environment that names none."""
    environment = service_variable("NETRENDER_MASTER_PORT", "NETRENDER_PORT")
    if not environment:
        return settings.port
    if not environment.isdigit() or int(environment) > 65535:
        raise ValueError(f"NETRENDER_MASTER_PORT is '{environment}'. Give a number from 0 to 65535")
    return int(environment)


def host_names() -> list[str]:
    """Names that a master answers to over HTTP besides its machine's own."""
    return [
        name.strip() for name in os.environ.get("NETRENDER_MASTER_ALLOW_HOST", "").split(",") if name.strip()
    ]


def tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def engine_of(scene: bpy.types.Scene) -> str:
    """The engine that slaves render the scene with, as this Blender spells it."""
    choice = scene.netrender.job.engine
    if choice == "CYCLES":
        return "CYCLES"
    if choice == "EEVEE":
        return "BLENDER_EEVEE_NEXT" if (4, 2, 0) <= bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"
    if choice == "WORKBENCH":
        return "BLENDER_WORKBENCH"
    return "CYCLES" if scene.render.engine == "NET_RENDER" else scene.render.engine
