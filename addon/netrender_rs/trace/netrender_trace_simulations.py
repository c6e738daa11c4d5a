# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulations whose frames depend on the frames before them and lie in no file: on slaves, which
render frames in any order, they look otherwise.

What lives here: one rule over everything that has a point cache, the bakes of simulation zones, and
fluids. What does not: baking. Measured with Blender 3.4 and 5.0:
- a cloth, a soft body, dynamic hair that was played and saved is in the .blend and right everywhere,
  baked or not, so the number of frames in the cache counts;
- particles that were only played are near to what they were, 0.05 off, and those that nothing but
  gravity moves are right without any cache;
- dynamic paint that was only played is gone;
- rigid bodies and simulation zones that are not baked stand still in every render without a window,
  played or not;
- a fluid of the type Replay simulates whatever its cache lacks while it renders.
"""

import ctypes
import os
import re

import bpy
from netrender_trace_findings import INFO, MAY_DIFFER, WRONG, finding, frames_in_words

FARM = "or let the farm do it: Simulations > Bake First (--simulations bake)"
BAKE = f"Bake it and save, {FARM}. In Order (in-order) suits what cannot be baked."
# For what a slave cannot bake into the .blend. The client goes by which choice a hint names.
PLAY = "Bake it and save, or let the farm play it: Simulations > In Order (--simulations in-order)."


def simulations(shown, places, frames):
    """Findings about each simulation that the frames (a sorted list) can show."""
    found = []
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            search = SEARCHES.get(modifier.type)
            if search and shown.needs(thing, modifier):
                found.extend(search(shown, places, frames, thing, modifier))
    for scene in shown.scenes:
        found.extend(rigid_bodies(shown, frames, scene))
    return found


# ----------------------------------------------------------------------------------------- point caches


def uncached(places, thing, cache, frames, begin=None, counts_when_played=True):
    """The frames that need state which the cache lacks."""
    held = frames_held(places, thing, cache)
    if cache.use_external or (cache.is_baked and held):
        return []  # files of the artist's are taken as they are
    start = cache.frame_start
    last = start + ((held - 1) * cache.frame_step if counts_when_played else -1)
    # After its last frame a cache stands still, and before its first one there is nothing yet.
    return [f for f in frames if f > max(start, (begin or start) - 1) and min(f, cache.frame_end) > last]


def frames_held(places, thing, cache):
    """Number of frames in a cache."""
    if cache.use_disk_cache:  # which Blender looks for beside the copy that is open
        blend = places.library(thing.library) if thing.library else places.source
        name = cache.name or "".join(f"{byte:02X}" for byte in os.fsencode(thing.name))
        pattern = re.compile(rf"{re.escape(name)}_\d+_\d\d\.bphys")
        names = names_in(places.disk_cache(blend))
        return sum(pattern.fullmatch(n) is not None for n in names)
    # Told in words only: "12 frames in memory"
    number = re.search(r"\d+", cache.info)
    return int(number.group()) if number else 0


def names_in(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return ()


def in_cache(places, what, thing, cache, lacking, severity=WRONG, is_kept=True):
    if not lacking:
        return
    held = frames_held(places, thing, cache)
    state = f"it is not baked, its cache holds {held} frames" if held else "it is not baked"
    message = f"{what} of '{thing.name_full}': {state}, and frames {frames_in_words(lacking)} depend on those before"
    hint = BAKE if is_kept and thing.library is None else PLAY
    yield finding("simulation", severity, f"Object '{thing.name_full}'", message, hint)


def soft(shown, places, frames, thing, modifier):
    what = "Cloth" if modifier.type == "CLOTH" else "Soft body"
    cache = modifier.point_cache
    yield from in_cache(
        places, f"{what} '{modifier.name}'", thing, cache, uncached(places, thing, cache, frames)
    )


def particles(shown, places, frames, thing, modifier):
    system = modifier.particle_system
    settings = system.settings
    if settings is None:
        return
    is_hair = settings.type == "HAIR"
    if is_hair and not system.use_hair_dynamics:
        return  # it grows at once
    cache = system.point_cache
    if is_hair:
        lacking = uncached(places, thing, cache, frames)
        yield from in_cache(places, f"Hair dynamics '{system.name}'", thing, cache, lacking)
    elif settings.physics_type not in ("NO", "KEYED"):  # these follow from the frame alone
        begin = int(settings.frame_start)
        lacking = uncached(places, thing, cache, frames, begin, counts_when_played=False)
        is_wrong = settings.render_type != "NONE" and not falls_freely(settings)
        is_wrong &= bool(uncached(places, thing, cache, frames, begin))
        severity = WRONG if is_wrong else MAY_DIFFER
        yield from in_cache(places, f"Particles '{system.name}'", thing, cache, lacking, severity)


def falls_freely(settings):
    """True for particles that nothing but gravity seems to move."""
    own = (settings.brownian_factor, settings.drag_factor, settings.damping)
    return (
        settings.physics_type == "NEWTON"
        and not any(own)
        and not any(
            (o.field is not None and o.field.type != "NONE")
            or any(modifier.type == "COLLISION" for modifier in o.modifiers)
            for o in bpy.data.objects
        )
    )


def paint(shown, places, frames, thing, modifier):
    canvas = modifier.canvas_settings
    for surface in canvas.canvas_surfaces if canvas else ():
        if surface.is_active and surface.surface_format == "VERTEX":  # others are baked into pictures
            cache = surface.point_cache
            lacking = uncached(places, thing, cache, frames, counts_when_played=False)
            yield from in_cache(
                places, f"Dynamic paint '{surface.name}'", thing, cache, lacking, is_kept=False
            )


def rigid_bodies(shown, frames, scene):
    world = scene.rigidbody_world
    if world is None or not world.enabled or world.collection is None or world.point_cache.is_baked:
        return
    moving = [
        o.name_full
        for o in world.collection.all_objects
        if o.rigid_body and o.rigid_body.enabled and o.rigid_body.type == "ACTIVE" and shown.shows(o)
    ]
    late = [frame for frame in frames if frame > world.point_cache.frame_start]
    if moving and late:
        some = f"'{moving[0]}'" + (f" and {len(moving) - 1} more" if len(moving) > 1 else "")
        message = (
            f"Rigid bodies of scene '{scene.name}' ({some}) are not baked: without a window Blender lets them "
            f"stand still, in frames {frames_in_words(late)} too"
        )
        hint = f"Bake them (Scene > Rigid Body World > Cache) and save, {FARM}."
        yield finding("simulation", MAY_DIFFER, f"Scene '{scene.name}'", message, hint)


# ------------------------------------------------------------------------------------- simulation zones


def zones(shown, places, frames, thing, modifier):
    if modifier.node_group is None or not has_zone(shown, modifier.node_group, set()):
        return
    late = [frame for frame in frames if frame > thing_start(shown, modifier)]
    if not late or is_baked(places, thing, modifier):
        return
    message = (
        f"The simulation of geometry nodes '{modifier.name}' of '{thing.name_full}' is not baked: without a window "
        f"Blender lets it stand still, in frames {frames_in_words(late)} too"
    )
    is_kept = hasattr(modifier, "bake_target") and thing.library is None  # in the .blend since 4.3
    hint = f"Bake it (Physics > Simulation Nodes > Bake) and save, {FARM}." if is_kept else PLAY
    yield finding("simulation", MAY_DIFFER, f"Object '{thing.name_full}'", message, hint)


def thing_start(shown, modifier):
    """The frame in which zones begin: what the bake says, else the scene's first."""
    own = [b.frame_start for b in getattr(modifier, "bakes", ()) if b.use_custom_simulation_frame_range]
    return min(own, default=shown.scene.frame_start)


