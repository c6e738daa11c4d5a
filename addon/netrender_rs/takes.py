# SPDX-License-Identifier: GPL-3.0-or-later
"""A take: frames of a job on their way into Blender's own render window, compositor and output.

Blender asks the engine Network Render for one frame after another: in a thread of its own when a key or a button began
the render, on the main thread when a script did. Each question ends in `show()`, which sends the scene if nobody has
yet, waits for the frame, shows its samples while they come, and gives Blender the film. All that Blender does with a
frame that it has rendered itself then follows. The film of a frame has every view layer, so the first of Blender's
questions about a frame answers them all.

A frame that cannot come must not be answered: Blender would go on with a black picture and write it over a good one.
So the question stays open, with the reason in the window's header, until ESC is pressed or somebody mends it (requeues
the frame, starts the master again). A script has no ESC: there the output is made impossible to write, which ends the
render before anything is lost.
"""

import os
import threading
import time

import bpy

from . import handing_over, loading, native, session, settings, writing
from .languages import rpt_

ENGINE = "NET_RENDER"
LOOK_S = 0.25  # how often a frame is asked for
UNFINISHED_PART = 0.2  # of the time, for samples of a frame that is not done

_kept_path = None  # (scene, output path) while nothing must be written
current = None  # the take that Blender asks about; None between renders


class Canceled(Exception):
    """ESC, or the end of the add-on."""


class Trouble(Exception):
    """Why a frame cannot come, in the artist's words."""


class Take:
    """`frames` in Blender's order. `job` 0: to be sent, and to be canceled with the render."""

    def __init__(self, scene, engine, frames, job=0, is_own=True):
        self.scene = scene.name
        self.has_views = scene.render.use_multiview
        self.engine = engine  # what slaves render with
        self.frames = frames
        self.job = job
        self.is_own = is_own
        self.is_canceled = False
        self.is_played = False  # by play(), which ends it
        self.shown = None  # the frame Blender has
        self.written = 0
        self.problem = ""
        self.client = handing_over.client_for(scene)
        self.folder = session.private_folder()

    def cancel(self):
        """The render was stopped: what was sent for it stops, too."""
        if self.is_canceled:
            return
        self.is_canceled = True
        if self.is_own and self.job:
            session.do_errand(self.client.cancel, self.job)

    def end(self):
        session.remove_folder(self.folder)


def show(engine, scene):
    """Answers Blender's question about the scene's current frame. Returns without a picture when ESC was pressed, and
    in a script when the frame cannot come."""
    global current
    try:
        if current is None:
            current = on_main_thread(engine, lambda: begin(engine, scene.name, scene.frame_current))
        take = current
        if take.shown == scene.frame_current:
            return
        if not take.job:
            send(engine, take)
        give(engine, take, scene.frame_current)
    except Canceled:
        if current is not None:
            current.cancel()
    except (Trouble, OSError, ValueError, RuntimeError, *native.errors()) as error:
        stay(engine, scene, str(error))


def begin(engine, name, frame):
    """For a render that nobody prepared: F12, Ctrl F12 or a script."""
    reason = native.problem() or handing_over.obstacle()
    if reason:
        raise Trouble(reason)
    scene = bpy.data.scenes[name]
    handing_over.check(scene)
    frames = wanted_frames(scene, frame) if engine.is_animation else [frame]
    return Take(scene, settings.engine_of(scene), frames)


def wanted_frames(scene, first):
    """Those that Blender will ask for: it does not where the file is there and must stay."""
    frames = range(first, scene.frame_end + 1, scene.frame_step)
    render = scene.render
    if render.use_overwrite or render.is_movie_format:
        return list(frames)
    return [frame for frame in frames if frame == first or not os.path.exists(render.frame_path(frame=frame))]


def send(engine, take):
    """Sends the scene; returns when the job has its number."""

    def hand_over():
        scene = bpy.data.scenes[take.scene]
        frames = ",".join(str(run) for run in runs(take.frames))
        return handing_over.hand_over(
            scene, take.client.submit, "Sending", frames, on_end=session.remember_job
        )

    tell(engine, rpt_("Saving a copy of the scene"))
    transfer = on_main_thread(engine, hand_over)
    snapshot = follow(engine, transfer.handle, rpt_("Sending"))
    if on_main():
        transfer.read()  # else the session's timer does
    report = snapshot["report"]
    if snapshot["state"] == "failed" and report and report["problem_count"]:
        words = rpt_("Not sent: {} would go wrong, see Network Render > Files, and Send Anyway there")
        raise Trouble(words.format(report["problem_count"]))
    if snapshot["state"] != "done":
        raise Trouble(snapshot["error"] or rpt_("The scene was not sent"))
    take.job = snapshot["job"]


