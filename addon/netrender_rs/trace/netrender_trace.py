# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene is and which files it needs, as plain data.

What lives here: a script for a background Blender, which opens a copy of the artist's scene (scripts off) in
whatever folder it lies and tells what every path in it means on the artist's machine. Beside it lie
netrender_trace_files.py (the search for paths and files), netrender_trace_scene.py (the rest of a scene) and
netrender_trace_split.py (whether slaves can share a frame, which asks the worker's netrender_worker_denoise.py
whether it could be denoised). What does not: copying, hashing and sending files,
re-pathing (the worker). Python's standard library and `bpy` only, Blender 3.4 to 5.x; imports nothing else of
ours.

    blender -b -noaudio -Y --python netrender_trace.py -- FILE.blend OUT.json [--source PATH] [--scene NAME]
    python netrender_trace.py -- FILE.blend OUT.json [--source PATH] [--scene NAME]

PATH is where the artist has the .blend (FILE itself when left out): `//` means its folder, and disk caches
carry its base name. OUT.json holds what `describe()` gives, or {"error": {"kind", "message"}} with kind
cannot_open, missing_scene or internal; the exit code is 0 in both cases, so a caller always reads the JSON.
No JSON means that Blender itself died.

File names that are not UTF-8 reach Python with lone surrogates U+DC80..U+DCFF for their odd bytes. JSON
readers refuse these, so OUT.json has U+10DC80..U+10DCFF (private use) in their place.

Not seen by any tracer: files inside USD or MaterialX files, files opened by drivers' or scripts' code, OCIO
configurations. These the artist adds by hand. Blender's own list (`bpy.utils.blend_paths`) lacks sequence
frames after the first, UDIM tiles, disk caches, bakes and import nodes' files; all these are found here.
"""

import contextlib
import json
import os
import sys
import traceback

import bpy

# One file is the worker's, too, and lies with it where these files were not put together for a run.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "worker"))
# Blender's `--python`, unlike Python itself, leaves the script's own folder out.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from netrender_trace_files import Files, Places, open_blend
from netrender_trace_scene import denoises, frame_range, has_camera, scripts, size_of_film
from netrender_trace_split import split

PRIVATE = {0xDC00 + byte: 0x10DC00 + byte for byte in range(0x80, 0x100)}


def describe(source, scene=None, engine=None):
    """The open file, which is the artist's `source` (absolute), and one scene of it (None: the active one), as `engine`
    will render it (None: its own).

    {"blender": [3, 4], "version", "source", "scene", "scenes": [names], "engine", "frames": "1-10" or
     "1-10x2", "frame_current", "width", "height" (pixels of the film), "has_camera", "denoise" (Cycles or the
     compositor denoises, so the slave's Blender needs a denoiser), "split": {...} (how a frame can be rendered
     in parts, see `split()`),
     "paths": [{"library": the .blend library that holds this path, "" for the main file, "raw": the string as
         Blender has it, "path": what it means (may be a folder, may hold <UDIM>), "kind", "user": name of the
         datablock, "found": how many existing files it stands for}],
     "files": [existing files], "missing": [{"path", "kind", "user", "why"}], "unsaved_images": [],
     "scripts": [sentences: why this scene needs its own Python], "warnings": [sentences]}

    All paths are absolute and those of the artist's machine. Libraries are re-pointed in memory.
    """
    places = Places(source)
    places.load_libraries()
    scene = bpy.data.scenes[scene] if scene else bpy.context.scene
    if engine:
        with contextlib.suppress(TypeError):  # one that this Blender lacks: the slaves say so
            scene.render.engine = engine
    found = Files(places)
    found.trace(scene)
    width, height = size_of_film(scene)
    return {
        "blender": list(bpy.app.version[:2]),
        "version": ".".join(map(str, bpy.app.version)),
        "source": source,
        "scene": scene.name,
        "scenes": [s.name for s in bpy.data.scenes],
        "engine": scene.render.engine,
        "frames": frame_range(scene),
        "frame_current": scene.frame_current,
        "width": width,
        "height": height,
        "has_camera": has_camera(scene),
        "denoise": denoises(scene),
        "split": split(scene),
        "paths": found.slots(),
        "files": sorted(found.files),
        "missing": sorted(found.missing.values(), key=lambda m: m["path"]),
        "unsaved_images": [],  # what was painted and not saved never reaches a copy; the add-on asks before
        "scripts": scripts(),
        "warnings": found.warnings,
    }


# ----------------------------------------------------------------------------------------- as a script


def describe_file(blend, source, scene, engine):
    """`describe()` of a file, or {"error": {"kind", "message"}}."""
    is_open, words = open_blend(blend)
    if not is_open:
        version = ".".join(map(str, bpy.app.version))
        words = words or "it is not there"
        message = (
            f"Blender {version} cannot open {source}: {words}. Open it in the version it was saved with."
        )
        return {"error": {"kind": "cannot_open", "message": message}}
    if scene is not None and scene not in bpy.data.scenes:
        there = ", ".join(s.name for s in bpy.data.scenes)
        message = f"There is no scene '{scene}' in {source}. It has: {there}. Choose one of these."
        return {"error": {"kind": "missing_scene", "message": message}}
    return describe(source, scene, engine)


def readable(thing):
    """The same with no lone surrogate in any string."""
    if isinstance(thing, str):
        return thing.translate(PRIVATE)
    if isinstance(thing, dict):
        return {key: readable(value) for key, value in thing.items()}
    return [readable(each) for each in thing] if isinstance(thing, list) else thing


def main(arguments):
    options = {"--source": None, "--scene": None, "--engine": None}
    for name in options:
        if name in arguments[2:]:
            at = arguments.index(name, 2)
            options[name] = arguments[at + 1]
            del arguments[at : at + 2]
    blend, out = arguments
    blend = os.path.abspath(blend)
    source = options["--source"] or blend
    try:
        result = describe_file(blend, os.path.abspath(source), options["--scene"], options["--engine"])
    except Exception as error:  # noqa: BLE001 - the caller always reads JSON
        traceback.print_exc()
        message = f"Tracing {source} failed: {type(error).__name__}: {error}. Report this with the output."
        result = {"error": {"kind": "internal", "message": message}}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(readable(result), file, indent=1, ensure_ascii=True)


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1 :])