def has_zone(shown, tree, seen):
    """True if the tree, or a group in it, has a simulation zone that it depends on."""
    if tree in seen:
        return False
    seen.add(tree)
    return any(
        node.bl_idname == "GeometryNodeSimulationOutput"
        or (getattr(node, "node_tree", None) is not None and has_zone(shown, node.node_tree, seen))
        for node in shown.live_nodes(tree)
    )


def is_baked(places, thing, modifier):
    """True if every zone of the modifier has a bake, in the .blend or as files."""
    bakes = [b for b in getattr(modifier, "bakes", ()) if is_zone(b.node)]
    if not bakes:  # up to 4.0 one folder holds all zones
        return has_files(places, thing, getattr(modifier, "simulation_bake_directory", ""))
    return all(is_packed(bake) or has_files(places, thing, folder_of(modifier, bake)) for bake in bakes)


def is_zone(node):
    return node is not None and node.bl_idname == "GeometryNodeSimulationOutput"


def folder_of(modifier, bake):
    if bake.use_custom_path:
        return bake.directory
    return f"{modifier.bake_directory.rstrip('/')}/{bake.bake_id}" if modifier.bake_directory else ""


def has_files(places, thing, folder):
    if not folder:
        return False
    path = places.absolute(folder, thing.library)
    return any(names for _, _, names in os.walk(path))


