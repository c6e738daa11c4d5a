# SPDX-License-Identifier: GPL-3.0-or-later
"""A warm Blender under a slave: loads a scene once and renders the requested frames.

What lives here: the protocol, opening a file, rendering a frame of it. Beside it lie
netrender_worker_paths.py (re-pointing paths), netrender_worker_scene.py (preparing a scene),
netrender_worker_clean.py (nothing of the slave's user), netrender_worker_device.py (Cycles'
devices), netrender_worker_share.py (some samples or lines of a frame), netrender_worker_finish.py
(denoising and compositing when all samples are there) and netrender_worker_facts.py (facts about a
scene). What does not: time limits, killing, retries,
transport of files, decoding pictures; all that is the Rust side (crate `slave`, `worker/`). The
crate `blender` carries these files. Python's standard library and `bpy` only, Blender 3.4 to 5.x,
run as `blender -b -noaudio -Y --python-exit-code 1 --python netrender_worker.py` or
`python netrender_worker.py` (the `bpy` module). The files' names are long so that they hide no
module of a scene's own scripts.

Protocol (5): JSON lines, UTF-8, over a loopback TCP socket that this process connects. In the environment:
NETRENDER_WORKER_ADDR="127.0.0.1:PORT" and NETRENDER_WORKER_TOKEN (one-time; both are removed once read).

    -> {"hello": {"token", "protocol": 5, "pid", "blender": [3, 4, 1], "build_hash", "build_options": [names],
                  "engines": [ids], "denoises": bool, "devices": [{"type", "name"}]}}
    <- {"id": 1, "op": "load", "blend": path here, "source": its path on the artist's machine,
        "scene": name|null, "engine": id|null, "threads": 0|N, "device": "CPU"|"CUDA"|...|null,
        "scripts": bool,
        "files": {path on the artist's machine: path here},
        "paths": [[library here or "", raw, path here, must_exist], ...],
        "scratch": dir, "view_table": path.png|null}
    -> {"id": 1, "ok": {"scene", "engine", "width", "height", "view_table": path|null}}
    <- {"id": 2, "op": "bake", "blend", "source", "scene", "threads", "scripts", "files", "paths": as in load,
        "until": N, "output": abs .blend}
    -> {"id": 2, "ok": {"seconds", "output"}}
    <- {"id": 2, "op": "render", "frame": N, "output": abs .exr, "play": bool,
        "share": {"of": "samples", "offset": k, "samples": n, "total": t}
               | {"of": "lines", "first": k, "end": e, "total": t}|null}
    -> {"progress": {"frame": N, "text": "..."}}          unsolicited, at most five a second
    -> {"id": 2, "ok": {"frame", "seconds", "output"}}
    <- {"id": 3, "op": "finish", "frame": N, "output": abs .exr, "words": {name: text},
        "passes": [{"layer", "view": name|null, "pass", "channels": "RGBA", "file"}]}
    -> {"id": 3, "ok": {"frame", "seconds", "output"}}
    <- {"id": 4, "op": "draw"}                            tries whether this Blender can draw
    -> {"id": 4, "ok": {}}                                or the process dies
    <- {"id": 5, "op": "quit"}
    -> {"id": 5, "ok": {}}                                then the process ends with code 0
    -> {"id": n|null, "error": {"kind", "message"}}

Kinds of error: bad_request, cannot_open, missing_file, missing_scene, missing_engine, no_camera, not_loaded,
no_denoiser, no_device, bake_failed, render_failed, internal. After any of them the process goes on; after a
failed load nothing is loaded.

A share is n samples, from sample k on, of a Cycles frame that has t samples; or its lines from k
(the top one is 0) up to, not including, e, in which case the film has only these lines. Either has
every pass, without denoising, compositor and sequencer. Consecutive shares of one frame are cheap:
what Cycles builds before the first sample is kept for the next share. A whole frame (null, or no
"share") does not depend on the shares rendered before it.

What File Output nodes write for a frame lies, once it is answered, in a folder beside the film: for
F.exr in F.files, with a folder for each node, and under the names that Blender gives them. Without such
files there is no such folder. The compositor does not run for a share, so it has none.

Baking opens a scene, simulates up to the frame `until`, and saves the .blend with the caches in it
and all paths as they were, so that it can take the place of the job's own .blend. Nothing is loaded
then. A render with "play" goes through the frames from the simulations' start up to its own first,
unless the last one was the frame before.

Finishing a frame gives Blender the merged pixels in place of those that the scene's engine would
render: "passes" are files of 32-bit floats of this machine, all channels of a pixel together in the
order of "channels", the bottom row first; "words" goes into the film's header. Blender denoises,
composites and writes the frame as usual.

All paths are absolute but `raw`, the string that a block of that library (of the .blend itself: "")
holds. A path in "paths" may be a folder or hold <UDIM>. File names that are not UTF-8 have lone
surrogates U+DC80..U+DCFF for their odd bytes in Python; strings from the artist's machine
(`source`, the keys of `files`, `raw`) may carry U+10DC80..U+10DCFF in their place, as the tracer
wrote them. Paths on this machine are taken literally.

Output: stdout and stderr are one stream (fd 2 is a copy of fd 1). Before each answer the stream
gets the line "\\x1enetrender-end <id>\\n" ("-" for an answer without id), so that the log can be
cut exactly by request. When the socket closes, the process ends at once, also in the midst of a
render.

The view table is a 16-bit RGB PNG, 65 wide and 65*65 high, of the scene's view transform over a lattice. Axis
value 0 is 0.0, value i > 0 is 2^(-12.5 + 22.5*(i-1)/63). Counted from the *bottom* row, row = blue*65 +
green; column = red. The values are scene linear in, display out.
"""