def follow(engine, handle, verb):
    """Waits for a native transfer; its last snapshot."""
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


def give(engine, take, number):
    """Waits for a frame and gives its film to Blender."""
    result = None
    seen, next_look = 0, 0.0
    try:
        while True:
            detail = ask(engine, take, number)
            task = detail["task"]
            if task["state"] == "done":
                break
            samples = (task["samples"] or [0])[0]
            tell(engine, words_of(take, number, detail))
            if task["samples"]:
                engine.update_progress(samples / max(1, task["samples"][1]))
            if samples > seen and time.monotonic() >= next_look:
                began = time.monotonic()
                path = fetch_unfinished(engine, take, number)
                if path is not None:
                    seen = samples
                    result = result or engine.begin_result(0, 0, engine.resolution_x, engine.resolution_y)
                    loading.load(engine, result, path, take.has_views)
                    engine.update_result(result)
                    os.remove(path)
                spent = time.monotonic() - began
                next_look = time.monotonic() + spent / UNFINISHED_PART
            pause(engine, LOOK_S)
        handle = take.client.fetch(take.job, str(number), "exr", take.folder)
        snapshot = follow(engine, handle, rpt_("Getting the frame"))
        if snapshot["state"] != "done":
            words = rpt_("Frame {} of job {} did not come")
            raise Trouble(snapshot["error"] or words.format(number, take.job))
        (path,) = snapshot["files"]
        result = result or engine.begin_result(0, 0, engine.resolution_x, engine.resolution_y)
        try:
            loading.load(engine, result, path, take.has_views)
        except RuntimeError as error:
            words = rpt_(
                "The film of frame {} does not fit this scene's resolution. Open the scene as it was sent"
            )
            raise Trouble(f"{words.format(number)} ({str(error).strip()})") from None
        os.remove(path)
        take.shown = number
        take.written += 1
        tell(engine, rpt_("Job {}, frame {}").format(take.job, number))
    finally:
        if result is not None:
            engine.end_result(result)


def ask(engine, take, number):
    """What the master says of a frame. Waits where that says that it can't come yet."""
    while True:
        try:
            detail = take.client.frame(take.job, number)
        except native.errors() as error:
            words = rpt_("{}. Trying again, ESC stops").format(error)
        else:
            state, task = detail["job_state"], detail["task"]
            if task["state"] == "failed":
                reason = (task["error"] or {}).get("message", rpt_("no slave could render it"))
                words = rpt_("Frame {} of job {} failed: {}").format(number, take.job, reason)
            elif task["state"] != "done" and state in ("canceled", "deleted"):
                words = rpt_("Job {} was canceled").format(take.job)
            else:
                return detail
            if on_main():
                raise Trouble(words)
            words += rpt_(". Requeue it to go on, ESC stops") if state == "failed" else rpt_(". ESC stops")
        tell(engine, words)
        pause(engine, 4 * LOOK_S)


def fetch_unfinished(engine, take, number):
    """The path of a film of the samples so far; None when there is none."""
    path = os.path.join(take.folder, "unfinished.exr")
    snapshot = follow(
        engine, take.client.fetch_unfinished(take.job, number, path), rpt_("Getting the picture so far")
    )
    return path if snapshot["state"] == "done" else None


def words_of(take, number, detail):
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
    return rpt_("Job {}, frame {}: {}").format(take.job, number, words)


def tell(engine, words):
    engine.update_stats("", words)


def pause(engine, seconds):
    until = time.monotonic() + seconds
    while True:
        if engine.test_break():
            raise Canceled
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(0.05, left))


def stay(engine, scene, words):
    """The frame cannot come: see above."""
    global _kept_path
    take = current
    if take is not None:
        take.problem = words
    session.say(words)
    if not engine.is_animation:
        engine.error_set(words)
        return
    if on_main():
        engine.error_set(words)
        # A path below a file: Blender ends an animation whose frame it cannot write.
        render = bpy.data.scenes[scene.name].render
        _kept_path = (scene.name, render.filepath)
        render.filepath = os.path.join(os.devnull, "not rendered ")
        return
    try:
        while True:
            tell(engine, words + rpt_(". ESC stops"))
            pause(engine, LOOK_S)
    except Canceled:
        if take is not None:
            take.cancel()