class BakeInMemory(ctypes.Structure):
    """Blender's own record of a bake, as far as it is needed (4.1 to 5.0). Python is not told
    whether a bake is packed into the .blend.
    """

    _fields_ = [
        ("bake_id", ctypes.c_int),
        ("flags", ctypes.c_uint32),
        ("modes", ctypes.c_uint8 * 8),
        ("directory", ctypes.c_void_p),
        ("frame_start", ctypes.c_int),
        ("frame_end", ctypes.c_int),
        ("counts", ctypes.c_int * 2),
        ("data_blocks", ctypes.c_void_p),
        ("packed", ctypes.c_void_p),
    ]


def is_packed(bake):
    """True if a bake is packed into the .blend."""
    if not hasattr(bake, "bake_target"):  # before 4.3 none could be
        return False
    record = BakeInMemory.from_address(bake.as_pointer())
    is_as_expected = (record.bake_id, record.frame_start, record.frame_end, record.counts[0]) == (
        bake.bake_id,
        bake.frame_start,
        bake.frame_end,
        len(bake.data_blocks),
    )
    return is_as_expected and bool(record.packed)


# ----------------------------------------------------------------------------------------------- fluids


def fluids(shown, places, frames, thing, modifier):
    domain = modifier.domain_settings if modifier.fluid_type == "DOMAIN" else None
    if domain is None:
        return
    what = "Smoke" if domain.domain_type == "GAS" else "Liquid"
    where = f"Object '{thing.name_full}'"
    if domain.cache_type != "REPLAY":
        if not getattr(domain, "has_cache_baked_data", True):
            message = f"{what} of '{thing.name_full}' is not baked, so it is not there"
            yield finding("simulation", INFO, where, message, "Bake it and save, if it is to be seen.")
        return
    last = last_cached(places, thing, domain)
    late = [f for f in frames if min(f, domain.cache_frame_end) > max(last, domain.cache_frame_start)]
    if late:
        until = (
            f"it is baked up to frame {last}"
            if last >= domain.cache_frame_start
            else "nothing of it is baked"
        )
        message = (
            f"{what} of '{thing.name_full}' is of the type Replay and {until}: frames {frames_in_words(late)} "
            "depend on those before"
        )
        hint = (
            "Play it to the last frame and save, or set Type to All, bake and save. Or let the farm play it: "
        )
        hint += "Simulations > In Order (--simulations in-order)."
        yield finding("simulation", WRONG, where, message, hint)


def last_cached(places, thing, domain):
    """The last frame up to which a fluid's cache holds every one; less than its first for none."""
    folder = os.path.join(places.absolute(domain.cache_directory, thing.library), "data")
    numbers = {int(n.group(1)) for name in names_in(folder) if (n := re.search(r"_(\d+)\.[a-z.]+$", name))}
    last = domain.cache_frame_start - 1
    while last + 1 in numbers:
        last += 1
    return last


SEARCHES = {
    "CLOTH": soft,
    "SOFT_BODY": soft,
    "PARTICLE_SYSTEM": particles,
    "DYNAMIC_PAINT": paint,
    "NODES": zones,
    "FLUID": fluids,
}
