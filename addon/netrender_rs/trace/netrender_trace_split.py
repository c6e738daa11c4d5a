# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether several slaves can share one frame of a scene, each with some of its samples or its lines, and what becomes
of it.

What lives here: the rules, measured with Blender 3.4 to 5.0, by what a Blender has and never by its version. What
does not: rendering a share (the worker), merging (film `merge`).
"""

import bpy
import netrender_worker_denoise
from netrender_trace_scene import compositor_nodes, size_of_film, strips

# Cycles' own limit.
MOST_SAMPLES = 2**24
# A pixel that adaptive sampling is not done with brings those around it to be sampled on. What is missing around a tile
# is so felt some lines inside, in each by a fifth to a fourth as many pixels; in the ninth by one in a million or so.
OVERLAP = 8
LEAST_LINES = 64

# What the rules below read; a frame of which it changes has other rules than the one the scene stands at.
READ = """cycles.samples cycles.sample_offset cycles.use_sample_subset cycles.sample_subset_length
cycles.use_layer_samples cycles.time_limit cycles.use_adaptive_sampling cycles.use_denoising
cycles.sampling_pattern cycles.use_guiding
cycles.auto_scrambling_distance cycles.volume_biased cycles.denoiser cycles.denoising_prefilter
cycles.denoising_input_passes cycles.denoising_quality render.use_compositing render.use_sequencer
render.use_freestyle render.use_motion_blur""".split()
# Of these, what a tile is rendered with as well as the picture.
SAMPLING = """cycles.samples cycles.sample_offset cycles.use_sample_subset cycles.sample_subset_length
cycles.use_layer_samples cycles.use_adaptive_sampling cycles.sampling_pattern""".split()


def split(scene):
    """How a frame of the scene can be cut into parts.

    {"samples": of a frame, "layers": {view layer that is rendered: its own number of samples}, "is_subset":
     Cycles can be told that it renders a part (`use_sample_subset`), "can_grow_to": up to so many samples the first
     ones are the same, however many there are in all; 0 if they never are, "is_adaptive": adaptive sampling is on,
     "finishes": denoising or the compositor follow when all samples are there, "denoises": denoising does,
     "grade": "identical" (to the frame rendered at once, but for rounding), "equivalent" (other noise, no more of it)
     or "none" (whole frames only), "why": sentences for the artist, empty when identical,
     "tiles": the same of tiles, each some lines of the picture: {"overlap": lines that each needs around its own,
     "grade", "why"}}
    """
    told = {"samples": 0, "layers": {}, "is_subset": False, "is_adaptive": False, "tiles": tiles(scene)}
    told.update(can_grow_to=0, finishes=False, denoises=False, grade="none", why="")
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine != "CYCLES" or cycles is None:
        return {**told, "why": "Only Cycles renders frames in parts."}
    told["samples"] = cycles.samples
    told["layers"] = layer_samples(scene)
    told["is_subset"] = hasattr(cycles, "use_sample_subset")
    told["is_adaptive"] = bool(setting(cycles, "use_adaptive_sampling"))
    told["denoises"] = bool(denoised_layers(scene))
    told["finishes"] = told["denoises"] or bool(compositor_nodes(scene))
    of_passes = (*of_catchers(scene), *of_mist(scene), *of_motion(scene), *of_light(scene))
    if reasons := [*of_samples(scene), *of_passes, *of_parts(scene)]:
        return {**told, "why": " ".join(reasons)}
    told["can_grow_to"] = can_grow_to(scene)
    if told["is_subset"] or cycles.samples <= samples_of_pattern(cycles):
        return {**told, "grade": "identical"}
    why = (
        "In this Blender the noise depends on how many samples are rendered at once: parts give a picture of the "
        "same quality with other noise. It is the same with up to 256 samples and the pattern Tabulated Sobol (from "
        "3.5 on), and in 3.4 with the pattern Sobol."
    )
    return {**told, "grade": "equivalent", "why": why}


def tiles(scene):
    """How a frame can be cut into tiles: nothing in a pixel depends on those that are further away."""
    told = {"overlap": 0, "grade": "none", "why": ""}
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine != "CYCLES" or cycles is None:
        return {**told, "why": "Only Cycles renders frames in parts."}
    # Cycles denoises what a catcher shows apart from the rest, before both are one.
    of_catching = of_catchers(scene) if denoised_layers(scene) else ()
    if reasons := [*of_tiles(scene), *of_catching, *of_parts(scene)]:
        return {**told, "why": " ".join(reasons)}
    if is_adaptive(scene):
        told["overlap"] = OVERLAP
        largest = max(size_of_film(scene))
        if setting(cycles, "use_auto_tile") and largest > setting(cycles, "tile_size", 0) > 0:
            why = (
                f"Cycles itself cuts pictures larger than its Tile Size of {cycles.tile_size} pixels, and with "
                "adaptive sampling some pixels at those edges differ."
            )
            return {**told, "grade": "equivalent", "why": why}
    return {**told, "grade": "identical"}


def is_adaptive(scene):
    """Whether adaptive sampling is on, or may be in some frames."""
    animated = any(path.endswith("use_adaptive_sampling") for path in changing_paths(scene))
    return animated or bool(setting(scene.cycles, "use_adaptive_sampling"))


def of_tiles(scene):
    """Why its pixels depend on what a tile is."""
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
    """A setting, or what it means that this Blender has none."""
    return getattr(thing, name, without)


def rendered_layers(scene):
    return [layer for layer in scene.view_layers if layer.use]


def layer_samples(scene):
    """{view layer that is rendered: the samples it has in place of the scene's}."""
    rule = setting(scene.cycles, "use_layer_samples", "USE")
    if rule == "IGNORE":
        return {}
    own = {layer.name: layer.samples for layer in rendered_layers(scene) if layer.samples > 0}
    return {name: samples for name, samples in own.items() if rule == "USE" or samples < scene.cycles.samples}


def samples_of_pattern(cycles):
    """Up to how many samples in all sample 70 is the same, however many there are; 0 if it never is."""
    known = [item.identifier for item in cycles.bl_rna.properties["sampling_pattern"].enum_items]
    if "PROGRESSIVE_MULTI_JITTER" in known:  # up to 3.4
        return MOST_SAMPLES if cycles.sampling_pattern == "SOBOL" else 256
    return 256 if cycles.sampling_pattern == "TABULATED_SOBOL" else 0


def can_grow_to(scene):
    """Up to how many samples in all a frame can be given more later."""
    most = samples_of_pattern(scene.cycles)
    if setting(scene.cycles, "use_layer_samples", "USE") == "BOUNDED":
        # Beyond its own number a layer would not follow the scene's any more.
        own = [layer.samples for layer in rendered_layers(scene) if layer.samples > scene.cycles.samples]
        most = min([most, *own])
    return most


def of_samples(scene):
    """Why its samples cannot be dealt out."""
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


def of_parts(scene):
    """Why neither its samples nor its lines can be dealt out."""
    cycles = scene.cycles
    if setting(cycles, "time_limit", 0) > 0:
        yield "With a Time Limit nobody knows how many samples a part will have."
    if setting(cycles, "auto_scrambling_distance"):
        yield "The automatic Scrambling Distance depends on what is rendered at once."
    if setting(cycles, "use_guiding"):
        yield "Path guiding learns from the samples before."
    yield from of_finish(scene)
    yield from of_volume(scene)


def of_finish(scene):
    """Why what follows when all is there cannot follow on parts."""
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


def of_catchers(scene):
    """Why what a shadow catcher shows cannot be made of parts."""
    layers = rendered_layers(scene)
    catching = [n.name for n in layers if setting(setting(n, "cycles", None), "use_pass_shadow_catcher")]
    if catching:
        yield f"The pass Shadow Catcher of {names(catching)} is no average of samples."
    # Of a light it says that it lights catchers, and is on from the start.
    things = [o for o in bpy.data.objects if o.users and o.type != "LIGHT"]
    catchers = sorted(thing.name for thing in things if setting(thing, "is_shadow_catcher"))
    if catchers:
        yield f"What a shadow catcher shows is no average of samples: object '{catchers[0]}'."


def of_mist(scene):
    """Why the pass Mist cannot be made of parts."""
    layers = rendered_layers(scene)
    misty = [n.name for n in layers if n.use_pass_mist]
    if misty:
        yield f"The pass Mist of {names(misty)} is cut off in each part."


def of_motion(scene):
    """Why its motion cannot be averaged."""
    moving = [n.name for n in rendered_layers(scene) if n.use_pass_vector]
    # With motion blur the pass is empty.
    if moving and not scene.render.use_motion_blur:
        yield f"The pass Vector of {names(moving)} counts only samples that hit something."


def of_light(scene):
    """Why light cannot be averaged."""
    for layer in rendered_layers(scene):
        for kind in ("diffuse", "glossy", "transmission"):
            has_light = any(setting(layer, f"use_pass_{kind}_{way}") for way in ("direct", "indirect"))
            if has_light and not setting(layer, f"use_pass_{kind}_color"):
                title = kind.capitalize()
                yield (
                    f"View layer '{layer.name}' has the pass {title} Direct or {title} Indirect, which can only be "
                    f"merged with {title} Color."
                )


def of_volume(scene):
    """Why volumes cannot be cut. In 5.0 their pixels differ in a tile, too."""
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
    """Something that may render as a volume; in doubt it does, for a frame rendered whole is never wrong."""
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
    """Whether a tile is rendered with that setting as well as the picture."""
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
