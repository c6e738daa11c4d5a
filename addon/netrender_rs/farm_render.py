# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a job on their way into Blender's own render window, compositor and output.

Blender asks the engine Network Render for one frame after another: in a thread of its own when a
key or a button began the render, on the main thread when a script did. Each request ends in
`show()`, which sends the scene if nobody has yet, waits for the frame, shows its samples while they
come, and loads the film into Blender. All that Blender does with a frame that it has rendered
itself then follows. The film of a frame has every view layer, so the first of Blender's requests
for a frame serves them all.

A request for a frame that is unavailable must not be answered: Blender would go on with a black
picture and write it over a good one. So the request is held open, with the reason in the window's
header, until ESC is pressed or somebody mends it (requeues the frame, starts the master again). A
script has no ESC: there the output is made impossible to write, which ends the render before
anything is lost.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import bpy

from . import film_loading, native, safe_write, submission, whole_picture
from .languages import rpt_
from .props import effective
from .runtime import private_folder, remove_folder, session

if TYPE_CHECKING:
    from netrender_native import FrameDetail, Transfer, TransferSnapshot

ENGINE = "NET_RENDER"
LOOK_S = 0.25  # between two requests for a frame
UNFINISHED_PART = 0.2  # of the time, for samples of a frame that is not done

Result = TypeVar("Result")


class Canceled(Exception):
    """ESC was pressed, or the add-on ends."""


class Unavailable(Exception):
    """A frame cannot come; the message says why, in the artist's words."""


class FarmRender:
    """Frames of one job for Blender, in Blender's order. `job` 0: to be sent, and to be canceled
    with the render.
    """

    current: FarmRender | None = None  # that Blender asks about; None between renders

    def __init__(
        self, scene: bpy.types.Scene, engine: str, frames: list[int], job: int = 0, is_own: bool = True
    ):
        self.scene = scene.name
        self.has_views = scene.render.use_multiview
        self.engine = engine  # that slaves render with
        self.frames = frames
        self.job = job
        self.is_own = is_own
        self.is_canceled = False
        self.is_played = False  # by a Playback, which ends it
        self.shown: int | None = None  # the frame that Blender has
        self.problem = ""
        self.client = submission.client_for(scene)
        self.folder = private_folder()

    def cancel(self) -> None:
        """Cancels the job too, if it was sent for this render."""
        if self.is_canceled:
            return
        self.is_canceled = True
        if self.is_own and self.job:
            session.errands.do(self.client.cancel, self.job)

    def end(self) -> None:
        remove_folder(self.folder)


class BlockedOutput:
    """A scene's output path while nothing must be written there."""

    def __init__(self):
        self._kept: tuple[str, str] | None = None  # (scene, its own path)

    def block(self, scene: str) -> None:
        """Sets a path below a file: Blender ends an animation whose frame it cannot write."""
        render = bpy.data.scenes[scene].render
        self._kept = (scene, render.filepath)
        render.filepath = os.path.join(os.devnull, "not rendered ")

    def restore(self) -> None:
        if self._kept is not None:
            (scene, path), self._kept = self._kept, None
            bpy.data.scenes[scene].render.filepath = path


blocked_output = BlockedOutput()


def show(engine: bpy.types.RenderEngine, scene: bpy.types.Scene) -> None:
    """Answers Blender's request for the scene's current frame. Returns without a picture when ESC
    was pressed, and in a script when the frame is unavailable.
    """
    try:
        if FarmRender.current is None:
            FarmRender.current = on_main_thread(
                engine, lambda: begin(engine, scene.name, scene.frame_current)
            )
        render = FarmRender.current
        if render.shown == scene.frame_current:
            return
        if not render.job:
            send(engine, render)
        give(engine, render, scene.frame_current)
    except Canceled:
        if FarmRender.current is not None:
            FarmRender.current.cancel()
    except (Unavailable, OSError, ValueError, RuntimeError, *native.errors()) as error:
        hold_open(engine, scene, str(error))


