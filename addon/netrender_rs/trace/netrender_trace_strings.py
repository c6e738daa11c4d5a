# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain strings that reach an import node of geometry nodes: from text nodes, from the inputs of
groups and from those of modifiers.

What lives here: the way back from a socket to the strings it can get. What does not: the files that
they name.
"""

import bpy
from netrender_worker_facts import all_node_trees


def sources(owner, tree, socket, seen=frozenset()):
    """[(datablock that holds it, string)] of all strings that a socket can get; None in their place
    if other nodes make one.
    """
    if not socket.is_linked:
        return [(owner, socket.default_value)]
    origin = socket.links[0].from_socket
    node = origin.node
    if node.bl_idname == "FunctionNodeInputString":
        return [(owner, node.string)]
    if node.bl_idname == "NodeReroute":
        return sources(owner, tree, node.inputs[0], seen)
    if node.bl_idname == "NodeGroupInput" and (tree, origin.identifier) not in seen:
        return from_users(tree, origin.identifier, seen | {(tree, origin.identifier)})
    return [None]


def from_users(tree, identifier, seen):
    """As sources(), for an input of a group: whatever uses the group gives it a string."""
    found = []
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            if modifier.type == "NODES" and modifier.node_group == tree:
                found.append((thing, input_of(modifier, identifier)))
    for owner, other in all_node_trees():
        for node in other.nodes:
            if getattr(node, "node_tree", None) == tree:
                socket = next((s for s in node.inputs if s.identifier == identifier), None)
                found.extend([None] if socket is None else sources(owner, other, socket, seen))
    return [each for each in found if each is None or each[1]]


def input_of(modifier, identifier):
    """The string that a modifier gives its group."""
    try:
        value = modifier[identifier]
    except KeyError:
        return default_of(modifier.node_group, identifier)
    return value if isinstance(value, str) else ""


def default_of(tree, identifier):
    interface = getattr(tree, "interface", None)
    sockets = interface.items_tree if interface else tree.inputs
    for socket in sockets:
        if getattr(socket, "identifier", "") == identifier:
            value = getattr(socket, "default_value", "")
            return value if isinstance(value, str) else ""
    return ""