import ctypes
import json
import os
import queue
import shutil
import socket
import sys
import threading
import time
import traceback

import bpy
from bpy.app.handlers import persistent

# Blender's `--python`, unlike Python itself, leaves the script's own folder out.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import netrender_worker_denoise
from netrender_worker_clean import Handlers, disarm_scripts, reset_preferences
from netrender_worker_device import devices, use_device
from netrender_worker_facts import place_of_engine, size_of_film
from netrender_worker_finish import Merged, check_given, replaying, want_merged
from netrender_worker_paths import Paths, Refused, repath_files, repath_libraries
from netrender_worker_scene import (
    check_camera,
    draw,
    engines,
    escape_templates,
    pick_scene,
    set_engines,
    set_output,
    tame_file_outputs,
    try_bake_view_table,
)
from netrender_worker_share import Keeper, want_share
from netrender_worker_simulations import bake, first_frame, play

PROTOCOL = 5
PROGRESS_EVERY_S = 0.2


# --------------------------------------------------------------------------- connection to the slave


class Link:
    """The socket to the slave. A daemon thread reads it, to notice its end while a frame renders."""

    def __init__(self, address, token):
        host, port = address.rsplit(":", 1)
        self.token = token
        self.requests = queue.SimpleQueue()
        self._socket = socket.create_connection((host, int(port)))
        # Answers are small and awaited: Nagle would hold them back.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()

    def listen(self):
        threading.Thread(target=self._read, name="netrender-link", daemon=True).start()

    def send(self, message):
        # Lone surrogates (undecodable file names) are escaped by ensure_ascii and survive the
        # journey.
        data = json.dumps(message, ensure_ascii=True).encode("ascii") + b"\n"
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError:
            os._exit(1)

    def _read(self):
        try:
            for line in self._socket.makefile("rb"):
                try:
                    request = json.loads(line.decode("utf-8"))
                except ValueError as error:
                    request = error
                self.requests.put(request)
                if isinstance(request, dict) and request.get("op") == "quit":
                    return  # from here on a closed socket is no accident
        except OSError:
            pass
        # The slave is gone. Blender's own exit would first finish the frame.
        os._exit(1)


def _c_library():
    for name in (None, "ucrtbase"):
        try:
            library = ctypes.CDLL(name)
            library.fflush  # noqa: B018 - raises AttributeError where it is absent
            return library
        except (OSError, AttributeError, TypeError):
            continue
    return None


C_LIBRARY = _c_library()


def end_log(request_id):
    """Flushes Python's and C's buffers, then marks the end of this request in the output stream."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        if C_LIBRARY is not None:
            C_LIBRARY.fflush(None)
        name = "-" if request_id is None else str(request_id)
        os.write(1, b"\x1enetrender-end " + name.encode("ascii") + b"\n")
    except OSError:
        os._exit(1)  # the reader of our output is gone


# -------------------------------------------------------------------------------------- this Blender


def describe_blender():
    """Blender's version, build, engines and devices, by which the farm matches slaves to jobs."""
    options = bpy.app.build_options
    return {
        "blender": list(bpy.app.version),
        "build_hash": bpy.app.build_hash.decode("ascii", "replace"),
        "build_options": [n for n in dir(options) if not n.startswith("_") and getattr(options, n) is True],
        "engines": engines(),
        "denoises": netrender_worker_denoise.is_there(),
        "devices": devices(),
    }