def on_main():
    return threading.current_thread() is threading.main_thread()


def on_main_thread(engine, call):
    """What `call` returns or raises, on the thread that may touch Blender's data."""
    if on_main():
        return call()
    over = threading.Event()
    outcome = {}

    def run():
        if outcome.get("is_late"):
            return
        try:
            with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
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

    def __init__(self, first, last, step):
        self.first, self.last, self.step = first, last, step

    def __str__(self):
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}-{self.last}" + (f"x{self.step}" if self.step > 1 else "")


def runs(frames):
    """Frames in order, as few runs as may be."""
    found = []
    for frame in frames:
        last = found[-1] if found else None
        if last is not None and last.first == last.last:
            last.last, last.step = frame, frame - last.first
        elif last is not None and frame == last.last + last.step:
            last.last = frame
        else:
            found.append(Run(frame, frame, 1))
    return found


class Playing:
    """A take that is played through Blender's render, run by run; then the scene is as it was."""

    def __init__(self, take, scene, on_end):
        self.take = take
        self.runs = runs(take.frames)
        self.on_end = on_end
        render = scene.render
        self.kept = {
            "engine": render.engine,
            "filepath": render.filepath,
            "frame_start": scene.frame_start,
            "frame_end": scene.frame_end,
            "frame_step": scene.frame_step,
            "frame_current": scene.frame_current,
        }

    def scene(self):
        return bpy.data.scenes.get(self.take.scene)

    def render(self, how):
        """The next run."""
        run = self.runs[0]
        scene = self.scene()
        scene.render.engine = ENGINE
        scene.frame_start, scene.frame_end, scene.frame_step = run.first, run.last, run.step
        self.runs.pop(0)
        return bpy.ops.render.render(how, animation=True, scene=scene.name)

    def advance(self):
        """A timer: goes on when Blender has ended a run."""
        if bpy.app.is_job_running("RENDER"):
            return LOOK_S
        if self.runs and not self.take.is_canceled and self.scene() is not None:
            with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
                writing.run(lambda: self.render("INVOKE_DEFAULT"))
            return LOOK_S
        writing.run(self.end)
        return None

    def end(self):
        global current, _playing
        scene = self.scene()
        if scene is not None:
            for name, value in self.kept.items():
                holder = scene.render if name in ("engine", "filepath") else scene
                if name == "frame_current":
                    scene.frame_set(value)
                else:
                    setattr(holder, name, value)
        self.take.end()
        current = _playing = None
        self.on_end(self.take)


_playing = None


def play(take, scene, is_script, on_end):
    """Renders a take's frames into the scene's output. Called on the main thread, where `on_end(take)` follows. A
    script waits for the end of it."""
    global current, _playing
    take.is_played = True
    current = take
    _playing = Playing(take, scene, on_end)
    if not is_script:
        bpy.app.timers.register(_playing.advance, first_interval=0.0, persistent=True)
        return
    try:
        while _playing.runs and not take.problem:
            _playing.render("EXEC_DEFAULT")
    except RuntimeError:
        if not take.problem:  # else this is how it ended: see above
            raise
    finally:
        _playing.end()


@bpy.app.handlers.persistent
def after_render(*_):
    global current, _kept_path
    if _kept_path is not None:
        name, path = _kept_path
        _kept_path = None
        bpy.data.scenes[name].render.filepath = path
    if current is not None and not current.is_played:
        current.end()
        current = None


@bpy.app.handlers.persistent
def after_cancel(*_):
    if current is not None:
        current.cancel()
    after_render()


def register():
    bpy.app.handlers.render_complete.append(after_render)
    bpy.app.handlers.render_cancel.append(after_cancel)


def unregister():
    global current
    bpy.app.handlers.render_complete.remove(after_render)
    bpy.app.handlers.render_cancel.remove(after_cancel)
    if _playing is not None:
        if bpy.app.timers.is_registered(_playing.advance):
            bpy.app.timers.unregister(_playing.advance)
        _playing.end()
    if current is not None:
        current.end()
        current = None
