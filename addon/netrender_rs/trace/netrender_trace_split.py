# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharing one frame of a scene among several slaves, each with some of its samples or lines: if it
is possible, and how equal the result is.

What lives here: the rules, measured with Blender 3.4 to 5.0, by the features of a Blender and never
by its version. What does not: rendering a share (the worker), merging (crate `film`, `merge`).
"""

import bpy
import netrender_worker_denoise
from netrender_worker_facts import compositor_nodes, size_of_film, strips

# Cycles' own limit.
MOST_SAMPLES = 2**24
# Adaptive sampling goes on with the neighbours of a pixel that is not done. So what is missing
# around a tile has an effect some lines inside it: in each line on a fifth to a fourth as many
# pixels as in the line before, in the ninth on about one in a million.
OVERLAP = 8
LEAST_LINES = 64

# Settings that the rules below read. A frame in which one of them changes has other rules than the
# scene's current frame.
READ = """cycles.samples cycles.sample_offset cycles.use_sample_subset cycles.sample_subset_length
cycles.use_layer_samples cycles.time_limit cycles.use_adaptive_sampling cycles.use_denoising
cycles.sampling_pattern cycles.use_guiding
cycles.auto_scrambling_distance cycles.volume_biased cycles.denoiser cycles.denoising_prefilter
cycles.denoising_input_passes cycles.denoising_quality render.use_compositing render.use_sequencer
render.use_freestyle render.use_motion_blur""".split()
# The settings among these that a tile is rendered with as well as the picture.
SAMPLING = """cycles.samples cycles.sample_offset cycles.use_sample_subset cycles.sample_subset_length
cycles.use_layer_samples cycles.use_adaptive_sampling cycles.sampling_pattern""".split()


def split(scene):
    """The ways to cut a frame of the scene into parts.

    {"samples": of a frame, "layers": {rendered view layer: its own number of samples}, "is_subset": Cycles can be
     told that it renders a part (`use_sample_subset`), "can_grow_to": the largest total of samples up to which the
     first samples do not depend on the total; 0 if they always do, "is_adaptive": adaptive sampling is on,
     "finishes": denoising or the compositor follow when all samples are there, "denoises": denoising does,
     "grade": "identical" (to the frame rendered at once, but for rounding), "equivalent" (other noise, no more of it)
     or "none" (whole frames only), "why": sentences for the artist, empty when identical,
     "tiles": the same for tiles, each some lines of the picture: {"overlap": lines that each needs around its own,
     "grade", "why"}}
    """
    description = {
        "samples": 0,
        "layers": {},
        "is_subset": False,
        "is_adaptive": False,
        "tiles": tiles(scene),
    }
    description.update(can_grow_to=0, finishes=False, denoises=False, grade="none", why="")
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine != "CYCLES" or cycles is None:
        return {**description, "why": "Only Cycles renders frames in parts."}
    description["samples"] = cycles.samples
    description["layers"] = layer_samples(scene)
    description["is_subset"] = hasattr(cycles, "use_sample_subset")
    description["is_adaptive"] = bool(setting(cycles, "use_adaptive_sampling"))
    description["denoises"] = bool(denoised_layers(scene))
    description["finishes"] = description["denoises"] or bool(compositor_nodes(scene))
    obstacles = (catcher_obstacles, mist_obstacles, motion_obstacles, light_obstacles)
    of_passes = [reason for found in obstacles for reason in found(scene)]
    if reasons := [*sample_obstacles(scene), *of_passes, *part_obstacles(scene)]:
        return {**description, "why": " ".join(reasons)}
    description["can_grow_to"] = can_grow_to(scene)
    if description["is_subset"] or cycles.samples <= samples_of_pattern(cycles):
        return {**description, "grade": "identical"}
    why = (
        "In this Blender the noise depends on how many samples are rendered at once: parts give a picture of the "
        "same quality with other noise. It is the same with up to 256 samples and the pattern Tabulated Sobol (from "
        "3.5 on), and in 3.4 with the pattern Sobol."
    )
    return {**description, "grade": "equivalent", "why": why}


def tiles(scene):
    """The ways to cut a frame into tiles, in which no pixel depends on pixels further away than the
    overlap.
    """
    description = {"overlap": 0, "grade": "none", "why": ""}
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine != "CYCLES" or cycles is None:
        return {**description, "why": "Only Cycles renders frames in parts."}
    # Cycles denoises what a catcher shows apart from the rest, before both are one.
    of_catching = catcher_obstacles(scene) if denoised_layers(scene) else ()
    if reasons := [*tile_obstacles(scene), *of_catching, *part_obstacles(scene)]:
        return {**description, "why": " ".join(reasons)}
    if is_adaptive(scene):
        description["overlap"] = OVERLAP
        largest = max(size_of_film(scene))
        if setting(cycles, "use_auto_tile") and largest > setting(cycles, "tile_size", 0) > 0:
            why = (
                f"Cycles itself cuts pictures larger than its Tile Size of {cycles.tile_size} pixels, and with "
                "adaptive sampling some pixels at those edges differ."
            )
            return {**description, "grade": "equivalent", "why": why}
    return {**description, "grade": "identical"}


def is_adaptive(scene):
    """True if adaptive sampling is on, or may be in some frames."""
    animated = any(path.endswith("use_adaptive_sampling") for path in changing_paths(scene))
    return animated or bool(setting(scene.cycles, "use_adaptive_sampling"))


def tile_obstacles(scene):
    """Reasons why pixels depend on how the picture is cut into tiles."""
    if scene.render.use_border:
        yield "Only a Render Region is rendered, which is a tile already."
    lines = size_of_film(scene)[1]
    if lines < LEAST_LINES:
        yield f"A picture of {lines} lines is too small to be cut into tiles."
    changing = sorted({path for path in changing_paths(scene) if is_read(path) and not is_sampling(path)})
    if changing:
        yield f"Settings of the whole picture are animated or driven: {', '.join(changing)}."
    counting = [n.name for n in rendered_layers(scene) if n.cycles.pass_debug_sample_count]
    if is_adaptive(scene) and counting:
        yield f"With adaptive sampling the pass Sample Count of {names(counting)} is a part of each tile's samples."


def setting(thing, name, without=False):
    """A setting; `without` in a Blender that has none."""
    return getattr(thing, name, without)


def rendered_layers(scene):
    return [layer for layer in scene.view_layers if layer.use]


def layer_samples(scene):
    """{rendered view layer: its own number of samples}, of those that do not have the scene's."""
    rule = setting(scene.cycles, "use_layer_samples", "USE")
    if rule == "IGNORE":
        return {}
    own = {layer.name: layer.samples for layer in rendered_layers(scene) if layer.samples > 0}
    return {name: samples for name, samples in own.items() if rule == "USE" or samples < scene.cycles.samples}


