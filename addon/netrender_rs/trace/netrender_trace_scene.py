# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene is, but for its files: frames, size, camera, and what it asks of the Blender that renders it.

What lives here: functions of a scene of the open file, without effects, for the tracer and for the add-on, which
asks them before it saves a copy. What does not: paths and files (netrender_trace_files.py), whether several
slaves can share a frame (netrender_trace_split.py).
"""

import ctypes

import bpy


def frame_range(scene):
    step = scene.frame_step
    if scene.frame_start >= scene.frame_end:
        return str(scene.frame_start)
    return f"{scene.frame_start}-{scene.frame_end}" + (f"x{step}" if step > 1 else "")


def size_of_film(scene):
    """Width and height in pixels of the written file."""
    render = scene.render
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    if render.use_border and render.use_crop_to_border:

        def edge(share, size):
            return int(ctypes.c_float(share * size).value)  # Blender multiplies in 32 bits and cuts off

        width, height = (
            edge(render.border_max_x, width) - edge(render.border_min_x, width),
            edge(render.border_max_y, height) - edge(render.border_min_y, height),
        )
    return width, height


def has_camera(scene):
    """Whether Blender finds something to render from: it takes any camera of the scene when none is set."""
    if scene.camera is not None or any(o.type == "CAMERA" for o in scene.objects):
        return True
    if scene.render.use_sequencer and len(strips(scene)):
        return True
    nodes = compositor_nodes(scene)
    layers = [n for n in nodes if n.type == "R_LAYERS" and not n.mute]
    others = [n.scene for n in layers if n.scene is not None and n.scene != scene]
    if nodes and len(others) == len(layers):
        return all(s.camera is not None or any(o.type == "CAMERA" for o in s.objects) for s in others)
    return False


def denoises(scene):
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine == "CYCLES" and getattr(cycles, "use_denoising", False):
        return True
    return any(n.type == "DENOISE" and not n.mute for n in compositor_nodes(scene))


def compositor_nodes(scene):
    """Nodes that run after the render, those in groups too."""
    if not scene.render.use_compositing:
        return []
    if hasattr(scene, "compositing_node_group"):  # 5.0
        tree = scene.compositing_node_group
    else:
        tree = scene.node_tree if scene.use_nodes else None
    seen, waiting = [], [tree]
    while waiting:
        tree = waiting.pop()
        if tree is not None and tree not in seen:
            seen.append(tree)
            waiting.extend(getattr(node, "node_tree", None) for node in tree.nodes)
    return [node for tree in seen for node in tree.nodes]


def strips(scene):
    editor = scene.sequence_editor
    if editor is None:
        return ()
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def scripts():
    """Why this file needs its own Python: drivers beyond plain arithmetic, and texts run when it loads."""
    reasons = []
    collections = [p.identifier for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"]
    for block in (b for name in collections for b in getattr(bpy.data, name)):
        for holder in (block, getattr(block, "node_tree", None)):
            animation = getattr(holder, "animation_data", None)
            for curve in animation.drivers if animation else ():
                driver = curve.driver
                if driver.type == "SCRIPTED" and driver.expression and not driver.is_simple_expression:
                    what = f"{type(block).__name__} '{block.name_full}': the driver of {curve.data_path}"
                    reasons.append(f"{what} [{curve.array_index}] is Python: {driver.expression}")
    for text in bpy.data.texts:
        if text.use_module and text.name.lower().endswith(".py"):  # Blender runs no others
            reasons.append(f"Text '{text.name_full}' is Python that runs when the file is loaded")
    return reasons