# ------------------------------------------------------------------------------------------ the work


class Events:
    """Events that Blender's handlers reported."""

    def __init__(self):
        self.loaded = False
        self.rendered = False
        self.cancelled = False
        self.frame = None
        self.link = None
        self._next_progress = 0.0

    def begin_render(self, frame):
        self.rendered = self.cancelled = False
        self.frame = frame
        self._next_progress = 0.0

    def progress(self, text):
        now = time.monotonic()
        if self.frame is not None and now >= self._next_progress:
            self._next_progress = now + PROGRESS_EVERY_S
            self.link.send({"progress": {"frame": self.frame, "text": text}})


EVENTS = Events()


@persistent
def _on_load(*_):
    EVENTS.loaded = True


@persistent
def _on_render_post(*_):
    EVENTS.rendered = True


@persistent
def _on_render_cancel(*_):
    EVENTS.cancelled = True


@persistent
def _on_render_stats(*args):
    # 3.4 gives no text here, only on stdout.
    text = next((a for a in args if isinstance(a, str)), None)
    if text:
        EVENTS.progress(text)


def open_blend(path, scripts):
    """Opens the file. With `scripts`, drivers are evaluated and texts run that -Y would have
    forbidden.
    """
    if not os.path.isfile(path):
        raise Refused("missing_file", f"{path} is not here. Send the job's files again.")
    EVENTS.loaded = False
    words = ""
    try:
        bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=scripts)
    except RuntimeError as error:
        words = str(error).strip()  # also raised for a file that did load, with missing libraries say
    if not EVENTS.loaded or not bpy.data.filepath or not os.path.samefile(bpy.data.filepath, path):
        version = ".".join(map(str, bpy.app.version))
        raise Refused(
            "cannot_open",
            f"Blender {version} cannot open {path}: {words or 'it gave no reason'}. "
            "Open it in that version, or use slaves with the Blender it was saved with.",
        )