def samples_of_pattern(cycles):
    """The largest total of samples up to which a sample does not depend on the total; 0 if it
    always does.
    """
    known = [item.identifier for item in cycles.bl_rna.properties["sampling_pattern"].enum_items]
    if "PROGRESSIVE_MULTI_JITTER" in known:  # up to 3.4
        return MOST_SAMPLES if cycles.sampling_pattern == "SOBOL" else 256
    return 256 if cycles.sampling_pattern == "TABULATED_SOBOL" else 0


def can_grow_to(scene):
    """The largest total of samples to which a frame can be extended later."""
    most = samples_of_pattern(scene.cycles)
    if setting(scene.cycles, "use_layer_samples", "USE") == "BOUNDED":
        # Beyond its own number of samples a layer would not follow the scene's any more.
        own = [layer.samples for layer in rendered_layers(scene) if layer.samples > scene.cycles.samples]
        most = min([most, *own])
    return most


def sample_obstacles(scene):
    """Reasons why a frame's samples cannot be shared."""
    cycles = scene.cycles
    if cycles.samples < 2:
        yield "A frame has only one sample."
    if changing := sorted({path for path in changing_paths(scene) if is_read(path)}):
        yield f"Settings of sampling are animated or driven: {', '.join(changing)}."
    if setting(cycles, "use_sample_subset", setting(cycles, "sample_offset", 0) != 0):
        yield "The scene renders some of its samples only (Sample Offset or Sample Subset)."
    for name, samples in layer_samples(scene).items():
        if samples > cycles.samples:
            yield f"View layer '{name}' has {samples} samples, more than the scene's {cycles.samples}."
    if setting(cycles, "use_adaptive_sampling"):
        yield "Adaptive sampling (Noise Threshold) decides by all samples when a pixel is done."


def part_obstacles(scene):
    """Reasons why neither samples nor lines of a frame can be shared."""
    cycles = scene.cycles
    if setting(cycles, "time_limit", 0) > 0:
        yield "With a Time Limit nobody knows how many samples a part will have."
    if setting(cycles, "auto_scrambling_distance"):
        yield "The automatic Scrambling Distance depends on what is rendered at once."
    if setting(cycles, "use_guiding"):
        yield "Path guiding learns from the samples before."
    yield from finish_obstacles(scene)
    yield from volume_obstacles(scene)


def finish_obstacles(scene):
    """Reasons why denoising, compositor or sequencer cannot follow on parts."""
    if denoised := denoised_layers(scene):
        if scene.cycles.denoiser != "OPENIMAGEDENOISE":
            yield f"The denoiser of {names(denoised)} is not Open Image Denoise, and only that can denoise parts."
        elif not netrender_worker_denoise.is_there():
            yield (
                f"Denoising is on in {names(denoised)}, and parts can only be denoised with Blender 4.0 or "
                "later, which brings Open Image Denoise along as a library of its own."
            )
    nodes = compositor_nodes(scene)
    others = {n.scene.name for n in nodes if n.type == "R_LAYERS" and n.scene not in (None, scene)}
    if others:
        yield f"The compositor uses another scene, '{min(others)}', which would have to be rendered with each part."
    if (nodes or denoised) and scene.render.use_border and not scene.render.use_crop_to_border:
        yield "A Render Region that is not cropped cannot be denoised or composited from parts."
    if scene.render.use_sequencer and len(strips(scene)):
        yield "The sequencer is used, and parts cannot go through it."
    if setting(scene.render, "use_freestyle"):
        yield "Freestyle draws its lines over the whole picture."