def begin(engine: bpy.types.RenderEngine, name: str, frame: int) -> FarmRender:
    """A render that nobody prepared: F12, Ctrl F12 or a script's."""
    reason = native.problem() or submission.obstacle()
    if reason:
        raise Unavailable(reason)
    scene = bpy.data.scenes[name]
    submission.check(scene)
    if engine.is_animation and scene.render.image_settings.file_format == "OPEN_EXR_MULTILAYER":
        with whole_picture.artists_settings():
            reason = whole_picture.obstacle(scene)
        if reason:
            raise Unavailable(reason)
    frames = wanted_frames(scene, frame) if engine.is_animation else [frame]
    return FarmRender(scene, effective.engine_of(scene), frames)


def wanted_frames(scene: bpy.types.Scene, first: int) -> list[int]:
    """The frames that Blender will ask for: it skips those whose file is there and must stay."""
    frames = range(first, scene.frame_end + 1, scene.frame_step)
    output = scene.render
    if output.use_overwrite or output.is_movie_format:
        return list(frames)
    return [frame for frame in frames if frame == first or not os.path.exists(output.frame_path(frame=frame))]


def send(engine: bpy.types.RenderEngine, render: FarmRender) -> None:
    """Sends the scene; returns when the job has its number."""

    def hand_over():
        scene = bpy.data.scenes[render.scene]
        frames = ",".join(str(run) for run in runs(render.frames))
        return submission.hand_over(
            scene, render.client.submit, "Sending", frames, on_end=session.end_submission
        )

    tell(engine, rpt_("Saving a copy of the scene"))
    transfer = on_main_thread(engine, hand_over)
    snapshot = follow(engine, transfer.handle, rpt_("Sending"))
    if on_main():
        transfer.read()  # else the session's timer does
    report = snapshot["report"]
    if snapshot["state"] == "failed" and report and report["problem_count"]:
        words = rpt_("Not sent: {} would go wrong, see Network Render > Files, and Send Anyway there")
        raise Unavailable(words.format(report["problem_count"]))
    if snapshot["state"] != "done" or snapshot["job"] is None:
        raise Unavailable(snapshot["error"] or rpt_("The scene was not sent"))
    render.job = snapshot["job"]


def follow(engine: bpy.types.RenderEngine, handle: Transfer, verb: str) -> TransferSnapshot:
    """Waits for a native transfer and returns its last snapshot."""
    while not handle.wait(LOOK_S):
        snapshot = handle.snapshot()
        if engine.test_break():
            handle.cancel()
            raise Canceled
        total = snapshot["bytes_total"]
        if total:
            words = rpt_("{}: {:.1f} of {:.1f} MB").format(verb, snapshot["bytes_done"] / 1e6, total / 1e6)
        else:
            words = verb
        tell(engine, snapshot["waiting"] or words)
    return handle.snapshot()


def give(engine: bpy.types.RenderEngine, render: FarmRender, number: int) -> None:
    """Waits for a frame and loads its film into Blender."""
    result = None
    seen, next_look = 0, 0.0
    is_whole = whole_picture.whole_picture.is_on(render.scene)
    try:
        while True:
            detail = ask(engine, render, number)
            task = detail["task"]
            if task["state"] == "done":
                break
            samples = (task["samples"] or [0])[0]
            tell(engine, words_of(render, number, detail))
            if task["samples"]:
                engine.update_progress(samples / max(1, task["samples"][1]))
            if samples > seen and time.monotonic() >= next_look and not is_whole:
                began = time.monotonic()
                path = fetch_unfinished(engine, render, number)
                if path is not None:
                    seen = samples
                    result = result or engine.begin_result(0, 0, engine.resolution_x, engine.resolution_y)
                    film_loading.load(engine, result, path, render.has_views)
                    engine.update_result(result)
                    os.remove(path)
                spent = time.monotonic() - began
                next_look = time.monotonic() + spent / UNFINISHED_PART
            pause(engine, LOOK_S)
        handle = render.client.fetch(render.job, str(number), "exr", render.folder)
        snapshot = follow(engine, handle, rpt_("Getting the frame"))
        if snapshot["state"] != "done":
            words = rpt_("Frame {} of job {} did not come")
            raise Unavailable(snapshot["error"] or words.format(number, render.job))
        (path,) = snapshot["files"]
        result = result or engine.begin_result(0, 0, engine.resolution_x, engine.resolution_y)
        load = film_loading.load_picture if is_whole else film_loading.load
        try:
            load(engine, result, path, render.has_views)
        except RuntimeError as error:
            words = rpt_(
                "The film of frame {} does not fit this scene's resolution. Open the scene as it was sent"
            )
            raise Unavailable(f"{words.format(number)} ({str(error).strip()})") from None
        texts = native.module().words(path)
        os.remove(path)
        if is_whole and task["outputs"]:
            get_outputs(engine, render, number)
        render.shown = number
        tell(engine, rpt_("Job {}, frame {}").format(render.job, number))
    finally:
        if result is not None:
            engine.end_result(result)
    film_loading.add_words(engine, texts)


