# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a job played through Blender's own render into the scene's output, run by run; then the
scene is as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import bpy

from . import safe_write, whole_picture
from .farm_render import ENGINE, LOOK_S, FarmRender, runs


class Playback:
    """One farm render being played. Ends with `on_end(render)` on the main thread."""

    current: Playback | None = None

    def __init__(self, render: FarmRender, scene: bpy.types.Scene, on_end: Callable[[FarmRender], None]):
        self.farm_render = render
        self.runs = runs(render.frames)
        self.on_end = on_end
        self.timer = self.advance  # one object: Blender knows a timer's function by its identity
        self.kept = {
            "engine": scene.render.engine,
            "filepath": scene.render.filepath,
            "frame_start": scene.frame_start,
            "frame_end": scene.frame_end,
            "frame_step": scene.frame_step,
            "frame_current": scene.frame_current,
        }

    def scene(self) -> bpy.types.Scene | None:
        return bpy.data.scenes.get(self.farm_render.scene)

    def render(self, how: str) -> set[str]:
        """Renders the next run."""
        run = self.runs[0]
        scene = bpy.data.scenes[self.farm_render.scene]
        scene.render.engine = ENGINE
        scene.frame_start, scene.frame_end, scene.frame_step = run.first, run.last, run.step
        self.runs.pop(0)
        whole_picture.whole_picture.begin(scene)
        return bpy.ops.render.render(how, animation=True, scene=scene.name)

    def advance(self) -> float | None:
        """A timer: goes on when Blender has ended a run."""
        if bpy.app.is_job_running("RENDER"):
            return LOOK_S
        safe_write.repair()
        if self.runs and not self.farm_render.is_canceled and self.scene() is not None:
            with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
                self.render("INVOKE_DEFAULT")
            return LOOK_S
        self.end()
        return None

    def end(self) -> None:
        """Puts the scene back."""
        whole_picture.whole_picture.end()
        scene = self.scene()
        if scene is not None:
            for name, value in self.kept.items():
                holder = scene.render if name in ("engine", "filepath") else scene
                if name == "frame_current":
                    scene.frame_set(value)
                else:
                    setattr(holder, name, value)
        self.farm_render.end()
        FarmRender.current = Playback.current = None
        self.on_end(self.farm_render)


def play(
    render: FarmRender, scene: bpy.types.Scene, is_script: bool, on_end: Callable[[FarmRender], None]
) -> None:
    """Renders the frames into the scene's output. Called on the main thread. A script waits for the
    end.
    """
    render.is_played = True
    FarmRender.current = render
    playback = Playback.current = Playback(render, scene, on_end)
    if not is_script:
        bpy.app.timers.register(playback.timer, first_interval=0.0, persistent=True)
        return
    try:
        while playback.runs and not render.problem:
            playback.render("EXEC_DEFAULT")
    except RuntimeError:
        if not render.problem:  # else the blocked output ended it: see farm_render.py
            raise
    finally:
        playback.end()


def register() -> None:
    """Nothing: a playback begins with `play()`."""


def unregister() -> None:
    playback = Playback.current
    if playback is not None:
        if bpy.app.timers.is_registered(playback.timer):
            bpy.app.timers.unregister(playback.timer)
        playback.end()
