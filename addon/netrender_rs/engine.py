# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine NET_RENDER. With a window it renders on the farm: F12 and animations, see
farm_render.py. Without a window it is the way to run a service: `blender -b master.blend -a` calls
render(), which runs the master or slave that the scene is set up for, until SIGINT or SIGTERM.

Ending is the delicate part. Returning from render(), raising, or error_set() would make Blender
write the remaining frames black; leaving the process with sys.exit() inside render() writes none
and still unregisters add-ons.
"""

import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import bpy

from . import native, passes
from .farm_render import ENGINE, FarmRender, show
from .languages import rpt_
from .props import effective
from .runtime import session

LOOP_S = 0.1  # how soon a signal is noticed
USAGE_ERROR = 2
FAILED = 1

# Panels that Blender's own engines have and ours cannot fill.
NOT_OURS = {"VIEWLAYER_PT_filter", "VIEWLAYER_PT_layer_passes"}

_borrowed = []  # COMPAT_ENGINES sets we put ourselves into


class NETRENDER_RE_engine(bpy.types.RenderEngine):
    bl_idname = ENGINE
    bl_label = "Network Render"
    bl_use_preview = False
    bl_use_eevee_viewport = True
    bl_use_postprocess = True

    def update_render_passes(self, scene=None, renderlayer=None):
        current = FarmRender.current
        engine = current.engine if current else effective.engine_of(scene)
        passes.announce(self, scene, renderlayer, engine)

    def render(self, depsgraph):
        scene = depsgraph.scene
        mode = scene.netrender.mode
        if FarmRender.current is not None or (mode == "CLIENT" and not bpy.app.background):
            show(self, scene)
            return
        if not bpy.app.background:
            self.error_set(
                rpt_(
                    "Press Start Service in Render Properties > Network Render. Rendering with this engine "
                    "runs a service only without a window: blender -b FILE.blend -a"
                )
            )
            return
        if mode == "CLIENT":
            leave(
                USAGE_ERROR,
                f"Scene '{scene.name}' is set to Client, so there is no service to run. Choose Master or "
                "Slave in Render Properties > Network Render and save, or send the file with: "
                "netrender submit FILE.blend",
            )
        serve(mode.lower(), scene)


def leave(code: int, message: str) -> NoReturn:
    print(f"netrender: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def serve(kind: str, scene: bpy.types.Scene) -> NoReturn:
    """Runs the service until a signal, or somebody at the master, asks to stop."""
    asked = []

    def ask(number, _frame):
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)  # a second one ends a service that cannot stop

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # SIGBREAK is Windows' Ctrl-Break
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), ask)

    service = session.services[kind]
    try:
        service.start(service.new_handle(scene))
    except (RuntimeError, ValueError, OSError, *native.errors()) as error:
        leave(FAILED, f"The {kind} did not start: {error}")
    said = ""
    while not asked:
        snapshot = service.read()
        if snapshot["state"] == "failed":
            service.stop()
            leave(FAILED, f"The {kind} ended: {service.error}")
        if snapshot["state"] == "stopped" and service.phase != "starting":
            break
        line = status_line(kind, snapshot)
        if line != said:
            said = line
            print(line, flush=True)
        time.sleep(LOOP_S)
    service.stop()
    print(f"netrender {kind} stopped", flush=True)
    sys.exit(0)


def status_line(kind: str, snapshot: Mapping[str, Any]) -> str:
    """A line to print when it changes: where a master listens, or whom a slave works for."""
    if kind == "master":
        name, url, data = snapshot["name"], snapshot["url"], snapshot["data"]
        return f"netrender master '{name}' listens on {url}, keeps its files in {data}"
    words = {"looking": "looks for a master", "starting": "starts", "reconnecting": "reconnects"}
    state = words.get(snapshot["state"], f"works for {snapshot['master']}")
    return f"netrender slave '{snapshot['name']}' {state}"


def register() -> None:
    bpy.utils.register_class(NETRENDER_RE_engine)
    # The standard output, dimension and format panels name the engines they show up with.
    for panel in bpy.types.Panel.__subclasses__():
        engines = getattr(panel, "COMPAT_ENGINES", None)
        if (
            isinstance(engines, set)
            and "BLENDER_RENDER" in engines
            and NETRENDER_RE_engine.bl_idname not in engines
            and panel.__name__ not in NOT_OURS
        ):
            engines.add(NETRENDER_RE_engine.bl_idname)
            _borrowed.append(engines)


def unregister() -> None:
    for engines in _borrowed:
        engines.discard(NETRENDER_RE_engine.bl_idname)
    _borrowed.clear()
    bpy.utils.unregister_class(NETRENDER_RE_engine)