class Worker:
    """The loaded scene, and the requests about it."""

    def __init__(self, handlers):
        self.scene = None
        self.keeper = None
        self.outputs = ""  # the folder that File Output nodes write to
        self._handlers = handlers
        self.loaded = None
        # The frame up to which the scene was played, if it was and nothing has happened since.
        self.played = None
        properties = bpy.ops.render.render.get_rna_type().properties
        self._takes_range = "frame_start" in properties and "frame_end" in properties

    def _open(self, request):
        """Opens the scene of a load or bake with its paths leading here."""
        self.scene = self.loaded = self.played = None
        blend = want(request, "blend", str)
        paths = want_paths(request)
        scripts = request.get("scripts") is True
        self._handlers.clean(request.get("engine"))
        open_blend(blend, scripts)
        repath_libraries(paths)
        repath_files(paths)
        paths.check()
        if not scripts:
            disarm_scripts()
        return pick_scene(request.get("scene")), paths

    def bake(self, request):
        until = want(request, "until", int)
        output = want(request, "output", str)
        started = time.monotonic()
        scene, paths = self._open(request)
        set_threads(scene, request)
        first = first_frame(scene)
        total = max(until - first + 1, 1)
        EVENTS.begin_render(until)
        try:
            bake(scene, until, lambda frame: EVENTS.progress(f"frame {frame - first + 1} of {total}"))
        finally:
            EVENTS.frame = None
        paths.restore()
        bpy.ops.wm.save_as_mainfile(filepath=output, copy=True, relative_remap=False, compress=True)
        return {"seconds": time.monotonic() - started, "output": output}

    def load(self, request):
        scratch = want(request, "scratch", str)
        scene, _ = self._open(request)
        set_engines(scene, request.get("engine"))
        check_camera(scene)
        set_threads(scene, request)
        use_device(scene, request.get("device"))
        self.outputs = os.path.join(scratch, "outputs")
        tame_file_outputs(scene, self.outputs)
        table = try_bake_view_table(scene, request.get("view_table"))
        set_output(scene)
        width, height = size_of_film(scene)
        self.scene = scene
        self.loaded = request
        self.keeper = Keeper(scene)
        return {
            "scene": scene.name,
            "engine": scene.render.engine,
            "width": width,
            "height": height,
            "view_table": table,
        }

    def render(self, request):
        frame = want(request, "frame", int)
        output = want(request, "output", str)
        share = want_share(request)
        self._check_loaded()
        if request.get("play") is True:
            return self._make(frame, output, self._render_played)
        if share is None:
            return self._make(frame, output, self._render_whole)
        return self._make(frame, output, lambda part, frame: self._render_share(part, frame, share))

    def finish(self, request):
        frame = want(request, "frame", int)
        output = want(request, "output", str)
        passes = want_merged(request)
        words = request.get("words") or {}
        self._check_loaded()
        merged = Merged(self.scene, passes, *size_of_film(self.scene), words)
        return self._make(frame, output, lambda part, frame: self._replay(part, frame, merged))

    def _check_loaded(self):
        if self.scene is None:
            raise Refused("not_loaded", "No scene is loaded. Send a load that succeeds first.")

    def _make(self, frame, output, make):
        """Moves the film that `make(folder, frame)` leaves in the folder to `output`."""
        # A new folder: any file in it afterwards was made by this render.
        part = output + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        shutil.rmtree(self.outputs, ignore_errors=True)
        started = time.monotonic()
        EVENTS.begin_render(frame)
        try:
            words = make(part, frame)
            film = self._check_film(part, frame, words)
            self._move_outputs(output)
            os.replace(film, output)
        finally:
            EVENTS.frame = None
            shutil.rmtree(part, ignore_errors=True)
        return {"frame": frame, "seconds": time.monotonic() - started, "output": output}

    def _move_outputs(self, output):
        """Moves what File Output nodes wrote for this frame beside the film."""
        target = os.path.splitext(output)[0] + ".files"
        shutil.rmtree(target, ignore_errors=True)
        if os.path.isdir(self.outputs):
            shutil.move(self.outputs, target)

    def _render_whole(self, part, frame):
        self.keeper.drop()
        return self._render_into(part, frame)

    def _render_played(self, part, frame):
        """Renders a frame after those that it follows from. What was played beyond or before is in
        the way: then the scene is opened again.
        """
        if self.played is None or self.played != frame - 1:
            if self.played is not None:
                self.load(self.loaded)
            first = min(first_frame(self.scene), frame)
        else:
            first = frame
        self.played = frame - 1 if first == frame else None
        play(
            self.scene, first, frame, lambda at: EVENTS.progress(f"Playing frame {at} of {first} to {frame}")
        )
        words = self._render_whole(part, frame)
        self.played = None if words or EVENTS.cancelled else frame
        return words

    def _render_share(self, part, frame, share):
        with share(self.scene):
            self.keeper.keep(frame)
            words = self._render_into(part, frame)
        if words or EVENTS.cancelled:
            self.keeper.drop()
        return words

    def _replay(self, part, frame, merged):
        self.keeper.drop()
        with replaying(self.scene, merged):
            words = self._render_into(part, frame)
        check_given(self.scene, merged)
        return words

    def _render_into(self, part, frame):
        """Renders as `blender -b FILE -f N` does and returns Blender's complaint, if any.

        `-f` is an animation of one frame, so this is too: the engine is told that it is an
        animation, animated settings, camera markers and the sequencer take the same way, and the
        scene's current frame stays the file's. A still render after `frame_set` would also evaluate
        the whole scene once more for the viewport.
        """
        scene = self.scene
        scene.render.filepath = escape_templates(scene.render, "filepath", os.path.join(part, "film_####"))
        before = scene.frame_start, scene.frame_end, scene.frame_current, scene.frame_subframe
        try:
            if self._takes_range:
                bpy.ops.render.render(animation=True, scene=scene.name, frame_start=frame, frame_end=frame)
                return ""
            scene.frame_start = frame
            scene.frame_end = frame
            if scene.frame_start == frame:
                bpy.ops.render.render(animation=True, scene=scene.name)
                return ""
            # The range of an animation cannot be negative; a still frame can.
            scene.frame_start, scene.frame_end = before[:2]
            scene.frame_set(frame)
            bpy.ops.render.render(write_still=True, scene=scene.name)
            return ""
        except RuntimeError as error:
            return str(error).strip()
        finally:
            scene.frame_start, scene.frame_end = before[:2]
            if scene.frame_current != before[2]:
                scene.frame_set(before[2], subframe=before[3])

    def _check_film(self, part, frame, words):
        """The path of the one film in `part`. Blender 3.4 can say FINISHED without any, and a
        failure may leave one.
        """
        films = os.listdir(part)
        where = f"Frame {frame} of scene '{self.scene.name}'"
        if words or EVENTS.cancelled:
            said = words or "it cancelled the render without a reason"
            raise Refused("render_failed", f"{where} failed: {said}. See the frame's log.")
        if not EVENTS.rendered or len(films) != 1:
            raise Refused(
                "render_failed",
                f"{where} failed: Blender wrote {len(films)} files and said nothing. See the frame's log.",
            )
        return os.path.join(part, films[0])


