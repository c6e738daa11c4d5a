# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about a scene of the open file that worker, tracer and add-on ask for alike.

What lives here: functions of a scene, without effects. What does not: paths and files. Imports
nothing else of ours, because the add-on imports it as a part of its package, and worker and tracer
as a file that lies beside them.
"""

import ctypes
import functools
import re

import bpy

ENGINE_BYTES = 32
# Engines that draw, by OpenGL or its like: they need a display, or software that draws without one.
DRAWING_ENGINES = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH")
# Numbers of the choices of a job's engine that are saved in a .blend (the add-on's props/scene.py).
EEVEE, WORKBENCH = 2, 3


def size_of_film(scene):
    """Width and height of the written file in pixels."""
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


def strips(scene):
    """The sequencer's strips, those in meta strips too."""
    editor = scene.sequence_editor
    if editor is None:
        return ()
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def compositing_tree(scene):
    """The tree that runs after this scene's render, or None."""
    if not scene.render.use_compositing:
        return None
    if hasattr(scene, "compositing_node_group"):  # 5.0
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def compositor_nodes(scene):
    """Nodes that run after the render, those in groups too."""
    seen, waiting = [], [compositing_tree(scene)]
    while waiting:
        tree = waiting.pop()
        if tree is not None and tree not in seen:
            seen.append(tree)
            waiting.extend(getattr(node, "node_tree", None) for node in tree.nodes)
    return [node for tree in seen for node in tree.nodes]


@functools.cache
def place_of_engine():
    """Bytes from the begin of a scene's render settings to the name of its engine; -1 if it is not
    found. To be asked before a file is open, because a scene is made for it.
    """
    mark = type("Mark", (bpy.types.RenderEngine,), {"bl_idname": "NETRENDER_MARK", "bl_label": "Mark"})
    scene = bpy.data.scenes.new("netrender mark")
    bpy.utils.register_class(mark)
    try:
        scene.render.engine = mark.bl_idname
        # Behind the name follow the settings of baking, with a path of 1024 bytes.
        return ctypes.string_at(scene.render.as_pointer(), 3072).find(mark.bl_idname.encode() + b"\0")
    finally:
        bpy.data.scenes.remove(scene)
        bpy.utils.unregister_class(mark)


def engine_name(scene):
    """The scene's engine as the file has it. Blender gives the first of its own engines for one
    that is not registered, and renders with that.
    """
    place = place_of_engine()
    if place < 0:
        return scene.render.engine
    raw = ctypes.string_at(scene.render.as_pointer() + place, ENGINE_BYTES)
    return raw.partition(b"\0")[0].decode("utf-8", "replace")


def kept_engine(scene):
    """The engine that the artist chose in the add-on for a scene that is set to NET_RENDER."""
    held = getattr(scene, "bl_system_properties_get", lambda: None)() or scene  # 5.0 keeps it apart
    choice = 0
    try:
        choice = held["netrender"]["job"]["engine"]
    except (KeyError, TypeError):  # nothing was chosen
        pass
    if choice == EEVEE:
        return "BLENDER_EEVEE_NEXT" if (4, 2, 0) <= bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"
    return "BLENDER_WORKBENCH" if choice == WORKBENCH else "CYCLES"


def shown_scenes(scene):
    """Other scenes whose renders are a part of this one's: by scene strips and by Render Layers."""
    found, waiting = [], [scene]
    while waiting:
        current = waiting.pop()
        others = [n.scene for n in compositor_nodes(current) if n.type == "R_LAYERS" and not n.mute]
        if current.render.use_sequencer:
            others += [strip.scene for strip in strips(current) if strip.type == "SCENE"]
        for other in others:
            if other is not None and other != scene and other not in found:
                found.append(other)
                waiting.append(other)
    return found


def has_camera(scene):
    """True if Blender finds something to render from: it takes any camera of the scene when none is
    set.
    """
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


def all_node_trees():
    """[(datablock, node tree)]: node groups, and trees that are a part of another datablock."""
    data = bpy.data
    owners = (data.materials, data.worlds, data.lights, data.scenes, data.textures, data.linestyles)
    embedded = [(o, o.node_tree) for c in owners for o in c if getattr(o, "node_tree", None)]
    return [*((tree, tree) for tree in data.node_groups), *embedded]


class ModifierText:
    """A text that a geometry nodes modifier gives its group, as a property."""

    def __init__(self, modifier, key):
        self._modifier, self._key = modifier, key

    @property
    def value(self):
        return self._modifier[self._key]

    @value.setter
    def value(self, text):
        self._modifier[self._key] = text
        self._modifier.id_data.update_tag()


def texts_of_modifier(modifier):
    """The texts among the inputs of a geometry nodes modifier."""
    if modifier.type != "NODES" or modifier.node_group is None:
        return []
    try:
        return [ModifierText(modifier, key) for key, value in modifier.items() if isinstance(value, str)]
    except TypeError:  # a Blender that keeps them elsewhere
        return []


def strings_of_nodes():
    """Yields (datablock, node, the part of it that holds a string, the property's name) of nodes that
    may open a file by it: geometry nodes, and OSL scripts with texts among their inputs.
    """
    for owner, tree in all_node_trees():
        is_geometry = tree.bl_idname == "GeometryNodeTree"
        if not is_geometry and tree.bl_idname != "ShaderNodeTree":
            continue
        for node in tree.nodes:
            if node.bl_idname == "FunctionNodeInputString":
                yield owner, node, node, "string"
            elif is_geometry or node.bl_idname == "ShaderNodeScript":
                for socket in node.inputs:
                    if socket.type == "STRING" and not socket.is_linked:
                        yield owner, node, socket, "default_value"


def file_output_nodes(scene):
    """[(folder's name, node)]: File Output nodes of all compositors, this scene's first, each with
    a name of its own for a folder. The same for the same scene on every machine.
    """
    own = compositing_tree(scene)
    trees = [(tree.name, tree) for tree in bpy.data.node_groups]
    trees += [(s.name, s.node_tree) for s in bpy.data.scenes if getattr(s, "node_tree", None)]
    trees = [(owner, tree) for owner, tree in trees if tree.bl_idname == "CompositorNodeTree"]
    trees.sort(key=lambda found: (found[1] != own, found[0]))
    taken, result = set(), []
    for owner, tree in trees:
        for node in sorted(tree.nodes, key=lambda node: node.name):
            if node.bl_idname != "CompositorNodeOutputFile":
                continue
            plain = _folder_name(node.name)
            names = [plain, f"{_folder_name(owner)} {plain}"]
            names += [f"{names[1]} {number}" for number in range(2, 2 + len(taken))]
            name = next(name for name in names if name.casefold() not in taken)
            taken.add(name.casefold())
            result.append((name, node))
    return result


def _folder_name(name):
    """The name, as a folder may have on every system."""
    name = re.sub(r'[\\/:*?"<>|\x00-\x1f\x7f]', "_", name).rstrip(". ") or "_"
    return f"_{name}" if re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name) else name