def get_outputs(engine: bpy.types.RenderEngine, render: FarmRender, number: int) -> None:
    """Fetches what File Output nodes wrote for a frame, and puts it where they write here."""
    folder = os.path.join(render.folder, f"outputs {number}")
    handle = render.client.fetch(render.job, str(number), "outputs", folder)
    snapshot = follow(engine, handle, rpt_("Getting the files of File Output nodes"))
    if snapshot["state"] != "done":
        words = rpt_("The files of File Output nodes for frame {} did not come")
        raise Unavailable(snapshot["error"] or words.format(number))
    strange = whole_picture.put_outputs(folder)
    if strange:
        words = rpt_("This scene has no File Output node '{}'. Its files: netrender get {} --what outputs")
        session.notices.say(words.format(strange[0], render.job))


def ask(engine: bpy.types.RenderEngine, render: FarmRender, number: int) -> FrameDetail:
    """Asks the master about a frame. Waits while the frame cannot come; in a script raises
    Unavailable instead.
    """
    while True:
        try:
            detail = render.client.frame(render.job, number)
        except native.errors() as error:
            words = rpt_("{}. Trying again, ESC stops").format(error)
        else:
            state, task = detail["job_state"], detail["task"]
            if task["state"] == "failed":
                reason = (task["error"] or {}).get("message", rpt_("no slave could render it"))
                words = rpt_("Frame {} of job {} failed: {}").format(number, render.job, reason)
            elif task["state"] != "done" and state in ("canceled", "deleted"):
                words = rpt_("Job {} was canceled").format(render.job)
            else:
                return detail
            if on_main():
                raise Unavailable(words)
            words += rpt_(". Requeue it to go on, ESC stops") if state == "failed" else rpt_(". ESC stops")
        tell(engine, words)
        pause(engine, 4 * LOOK_S)


def fetch_unfinished(engine: bpy.types.RenderEngine, render: FarmRender, number: int) -> str | None:
    """The path of a film of the samples so far; None when there is none."""
    path = os.path.join(render.folder, "unfinished.exr")
    snapshot = follow(
        engine, render.client.fetch_unfinished(render.job, number, path), rpt_("Getting the picture so far")
    )
    return path if snapshot["state"] == "done" else None


def words_of(render: FarmRender, number: int, detail: FrameDetail) -> str:
    """The progress of a frame, for the window's header."""
    task = detail["task"]
    if task["finishing"]:
        words = rpt_("all of it is there, denoising and compositing")
    elif task["samples"] and task["slaves"]:
        slaves = len(task["slaves"])
        if task["unit"] == "lines":
            words = rpt_("{} of {} lines, 1 slave") if slaves == 1 else rpt_("{} of {} lines, {} slaves")
        else:
            words = rpt_("{} of {} samples, 1 slave") if slaves == 1 else rpt_("{} of {} samples, {} slaves")
        words = words.format(*task["samples"], slaves)
    elif task["state"] == "leased" and detail["attempts"]:
        words = rpt_("{} renders it").format(detail["attempts"][-1]["slave_name"])
    else:
        words = rpt_("the job is paused") if detail["job_state"] == "paused" else rpt_("waits for a slave")
    return rpt_("Job {}, frame {}: {}").format(render.job, number, words)