def want(request, name, kind):
    """A value of the request. Raises Refused for one of another type."""
    value = request.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Refused(
            "bad_request", f"{request.get('op')}: '{name}' must be of type {kind.__name__}. Mend the request."
        )
    return value


def set_threads(scene, request):
    threads = request.get("threads") or 0
    scene.render.threads_mode = "FIXED" if threads > 0 else "AUTO"
    if threads > 0:
        scene.render.threads = threads


def want_paths(request):
    """The Paths of a load or bake request. Raises Refused for one of another form."""
    files, slots = want(request, "files", dict), want(request, "paths", list)
    kinds = [str, str, str, bool]
    if not all(isinstance(here, str) for here in files.values()) or not all(
        isinstance(slot, list) and [type(part) for part in slot] == kinds for slot in slots
    ):
        raise Refused(
            "bad_request", "load: 'files' maps paths to paths, 'paths' lists [library, raw, path, bool]."
        )
    blend, source, scratch = (want(request, name, str) for name in ("blend", "source", "scratch"))
    return Paths(blend, source, files, slots, scratch)


def answer(worker, request):
    """The answer to one request, without its id: {"ok": ...} or {"error": ...}."""
    try:
        if isinstance(request, Exception):
            raise Refused("bad_request", f"Not a JSON line: {request}. Send one object per line.")
        operations = {
            "load": worker.load,
            "bake": worker.bake,
            "render": worker.render,
            "finish": worker.finish,
            "draw": lambda _: draw(),
            "quit": lambda _: {},
        }
        operation = operations.get(request.get("op")) if isinstance(request, dict) else None
        if operation is None or request_id(request) is None:
            raise Refused("bad_request", 'A request needs an integer "id" and an "op": load, render or quit.')
        return {"ok": operation(request)}
    except Refused as error:
        return {"error": {"kind": error.kind, "message": str(error)}}
    except Exception:  # noqa: BLE001 - one bad request must not end a warm process
        lines = traceback.format_exc()
        print(lines)
        last = " | ".join(lines.strip().splitlines()[-5:])
        return {
            "error": {"kind": "internal", "message": f"The worker failed: {last}. Report this with the log."}
        }


def request_id(request):
    """The number of a request, or None."""
    value = request.get("id") if isinstance(request, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def main():
    os.dup2(1, 2)
    link = Link(os.environ.pop("NETRENDER_WORKER_ADDR"), os.environ.pop("NETRENDER_WORKER_TOKEN"))
    EVENTS.link = link
    handlers = bpy.app.handlers
    handlers.load_post.append(_on_load)
    handlers.render_post.append(_on_render_post)
    handlers.render_cancel.append(_on_render_cancel)
    handlers.render_stats.append(_on_render_stats)
    reset_preferences()
    place_of_engine()
    worker = Worker(Handlers({_on_load, _on_render_post, _on_render_cancel, _on_render_stats}))
    link.send(
        {"hello": {"token": link.token, "protocol": PROTOCOL, "pid": os.getpid(), **describe_blender()}}
    )
    link.listen()
    while True:
        request = link.requests.get()
        reply = answer(worker, request)
        number = request_id(request)
        end_log(number)
        link.send({"id": number, **reply})
        if isinstance(request, dict) and request.get("op") == "quit" and "ok" in reply:
            # Blender's own exit frees the scene first, which is slow, and sometimes crashes at it.
            os._exit(0)


if __name__ == "__main__":
    main()
