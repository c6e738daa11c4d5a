# SPDX-License-Identifier: GPL-3.0-or-later
"""Description of a scene and of the files it needs, as plain data.

What lives here: a script for a background Blender, which opens a copy of the artist's scene
(scripts off), wherever the copy lies, and reports what every path in it means on the artist's
machine, and what would make the farm's picture another one. Beside it lie, for files:
netrender_trace_files.py (the search for paths and files), netrender_trace_strings.py (strings that
are paths), netrender_trace_nested.py (names inside other files); for findings:
netrender_trace_findings.py (their form), netrender_trace_shown.py (what frames can depend on),
netrender_trace_simulations.py, netrender_trace_python.py, netrender_trace_unknown.py (what Blender
replaces), netrender_trace_color.py; netrender_trace_scene.py (other properties of the scene),
netrender_trace_split.py (whether slaves can share a frame), and two files of the worker:
netrender_worker_facts.py and netrender_worker_denoise.py. What does not: copying, hashing and
sending files, re-pathing (the worker). Python's standard library and `bpy` only, Blender 3.4 to
5.x; imports nothing else of ours.

    blender -b -noaudio -Y --python netrender_trace.py -- FILE.blend OUT.json [OPTIONS]
    python netrender_trace.py -- FILE.blend OUT.json [OPTIONS]

OPTIONS are --source PATH, --scene NAME, --engine ID and --frames TEXT (1-10x2,15; the scene's own).

PATH is the .blend on the artist's machine (FILE itself when left out): `//` means its folder, and
disk caches carry its base name. OUT.json holds the result of `describe()`, or {"error": {"kind",
"message"}} with kind cannot_open, missing_scene or internal; the exit code is 0 in both cases, so a
caller always reads the JSON. No JSON means that Blender itself died.

File names that are not UTF-8 reach Python with lone surrogates U+DC80..U+DCFF for their odd bytes.
JSON readers refuse these, so OUT.json has U+10DC80..U+10DCFF (private use) in their place.

No tracer sees files opened by drivers' or scripts' code, and those inside binary USD files where
Blender has no USD: the artist adds these by hand. Blender's own list (`bpy.utils.blend_paths`)
lacks sequence frames after the first, UDIM tiles, disk caches, bakes and import nodes' files; all
these are found here.
"""

import contextlib
import json
import os
import sys
import traceback

import bpy

# Some files are the worker's, and lie in its folder unless they were put together for a run.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "worker"))
# Blender's `--python`, unlike Python itself, leaves the script's own folder out.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from netrender_trace_color import colors, configuration
from netrender_trace_files import Files, Places, open_blend
from netrender_trace_python import scripts
from netrender_trace_scene import denoises, draws, frame_range, frames_of, notes
from netrender_trace_shown import Shown
from netrender_trace_simulations import simulations
from netrender_trace_split import split
from netrender_trace_unknown import engines, libraries, newer_file, unknown_nodes
from netrender_worker_facts import engine_name, has_camera, kept_engine, place_of_engine, size_of_film

PRIVATE = {0xDC00 + byte: 0x10DC00 + byte for byte in range(0x80, 0x100)}


