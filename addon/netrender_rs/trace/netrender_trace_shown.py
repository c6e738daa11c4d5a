# SPDX-License-Identifier: GPL-3.0-or-later
"""The datablocks that frames of one scene can depend on: a missing reference picture behind the
camera, or another scene's font, changes none.

What lives here: the search from a datablock up to a rendered scene, through everything that uses
it. It is lazy, because most files have nothing to ask about. What does not: what to make of the
answer. In doubt the answer is yes.
"""

import functools

import bpy
from netrender_worker_facts import compositing_tree, compositor_nodes, strips

# Datablocks of Blender's interface. What they use is not rendered.
INTERFACE = {"Brush", "Screen", "WindowManager", "WorkSpace", "Palette", "PaintCurve", "Library", "Speaker"}
# Sockets whose value is a number or a text, the most of all.
PLAIN = {"VALUE", "INT", "BOOLEAN", "VECTOR", "RGBA", "SHADER", "GEOMETRY", "STRING", "ROTATION", "MATRIX"}
SINKS = {"GROUP_OUTPUT", "OUTPUT_FILE", "COMPOSITE", "SPLITVIEWER"}


class Shown:
    """The rendered scenes and the datablocks that they can show."""

    def __init__(self, scene):
        self.scene = scene
        self.scenes = rendered_scenes(scene)
        self._known = {}
        self._live = {}

    def needs(self, block, part=None):
        """True if a frame can depend on the datablock, and on the part of it: a node, a modifier, a
        strip.
        """
        if part is None or block is None:
            return block is None or self.shows(block)
        if isinstance(part, bpy.types.Node):
            return self.uses_node(block, part)
        if isinstance(part, bpy.types.Modifier):
            return part.show_render and self.shows(block)
        return block in self.scenes and block.render.use_sequencer and not part.mute  # a strip

    def uses_node(self, owner, node):
        """True if a frame can depend on a node of the owner's tree."""
        return node in self.live_nodes(tree_of(owner)) and self.shows(owner)

    def shows(self, block):
        """True if a frame can depend on the datablock."""
        if block not in self._known:
            self._known[block] = self._search(block)
        return self._known[block]

    def _search(self, block):
        if isinstance(block, bpy.types.Library):
            return any(self.shows(linked) for linked in block.users_id)
        seen, waiting = {block}, [block]
        while waiting:
            used = waiting.pop()
            if self._known.get(used) or used in self.scenes or used in self._visible:
                return True
            if used in self._known:  # as not shown
                continue
            for user in self._users.get(used, ()):
                if user in seen or type(user).__name__ in INTERFACE or not self._counts(user, used):
                    continue
                if isinstance(user, bpy.types.Scene):
                    return True
                seen.add(user)
                waiting.append(user)
        return False

    @functools.cached_property
    def _users(self):
        return bpy.data.user_map()

    @functools.cached_property
    def _visible(self):
        """Objects that a rendered view layer shows."""
        found = set()
        for scene in self.scenes:
            for layer in scene.view_layers:
                waiting = [layer.layer_collection] if layer.use or changes(scene, "use") else []
                while waiting:
                    child = waiting.pop()
                    if is_hidden(child.collection):
                        continue
                    waiting.extend(child.children)
                    if not child.exclude:
                        found.update(o for o in child.collection.objects if not is_hidden(o))
        return found

    def _counts(self, user, used):
        """True if what the user shows can depend on what it uses."""
        if isinstance(used, bpy.types.Action):
            return not isinstance(user, bpy.types.Scene) or user in self.scenes
        if isinstance(user, bpy.types.Scene):
            return user in self.scenes and self._scene_counts(user, used)
        if isinstance(user, bpy.types.Camera):  # pictures behind it
            return not isinstance(used, (bpy.types.Image, bpy.types.MovieClip))
        if isinstance(user, bpy.types.Object):
            return not (user.type == "EMPTY" and user.data == used)
        if isinstance(user, bpy.types.Collection):
            return not is_hidden(used)
        if isinstance(user, bpy.types.Material):
            drawing = user.grease_pencil if user.is_grease_pencil else None
            if drawing and used in (drawing.stroke_image, drawing.fill_image):
                return True
            return has_nodes(user) and self._tree_uses(user.node_tree, used)
        if isinstance(user, (bpy.types.World, bpy.types.Light)):
            return has_nodes(user) and self._tree_uses(user.node_tree, used)
        if isinstance(user, bpy.types.NodeTree):
            return self._tree_uses(user, used)
        return True

    def _scene_counts(self, scene, used):
        """True if the pictures of a rendered scene can depend on what it uses. Objects in its
        collections are another matter: they must be visible.
        """
        cut = [s for s in strips(scene) if not s.mute] if scene.render.use_sequencer else []
        if isinstance(used, bpy.types.Object):
            cameras = {scene.camera, *(marker.camera for marker in scene.timeline_markers)}
            return used in cameras or any(getattr(s, "scene_camera", None) == used for s in cut)
        if isinstance(used, (bpy.types.Collection, bpy.types.Scene, bpy.types.Sound)):
            return False
        if isinstance(used, bpy.types.VectorFont):
            return any(s.type == "TEXT" and s.font == used for s in cut)
        if isinstance(used, bpy.types.FreestyleLineStyle):
            return scene.render.use_freestyle or changes(scene, "use_freestyle")
        tree = compositing_tree(scene)
        if tree is not None and (used == tree or self._tree_uses(tree, used)):
            return True
        if isinstance(used, bpy.types.MovieClip):
            return any(s.type == "MOVIECLIP" and s.clip == used for s in cut) or (
                used == scene.active_clip and any(map(follows_active_clip, bpy.data.objects))
            )
        if isinstance(used, (bpy.types.NodeTree, bpy.types.Mask)):  # strips' modifiers
            return bool(cut)
        # Brushes, textures, pictures and notes of tools
        return isinstance(used, (bpy.types.World, bpy.types.Material))

    def _tree_uses(self, tree, used):
        return any(used in references(node) for node in self.live_nodes(tree))

    def live_nodes(self, tree):
        """Nodes of a tree that its outputs depend on. Muted ones only pass on what they get."""
        if tree is None:
            return set()
        if tree not in self._live:
            self._live[tree] = live_nodes(tree)
        return self._live[tree]


