# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulations that are not baked: each frame follows from the one before.

What lives here: playing the scene up to a frame, and baking its simulations so that saving the
.blend keeps their caches. What does not: opening, re-pointing, saving and rendering. A background
render alone hardly moves them: only frames that the scene itself goes through (`frame_set`) are
simulated as in the window of the artist.
"""

import contextlib

import bpy
from netrender_worker_paths import Refused

# Caches that are lost when the .blend is saved.
NOT_KEPT = ("DYNAMIC_PAINT",)
ZONE = "GeometryNodeSimulationOutput"


def first_frame(scene):
    """The frame from which the animation must be played."""
    starts = [cache.frame_start for _, _, _, cache in point_caches(scene) if not is_done(cache)]
    return min([scene.frame_start, *starts])


def is_done(cache):
    """True for a cache that needs no simulating: baked, or files of another program."""
    return cache.is_baked or cache.use_external


def objects_of(scene):
    """The scene's objects, those of background scenes and of instanced collections included."""
    seen = {}
    waiting = [thing for part in with_backgrounds(scene) for thing in part.objects]
    while waiting:
        thing = waiting.pop()
        if thing.as_pointer() not in seen:
            seen[thing.as_pointer()] = thing
            if thing.instance_type == "COLLECTION" and thing.instance_collection is not None:
                waiting.extend(thing.instance_collection.all_objects)
    return sorted(seen.values(), key=lambda thing: thing.name_full)


def with_backgrounds(scene):
    """The scene, its background scene, the background's own and so on."""
    found = []
    while scene is not None and scene not in found:
        found.append(scene)
        scene = scene.background_set
    return found


def point_caches(scene):
    """Yields (kind, owner, the part with the cache, cache) of everything that simulates in the scene."""
    for part in with_backgrounds(scene):
        world = part.rigidbody_world
        if world is not None and world.enabled and world.collection is not None:
            yield "RIGID_BODY", part, world, world.point_cache
    for thing in objects_of(scene):
        for modifier in thing.modifiers:
            if not modifier.show_render:
                continue
            if modifier.type in ("CLOTH", "SOFT_BODY"):
                yield modifier.type, thing, modifier, modifier.point_cache
            elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
                for surface in modifier.canvas_settings.canvas_surfaces:
                    # Sequences of images are no point caches: Blender writes them only when asked to.
                    if surface.is_active and surface.surface_format == "VERTEX":
                        yield modifier.type, thing, surface, surface.point_cache
            elif modifier.type == "PARTICLE_SYSTEM" and modifier.particle_system is not None:
                system = modifier.particle_system
                if system.settings.type == "EMITTER" or system.use_hair_dynamics:
                    yield modifier.type, thing, system, system.point_cache


def zones(scene):
    """Yields (object, modifier, bake) of every simulation zone of Geometry Nodes that is not in files."""
    for thing in objects_of(scene):
        for modifier in thing.modifiers:
            if modifier.type != "NODES" or not modifier.show_render:
                continue
            for bake in getattr(modifier, "bakes", ()):
                if bake.node is not None and bake.node.bl_idname == ZONE:
                    yield thing, modifier, bake


def has_zones_without_bakes(scene):
    """True for zones in a Blender that can't keep their bake in the .blend (before 4.3)."""
    if not hasattr(bpy.types, ZONE):
        return False
    has_target = "bake_target" in bpy.types.NodesModifier.bl_rna.properties
    return not has_target and any(
        node.bl_idname == ZONE for tree in bpy.data.node_groups for node in tree.nodes
    )


def play(scene, first, last, say):
    """Goes through the frames from `first` to `last`, as playback does."""
    for frame in range(first, last + 1):
        say(frame)
        scene.frame_set(frame)


@contextlib.contextmanager
def told(say):
    """Calls `say(frame)` for each frame that Blender goes through."""

    def on_frame(scene, *_):
        say(scene.frame_current)

    bpy.app.handlers.frame_change_post.append(on_frame)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            bpy.app.handlers.frame_change_post.remove(on_frame)


def bake(scene, until, say):
    """Bakes all that simulates in the scene up to the frame `until`. Raises Refused for what can't be
    kept in the .blend.
    """
    if has_zones_without_bakes(scene):
        version = ".".join(map(str, bpy.app.version))
        cannot("the simulation zones", scene, f"Blender {version} keeps them only in files")
    open_caches = [entry for entry in point_caches(scene) if not is_done(entry[3])]
    for kind, owner, _, cache in open_caches:
        if owner.library is not None:
            cannot(words(kind), owner, f"it is linked from {owner.library.filepath}")
        if kind in NOT_KEPT:
            cannot(words(kind), owner, "Blender does not keep its cache in the .blend")
        if cache.use_disk_cache:
            cache.use_disk_cache = False
        if cache.frame_end > until:
            cache.frame_end = max(until, cache.frame_start)
    for thing in objects_of(scene):
        for modifier in thing.modifiers:
            domain = getattr(modifier, "domain_settings", None) if modifier.type == "FLUID" else None
            if domain is not None and modifier.show_render and domain.cache_type == "REPLAY":
                cannot("the fluid", thing, "its cache is a replay")
    first = first_frame(scene)
    with told(say):
        if open_caches:
            scene.frame_set(first)
            bpy.ops.ptcache.bake_all(bake=True)
        for thing, modifier, zone in list(zones(scene)):
            bake_zone(scene, thing, modifier, zone, first, until)
    for kind, owner, _, cache in open_caches:
        if not cache.is_baked:
            cannot(words(kind), owner, "Blender did not bake it")


def bake_zone(scene, thing, modifier, zone, first, until):
    """Bakes a simulation zone into the .blend."""
    if thing.library is not None:
        cannot("a simulation zone", thing, f"it is linked from {thing.library.filepath}")
    zone.bake_target = "PACKED"
    if not zone.use_custom_simulation_frame_range:
        zone.use_custom_simulation_frame_range = True
        zone.frame_start = min(first, scene.frame_start)
    zone.frame_end = max(until, zone.frame_start)
    done = bpy.ops.object.geometry_node_bake_single(
        session_uid=thing.session_uid, modifier_name=modifier.name, bake_id=zone.bake_id
    )
    if done != {"FINISHED"}:
        cannot("a simulation zone", thing, "Blender did not bake it")


def words(kind):
    return {
        "CLOTH": "the cloth",
        "SOFT_BODY": "the soft body",
        "RIGID_BODY": "the rigid bodies",
        "PARTICLE_SYSTEM": "the particles",
        "DYNAMIC_PAINT": "the dynamic paint",
    }[kind]


def cannot(what, owner, why):
    raise Refused(
        "bake_failed",
        f"{what} of '{owner.name}' can't be baked on the farm: {why}. Bake it in Blender and send again, or "
        "send with its simulations in order.",
    )