def describe(source, scene=None, engine=None, frames=None):
    """Describes the open file, which is the artist's `source` (absolute), and one scene of it
    (None: the active one), as `engine` will render it (None: its own), in `frames` (None: its own).

    {"blender": [3, 4], "version", "source", "scene", "scenes": [names], "engine", "frames": "1-10" or
     "1-10x2", "frame_current", "width", "height" (pixels of the film), "has_camera", "denoise" (Cycles or the
     compositor denoises, so the slave's Blender needs a denoiser), "draws" (a part of it is drawn: EEVEE, Workbench,
     Grease Pencil), "split": {...} (how a frame can be rendered
     in parts, see `split()`),
     "paths": [{"library": the .blend library that holds this path, "" for the main file, "raw": the string as
         Blender has it, "path": what it means (may be a folder, may hold <UDIM>), "kind", "user": name of the
         datablock, "found": how many existing files it stands for}],
     "files": [existing files], "missing": [{"path", "kind", "user", "why"}] (of files that frames depend on),
     "unsaved_images": [], "scripts": [sentences: why this scene needs its own Python],
     "ocio": {"config", "files"} (the colour configuration that the environment names) or None,
     "findings": [{"kind", "severity": "wrong", "may_differ" or "info", "where", "message", "hint"}],
     "warnings": [sentences]}

    All paths are absolute and those of the artist's machine. Libraries are re-pointed in memory, and
    scenes set to the add-on's engine to the one that the artist chose there.
    """
    places = Places(source)
    places.load_libraries()
    scene = bpy.data.scenes[scene] if scene else bpy.context.scene
    for each in bpy.data.scenes:
        if engine_name(each) == "NET_RENDER":
            each.render.engine = kept_engine(each)
    if engine:
        with contextlib.suppress(TypeError):  # one that this Blender lacks: the slaves say so
            scene.render.engine = engine
    shown = Shown(scene)
    found = Files(places, shown)
    found.trace(scene)
    ocio = configuration()
    if ocio and ocio["files"]:
        found.add_configuration(ocio)
    needs_python, of_python = scripts(shown)
    findings = [
        *newer_file(source),
        *engines(shown, engine),
        *unknown_nodes(shown),
        *libraries(shown, places),
        *simulations(shown, places, frames_of(frames or frame_range(scene))),
        *colors(shown, ocio),
        *found.findings,
        *of_python,
        *notes(scene, shown),
    ]
    width, height = size_of_film(scene)
    return {
        "blender": list(bpy.app.version[:2]),
        "version": ".".join(map(str, bpy.app.version)),
        "source": source,
        "scene": scene.name,
        "scenes": [s.name for s in bpy.data.scenes],
        # One that this Blender lacks counts, too: such a job waits for a slave that has it.
        "engine": engine or engine_name(scene),
        "frames": frame_range(scene),
        "frame_current": scene.frame_current,
        "width": width,
        "height": height,
        "has_camera": has_camera(scene),
        "denoise": denoises(scene),
        "draws": draws(shown, engine),
        "split": split(scene),
        "paths": found.slots(),
        "files": sorted(found.files),
        "missing": sorted(found.missing.values(), key=lambda m: m["path"]),
        "unsaved_images": [],  # unsaved paint never reaches a copy, so the add-on lists it before
        "scripts": needs_python,
        "ocio": ocio,
        "findings": findings,
        "warnings": [],
    }


# ----------------------------------------------------------------------------------------- as a script


def describe_file(blend, source, scene, engine, frames):
    """The `describe()` of a file, or {"error": {"kind", "message"}}."""
    place_of_engine()
    is_open, words = open_blend(blend)
    if not is_open:
        version = ".".join(map(str, bpy.app.version))
        if not os.path.exists(blend):  # who asks has seen it
            message = (
                f"Blender {version} cannot see {blend}: it seems to be in a sandbox. Give it access to that "
                "folder, or choose another Blender."
            )
            return {"error": {"kind": "cannot_open", "message": message}}
        words = words or "it is not there"
        message = (
            f"Blender {version} cannot open {source}: {words}. Open it in the version it was saved with."
        )
        return {"error": {"kind": "cannot_open", "message": message}}
    if scene is not None and scene not in bpy.data.scenes:
        there = ", ".join(s.name for s in bpy.data.scenes)
        message = f"There is no scene '{scene}' in {source}. It has: {there}. Choose one of these."
        return {"error": {"kind": "missing_scene", "message": message}}
    return describe(source, scene, engine, frames)


def readable(thing):
    """A copy of the data with no lone surrogate in any string."""
    if isinstance(thing, str):
        return thing.translate(PRIVATE)
    if isinstance(thing, dict):
        return {key: readable(value) for key, value in thing.items()}
    return [readable(each) for each in thing] if isinstance(thing, list) else thing


def main(arguments):
    options = {"--source": None, "--scene": None, "--engine": None, "--frames": None}
    for name in options:
        if name in arguments[2:]:
            at = arguments.index(name, 2)
            options[name] = arguments[at + 1]
            del arguments[at : at + 2]
    blend, out = arguments
    blend = os.path.abspath(blend)
    source = options["--source"] or blend
    try:
        chosen = [options[name] for name in ("--scene", "--engine", "--frames")]
        result = describe_file(blend, os.path.abspath(source), *chosen)
    except Exception as error:  # noqa: BLE001 - the caller always reads JSON
        traceback.print_exc()
        message = f"Tracing {source} failed: {type(error).__name__}: {error}. Report this with the output."
        result = {"error": {"kind": "internal", "message": message}}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(readable(result), file, indent=1, ensure_ascii=True)


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1 :])