def rendered_scenes(scene):
    """The scene and those whose pictures it shows: by strips, Render Layers and as background."""
    found, waiting = [], [scene]
    while waiting:
        current = waiting.pop()
        if current is None or current in found:
            continue
        found.append(current)
        waiting.append(current.background_set)
        nodes = compositor_nodes(current)
        waiting.extend(n.scene for n in nodes if n.type in ("R_LAYERS", "CRYPTOMATTE_V2") and not n.mute
                       and isinstance(getattr(n, "scene", None), bpy.types.Scene))  # fmt: skip
        if current.render.use_sequencer:
            waiting.extend(s.scene for s in strips(current) if s.type == "SCENE" and not s.mute)
    return found


def tree_of(owner):
    return owner if isinstance(owner, bpy.types.NodeTree) else owner.node_tree


def has_nodes(owner):
    """True if the owner's nodes are rendered. From 5.0 on they always are."""
    return owner.node_tree is not None and (bpy.app.version >= (5, 0) or owner.use_nodes)


def is_hidden(thing):
    """True for an object or a collection that no render shows by itself."""
    return getattr(thing, "hide_render", False) and not changes(thing, "hide_render")


def changes(block, ending):
    """True if an F-curve or a driver changes a property whose path ends so."""
    animation = getattr(block, "animation_data", None)
    if animation is None:
        return False
    if animation.nla_tracks or any(d.data_path.endswith(ending) for d in animation.drivers):
        return True
    action = animation.action
    if action is None:
        return False
    curves = getattr(action, "fcurves", None)
    # Layers of actions (5.0): whatever they hold may change it.
    return curves is None or any(curve.data_path.endswith(ending) for curve in curves)


def follows_active_clip(thing):
    return any(getattr(constraint, "use_active_clip", False) for constraint in thing.constraints)


def live_nodes(tree):
    """Nodes on which an output of the tree depends."""
    into = {}
    for link in tree.links:
        if not getattr(link, "is_muted", False):
            into.setdefault(link.to_node, []).append(link.from_node)
    begins = {}  # of zones, by their ends
    for node in tree.nodes:
        if (end := getattr(node, "paired_output", None)) is not None:
            begins.setdefault(end, []).append(node)
    seen = set()
    waiting = [node for node in tree.nodes if is_sink(node)]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(into.get(node, ()))
            waiting.extend(begins.get(node, ()))
    return {node for node in seen if not node.mute}


def is_sink(node):
    """True for a node whose input leaves the tree: outputs, and in doubt every end."""
    if node.type in ("VIEWER", "FRAME", "SCRIPT"):  # a script without outputs was never compiled
        return False
    return node.type in SINKS or node.type.startswith("OUTPUT") or not len(node.outputs)


@functools.cache
def pointers(kind):
    """Names of a node type's properties that hold a datablock."""
    found = []
    rna = getattr(bpy.types, kind, None)
    for prop in rna.bl_rna.properties if rna else ():
        if prop.type == "POINTER":
            base = prop.fixed_type
            while base is not None and base.identifier != "ID":
                base = base.base
            if base is not None:
                found.append(prop.identifier)
    return found


def references(node):
    """Datablocks that a node holds."""
    found = [getattr(node, name, None) for name in pointers(type(node).__name__)]
    for socket in node.inputs:
        if socket.type not in PLAIN and isinstance(
            value := getattr(socket, "default_value", None), bpy.types.ID
        ):
            found.append(value)
    return found
