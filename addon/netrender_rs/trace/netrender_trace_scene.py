# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of a scene that only the tracer asks for: its frames, and what it needs of the Blender
that renders it.

What lives here: functions of a scene of the open file, without effects. What does not: facts that
the worker asks for as well (netrender_worker_facts.py), paths and files (netrender_trace_files.py),
whether several slaves can share a frame (netrender_trace_split.py).
"""

import re

import bpy
from netrender_trace_findings import INFO, finding
from netrender_worker_facts import DRAWING_ENGINES, compositor_nodes, engine_name, strips

MOST_FRAMES = 1_000_000


def frame_range(scene):
    """The scene's own range in the artist's notation."""
    step = scene.frame_step
    if scene.frame_start >= scene.frame_end:
        return str(scene.frame_start)
    return f"{scene.frame_start}-{scene.frame_end}" + (f"x{step}" if step > 1 else "")


def denoises(scene):
    """True if Cycles or the compositor denoises."""
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine == "CYCLES" and getattr(cycles, "use_denoising", False):
        return True
    return any(n.type == "DENOISE" and not n.mute for n in compositor_nodes(scene))


def draws(shown, engine):
    """True if a part of a frame is drawn, by OpenGL or its like, not rendered. `engine`: chosen for
    the main scene.
    """
    names = {engine_name(scene) for scene in shown.scenes if scene != shown.scene}
    if not names.isdisjoint(DRAWING_ENGINES) or (engine or engine_name(shown.scene)) in DRAWING_ENGINES:
        return True
    # Grease Pencil, whatever the engine.
    return any(o.type in ("GPENCIL", "GREASEPENCIL") and shown.shows(o) for o in bpy.data.objects)


def notes(scene, shown):
    """Findings about parts of the result that are not the film."""
    writers = [
        node
        for each in shown.scenes
        for node in compositor_nodes(each)
        if node.bl_idname == "CompositorNodeOutputFile" and not node.mute
    ]
    if writers:
        count = len(writers)
        some = f"{count} File Output {'node' if count == 1 else 'nodes'}"
        message = f"{some}: {'its' if count == 1 else 'their'} files come with the frames"
        hint = "Get Animation in Blender puts them where a local render does; or: netrender get JOB --what outputs."
        yield finding("output_files", INFO, f"Scene '{scene.name}'", message, hint)
    cut = [strip for strip in strips(scene) if not strip.mute and strip.type != "SOUND"]
    if scene.render.use_sequencer and cut:
        message = (
            f"Its pictures come from the sequencer ({len(cut)} {'strip' if len(cut) == 1 else 'strips'}): frames are "
            "rendered through the strips"
        )
        hint = "To render the scene itself, switch the sequencer off in Output > Post Processing."
        yield finding("sequencer", INFO, f"Scene '{scene.name}'", message, hint)


def frames_of(text):
    """The sorted frames of the artist's notation: 1-10,15,20-30x2. What cannot be read has none:
    the client says so.
    """
    found = set()
    for part in text.replace(";", ",").split(","):
        match = re.fullmatch(r"\s*(-?\d+)\s*(?:-\s*(-?\d+)\s*(?:x\s*(\d+))?)?\s*", part)
        if match:
            first, last, step = match.groups()
            found.update(range(int(first), int(last or first) + 1, max(1, int(step or 1)))[:MOST_FRAMES])
    return sorted(found)