def catcher_obstacles(scene):
    """Reasons why the result of shadow catchers cannot be made of parts."""
    layers = rendered_layers(scene)
    catching = [n.name for n in layers if setting(setting(n, "cycles", None), "use_pass_shadow_catcher")]
    if catching:
        yield f"The pass Shadow Catcher of {names(catching)} is no average of samples."
    # On a light the setting means that it lights catchers, and is on by default.
    things = [o for o in bpy.data.objects if o.users and o.type != "LIGHT"]
    catchers = sorted(thing.name for thing in things if setting(thing, "is_shadow_catcher"))
    if catchers:
        yield f"What a shadow catcher shows is no average of samples: object '{catchers[0]}'."


def mist_obstacles(scene):
    """Reasons why the pass Mist cannot be made of parts."""
    layers = rendered_layers(scene)
    misty = [n.name for n in layers if n.use_pass_mist]
    if misty:
        yield f"The pass Mist of {names(misty)} is cut off in each part."


def motion_obstacles(scene):
    """Reasons why the pass Vector cannot be averaged."""
    moving = [n.name for n in rendered_layers(scene) if n.use_pass_vector]
    # With motion blur the pass is empty.
    if moving and not scene.render.use_motion_blur:
        yield f"The pass Vector of {names(moving)} counts only samples that hit something."


def light_obstacles(scene):
    """Reasons why passes of light cannot be averaged."""
    for layer in rendered_layers(scene):
        for kind in ("diffuse", "glossy", "transmission"):
            has_light = any(setting(layer, f"use_pass_{kind}_{way}") for way in ("direct", "indirect"))
            if has_light and not setting(layer, f"use_pass_{kind}_color"):
                title = kind.capitalize()
                yield (
                    f"View layer '{layer.name}' has the pass {title} Direct or {title} Indirect, which can only be "
                    f"merged with {title} Color."
                )


def volume_obstacles(scene):
    """Reasons why volumes cannot be cut. In 5.0 their pixels differ in a tile, too."""
    if not setting(scene.cycles, "volume_biased", True) and (volume := first_volume()):
        yield f"Volumes are rendered Unbiased, which cannot be cut: {volume}."


def denoised_layers(scene):
    if not setting(scene.cycles, "use_denoising"):
        return []
    layers = rendered_layers(scene)
    return [n.name for n in layers if setting(setting(n, "cycles", None), "use_denoising", True)]


def names(layers):
    return f"view layer {', '.join(map(repr, layers))}"


def first_volume():
    """The name of something that may render as a volume; "" for nothing. In doubt it does: whole
    frames are never wrong.
    """
    data = bpy.data
    for thing in data.objects:
        if thing.type == "VOLUME" and thing.users:
            return f"object '{thing.name}'"
    for block in (*data.materials, *data.worlds):
        if block.users and block.node_tree is not None and has_volume_output(block.node_tree):
            return f"{type(block).__name__.lower()} '{block.name}'"
    for tree in data.node_groups:
        kinds = {node.type for node in tree.nodes} if tree.users else ()
        if tree.bl_idname == "GeometryNodeTree" and any(
            k != "VOLUME_TO_MESH" and "VOLUME" in k for k in kinds
        ):
            return f"geometry nodes '{tree.name}'"
    return ""


def has_volume_output(tree):
    seen, waiting = set(), [tree]
    while waiting:
        tree = waiting.pop()
        if tree is None or tree in seen:
            continue
        seen.add(tree)
        for node in tree.nodes:
            if node.type in ("OUTPUT_MATERIAL", "OUTPUT_WORLD") and node.inputs["Volume"].is_linked:
                return True
            waiting.append(setting(node, "node_tree", None))
    return False


def is_read(path):
    return path in READ or path.startswith("view_layers[")


def is_sampling(path):
    """True for a setting that a tile is rendered with as well as the picture."""
    return path in SAMPLING or path.endswith("].samples")


def changing_paths(block):
    """Data paths of a datablock that F-curves or drivers change."""
    animation = block.animation_data
    if animation is None:
        return
    yield from (driver.data_path for driver in animation.drivers)
    actions = [animation.action, *(s.action for track in animation.nla_tracks for s in track.strips)]
    for action in filter(None, actions):
        yield from (curve.data_path for curve in curves(action))


def curves(action):
    if hasattr(action, "fcurves"):
        yield from action.fcurves
        return
    for layer in action.layers:  # 5.0
        for strip in layer.strips:
            for bag in strip.channelbags:
                yield from bag.fcurves
