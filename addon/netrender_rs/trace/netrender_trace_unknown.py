# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that Blender silently replaces or loses while it opens a file: parts of a newer Blender, nodes and
engines that are not installed, datablocks that a library no longer has.

What lives here: the searches for these in the open file. What does not: files that are missing
(netrender_trace_files.py), colours (netrender_trace_color.py).
"""

import os

import bpy
from netrender_trace_findings import INFO, MAY_DIFFER, WRONG, finding, listed, title
from netrender_worker_facts import all_node_trees, engine_name

# A library of Git LFS that was not fetched begins so.
POINTER = b"version https://git-lfs"
BLEND_BEGINS = (b"BLENDER", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # plain, gzip, zstd


def dotted(version):
    return ".".join(map(str, version))


def newer_file(source):
    """A finding about a file that a newer Blender saved."""
    saved, own = tuple(bpy.data.version), tuple(bpy.app.version_file)
    if saved <= own:
        return
    this = dotted(bpy.app.version)
    if saved[:2] > own[:2]:
        message = (
            f"It was saved with Blender {dotted(saved[:2])}, and this is {this}: what is new there is lost "
            "without a word"
        )
        hint = f"Send it with Blender {dotted(saved[:2])} or newer (--blender), and have slaves with that."
        yield finding("newer_file", WRONG, source, message, hint)
    else:
        message = f"It was saved with a later Blender {dotted(saved)} than this {this} ({dotted(own)})"
        yield finding(
            "newer_file", MAY_DIFFER, source, message, "Send it with the Blender it was saved with."
        )


def unknown_nodes(shown):
    """Findings about nodes and node trees that this Blender does not know."""
    needed, idle = [], []
    for owner, tree in all_node_trees():
        if tree.bl_idname == "NodeTreeUndefined":
            message = f"{title(tree)} is of a kind that this Blender does not know: what it does is not done on slaves"
            hint = "Apply or bake what the add-on makes, and save."
            yield finding("unknown_node", MAY_DIFFER if tree.users else INFO, title(tree), message, hint)
            continue
        for node in tree.nodes:
            if node.bl_idname == "NodeUndefined":
                (needed if shown.uses_node(owner, node) else idle).append((owner, node))
    this = dotted(bpy.app.version)
    hint = "Send it with a Blender that knows them, or replace them: nodes of add-ons exist on no slave."
    for severity, nodes in ((WRONG, needed), (INFO, idle)):
        if nodes:
            some = listed(f"'{node.label or node.name}' in {title(owner)}" for owner, node in nodes)
            what = f"{len(nodes)} {'node is' if len(nodes) == 1 else 'nodes are'} unknown to Blender {this}: {some}"
            what += "" if severity == WRONG else "; no frame of this scene depends on them"
            yield finding("unknown_node", severity, title(nodes[0][0]), what, hint)


def engines(shown, engine):
    """Findings about rendered scenes whose engine this Blender lacks. `engine`: chosen for the main
    scene, so slaves must have it.
    """
    for scene in shown.scenes:
        name = engine_name(scene)
        if (engine and scene == shown.scene) or can_set(scene, name):
            continue
        message = (
            f"Scene '{scene.name_full}' is to be rendered with {name}, which this Blender lacks: it would be "
            f"rendered with {scene.render.engine}, without a word"
        )
        hint = "Enable its add-on in this Blender, or choose an engine: --engine CYCLES."
        yield finding("engine", WRONG, f"Scene '{scene.name_full}'", message, hint)


def can_set(scene, engine):
    try:
        scene.render.engine = engine
    except TypeError:
        return False
    return True


def libraries(shown, places):
    """Findings about libraries that are there and do not hold what is linked from them."""
    for library in bpy.data.libraries:
        path = places.library(library)
        if getattr(library, "packed_file", None) or getattr(library, "is_archive", False):
            continue
        if not os.path.isfile(path):
            continue  # missing, or a folder
        why, names = trouble(library, path)
        if why:
            linked = [block for block in library.users_id if names is None or block.name in names]
            needed = any(map(shown.shows, linked))
            message = f"Library {os.path.basename(path)}: {why}"
            message += "" if needed else "; no frame of this scene depends on it"
            hint = "Fetch the file or save it again with this Blender, open the scene and save it."
            yield finding("library", WRONG if needed else INFO, path, message, hint)


def trouble(library, path):
    """(what is wrong with a library or "", names of its datablocks that are missing or None for all)"""
    begin = first_bytes(path, 64)
    if begin.startswith(POINTER):
        return "it is a pointer of Git LFS, not the file itself (git lfs pull fetches it)", None
    if not begin.startswith(BLEND_BEGINS):
        return "it is not a .blend file", None
    if tuple(library.version[:2]) > tuple(bpy.app.version[:2]):
        saved = dotted(library.version[:2])
        return f"it was saved with Blender {saved}, and this is {dotted(bpy.app.version)}", None
    if hasattr(library, "is_missing"):
        names = {block.name for block in library.users_id if block.is_missing}
    else:
        names = missing_by_list(library, path)
        if names is None:
            return (
                f"Blender {dotted(bpy.app.version)} cannot read it: a newer one saved it, or it is damaged",
                None,
            )
    if not names:
        return "", names
    some = listed([f"'{name}'" for name in sorted(names)])
    return f"it does not hold {some}, which {'is' if len(names) == 1 else 'are'} linked from it", names


def missing_by_list(library, path):
    """Names of linked datablocks that the library lacks, found as Blender lists it; None if it
    can't.
    """
    try:
        with bpy.data.libraries.load(path, link=True) as (there, _):
            names = {name for kind in dir(there) for name in getattr(there, kind)}
    except OSError:
        return None
    kinds = {p.fixed_type.identifier for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"}
    listable = (b for b in library.users_id if kind_of(b) in kinds and not is_unlisted(b))
    return {block.name for block in listable if block.name not in names}


def kind_of(block):
    rna = block.bl_rna
    while rna.base is not None and rna.base.identifier != "ID":
        rna = rna.base
    return rna.identifier


def is_unlisted(block):
    """True for kinds that Blender lists for no library: shape keys, and what screens are made of."""
    return kind_of(block) in ("Key", "Screen", "WindowManager", "Library")


def first_bytes(path, count):
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError:
        return b""