def tell(engine: bpy.types.RenderEngine, words: str) -> None:
    engine.update_stats("", words)


def pause(engine: bpy.types.RenderEngine, seconds: float) -> None:
    """Sleeps. Raises Canceled when ESC is pressed meanwhile."""
    until = time.monotonic() + seconds
    while True:
        if engine.test_break():
            raise Canceled
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(0.05, left))


def hold_open(engine: bpy.types.RenderEngine, scene: bpy.types.Scene, words: str) -> None:
    """Keeps Blender's request for an unavailable frame open until ESC is pressed (module
    docstring).
    """
    render = FarmRender.current
    if render is not None:
        render.problem = words
    session.notices.say(words)
    if not engine.is_animation:
        engine.error_set(words)
        return
    if on_main():
        engine.error_set(words)
        blocked_output.block(scene.name)
        return
    try:
        while True:
            tell(engine, words + rpt_(". ESC stops"))
            pause(engine, LOOK_S)
    except Canceled:
        if render is not None:
            render.cancel()


def on_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def on_main_thread(engine: bpy.types.RenderEngine, call: Callable[[], Result]) -> Result:
    """Returns what `call` returns and raises what it raises, on the thread that may touch Blender's
    data.
    """
    if on_main():
        return call()
    over = threading.Event()
    outcome: dict[str, Any] = {}

    def run():
        if outcome.get("is_late"):
            return
        try:
            with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
                safe_write.repair()
                outcome["result"] = call()
        except Exception as error:  # whatever it is, the render thread deals with it
            outcome["error"] = error
        finally:
            over.set()

    bpy.app.timers.register(run)
    while not over.wait(0.05):
        if engine.test_break():
            outcome["is_late"] = True
            raise Canceled
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


class Run:
    """Frames in equal steps, which is what Blender can render in one go."""

    def __init__(self, first: int, last: int, step: int):
        self.first, self.last, self.step = first, last, step

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}-{self.last}" + (f"x{self.step}" if self.step > 1 else "")


def runs(frames: list[int]) -> list[Run]:
    """Frames in order as few runs."""
    found: list[Run] = []
    for frame in frames:
        last = found[-1] if found else None
        if last is not None and last.first == last.last:
            last.last, last.step = frame, frame - last.first
        elif last is not None and frame == last.last + last.step:
            last.last = frame
        else:
            found.append(Run(frame, frame, 1))
    return found


@bpy.app.handlers.persistent
def before_render(scene, *_):
    """Blender calls this before it reads the scene's settings (and asks for its frames)."""
    if scene is None or scene.render.engine != ENGINE:
        return
    is_clients = scene.netrender.mode == "CLIENT" and not bpy.app.background
    if FarmRender.current is not None or is_clients:
        whole_picture.whole_picture.begin(scene)


@bpy.app.handlers.persistent
def after_render(*_):
    blocked_output.restore()
    whole_picture.whole_picture.end()
    render = FarmRender.current
    if render is not None and not render.is_played:
        render.end()
        FarmRender.current = None


@bpy.app.handlers.persistent
def after_cancel(*_):
    if FarmRender.current is not None:
        FarmRender.current.cancel()
    after_render()


def register() -> None:
    bpy.app.handlers.render_init.append(before_render)
    bpy.app.handlers.render_complete.append(after_render)
    bpy.app.handlers.render_cancel.append(after_cancel)


def unregister() -> None:
    bpy.app.handlers.render_init.remove(before_render)
    bpy.app.handlers.render_complete.remove(after_render)
    bpy.app.handlers.render_cancel.remove(after_cancel)
    if FarmRender.current is not None:
        FarmRender.current.end()
        FarmRender.current = None
