# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene is and which files it needs, as plain data.

What lives here: reading the open .blend. `describe()` is also called in the artist's live session, so
nothing here changes data, the dirty flag or undo. What does not: copying, hashing and sending files,
re-pathing (worker.py). Python's standard library and `bpy` only, Blender 3.4 to 5.x; imports nothing of ours.

As a script on a file (the script opens it, with scripts off):

    blender -b -noaudio -Y --python trace.py -- FILE.blend OUT.json [--scene NAME]
    python trace.py -- FILE.blend OUT.json [--scene NAME]

OUT.json holds the description, or {"error": {"kind", "message"}} with kind cannot_open, missing_scene or
internal; the exit code is 0 in both cases, so a caller always reads the JSON. No JSON means that Blender
itself died.

Not seen by any tracer: files inside USD or MaterialX files, files opened by drivers' or scripts' code, OCIO
configurations. Blender's own list (`bpy.utils.blend_paths`) lacks sequence frames after the first, UDIM
tiles, disk caches, bakes and import nodes' files; all these are found here.
"""

import ctypes
import json
import os
import re
import sys
import traceback

import bpy


def describe(scene=None):
    """The open file and one scene of it (a Scene, its name, or None for the active one).

    {"blender": [3, 4], "version", "source": absolute path or "", "scene", "scenes": [names], "engine",
     "frames": "1-10" or "1-10x2", "frame_current", "width", "height" (pixels of the film), "has_camera",
     "denoise" (Cycles or the compositor denoises, so the slave's Blender needs a denoiser),
     "files": [absolute paths of existing files], "missing": [{"path", "kind", "user"}],
     "unsaved_images": [names], "warnings": [sentences]}

    Raises KeyError for a scene that is not there.
    """
    if scene is None:
        scene = bpy.context.scene
    elif isinstance(scene, str):
        scene = bpy.data.scenes[scene]
    found = Files()
    found.trace()
    width, height = size_of_film(scene)
    source = bpy.data.filepath
    unsaved = [i.name for i in bpy.data.images if i.is_dirty and i.source != "VIEWER"]
    return {
        "blender": list(bpy.app.version[:2]),
        "version": ".".join(map(str, bpy.app.version)),
        "source": os.path.abspath(source) if source else "",
        "scene": scene.name,
        "scenes": [s.name for s in bpy.data.scenes],
        "engine": scene.render.engine,
        "frames": frame_range(scene),
        "frame_current": scene.frame_current,
        "width": width,
        "height": height,
        "has_camera": has_camera(scene),
        "denoise": denoises(scene),
        "files": sorted(found.files),
        "missing": sorted(found.missing.values(), key=lambda m: m["path"]),
        "unsaved_images": unsaved,
        "warnings": found.warnings,
    }


# -------------------------------------------------------------------------------------------------- the scene


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


# -------------------------------------------------------------------------------------------------- the files


def absolute(raw, library=None):
    """`raw` of a block from `library` as an absolute, normalised path; `C:/x` stays itself on Linux."""
    if raw.startswith("//"):
        if os.sep == "/":
            raw = raw.replace("\\", "/")
        base = absolute(library.filepath, library.parent) if library else bpy.data.filepath
        path = os.path.join(os.path.dirname(base), raw[2:].lstrip("/"))
        # Blender rewrites the paths of nested libraries when it loads them, sometimes for the main file.
        if library and not os.path.exists(path):
            other = os.path.normpath(os.path.join(os.path.dirname(bpy.data.filepath), raw[2:]))
            if os.path.exists(other):
                path = other
        return os.path.normpath(path)
    return raw if re.match(r"[A-Za-z]:[\\/]|\\\\", raw) and os.sep == "/" else os.path.normpath(raw)


class Folders:
    """Listings, each read once: a long sequence is asked for by many strips."""

    def __init__(self):
        self._names = {}

    def names(self, folder):
        if folder not in self._names:
            try:
                self._names[folder] = sorted(os.listdir(folder))
            except OSError:
                self._names[folder] = []
        return self._names[folder]

    def matching(self, folder, pattern):
        rx = re.compile(pattern, re.IGNORECASE)
        return [os.path.join(folder, n) for n in self.names(folder) if rx.fullmatch(n)]

    def sequence(self, path):
        """Every frame beside this one: names equal but for the last number."""
        folder, base = os.path.split(path)
        number = re.search(r"(\d+)(?!.*\d)", os.path.splitext(base)[0])
        if not number:
            return [path]
        head, tail = re.escape(base[: number.start()]), re.escape(base[number.end() :])
        return self.matching(folder, head + r"-?\d+" + tail) or [path]

    def tiles(self, path):
        folder, base = os.path.split(path)
        pattern = re.escape(base).replace("<UDIM>", r"\d{4}").replace("<UVTILE>", r"u\d+_v\d+")
        return self.matching(folder, pattern) or [path]


class Files:
    """Collects `files`, `missing` and `warnings` of the open file."""

    def __init__(self):
        self.files = set()
        self.missing = {}
        self.warnings = []
        self._known = set()
        self._folders = Folders()
        resources = (bpy.utils.resource_path("LOCAL"), bpy.utils.resource_path("SYSTEM"))
        data = bpy.utils.system_resource("DATAFILES")
        self._bundled = tuple(os.path.join(os.path.normpath(p), "") for p in (*resources, data) if p)

    def trace(self):
        self._libraries()
        self._blocks()
        for thing in bpy.data.objects:
            for modifier in thing.modifiers:
                self._modifier(thing, modifier)
            for system in thing.particle_systems:
                self._point_cache(thing, system)
        for scene in bpy.data.scenes:
            self._scene(scene)
        self._nodes()
        self._disk_caches()
        self._whatever_else_blender_knows()

    def add(self, owner, kind, raw, paths=None):
        """Needed by `owner`: the files `paths`, else the one file or folder that `raw` names."""
        if not raw or raw == "<builtin>":
            return
        path = absolute(raw, owner.library)
        self._known.add(path)
        if path.startswith(self._bundled):
            return
        for needed in [path] if paths is None else paths:
            self._known.add(needed)
            if os.path.isdir(needed):
                self._add_folder(needed)
            elif os.path.isfile(needed):
                self.files.add(needed)
            else:
                self.missing.setdefault(needed, {"path": needed, "kind": kind, "user": owner.name})

    def add_cache(self, owner, raw):
        """A cache's folder; without it nothing is missing, it was never baked."""
        if raw:
            path = absolute(raw, owner.library)
            self._known.add(path)
            self._add_folder(path)

    def _add_folder(self, folder):
        for here, _, names in os.walk(folder):
            self.files.update(os.path.join(here, name) for name in names)

    def _libraries(self):
        for library in bpy.data.libraries:
            path = absolute(library.filepath, library.parent)
            self._known.add(path)
            # Brushes of Blender's own asset library ride along in recent files and are never rendered. Other
            # bundled libraries are (hair nodes), and lie elsewhere on the slave: those are sent.
            brushes = re.search(r"[\\/]datafiles[\\/]assets[\\/].*brush", path)
            if brushes or getattr(library, "packed_file", None) or getattr(library, "is_archive", False):
                continue
            if os.path.isfile(path):
                self.files.add(path)
            else:
                self.missing[path] = {"path": path, "kind": "library", "user": library.name}

    def _blocks(self):
        data, folders = bpy.data, self._folders
        for image in data.images:
            if image.source in ("GENERATED", "VIEWER") or image.users == 0:
                continue
            path = absolute(image.filepath, image.library) if image.filepath else ""
            if image.packed_file or len(image.packed_files):
                self._known.add(path)
                continue
            several = {"TILED": folders.tiles, "SEQUENCE": folders.sequence}.get(image.source)
            self.add(image, "image", image.filepath, several(path) if several and path else None)
        for clip in data.movieclips:
            self._maybe_sequence(clip, "movie clip", clip.source == "SEQUENCE")
        for volume in data.volumes:
            if not volume.packed_file:
                self._maybe_sequence(volume, "volume", volume.is_sequence)
        for cache in data.cache_files:
            self._maybe_sequence(cache, "cache file", cache.is_sequence)
            for layer in getattr(cache, "layers", ()):
                self.add(cache, "cache file", layer.filepath)
        for kind, blocks in (("sound", data.sounds), ("font", data.fonts)):
            for block in blocks:
                if block.packed_file:
                    self._known.add(absolute(block.filepath, block.library))
                else:
                    self.add(block, kind, block.filepath)
        for text in data.texts:  # their contents are in the .blend
            if text.filepath:
                self._known.add(absolute(text.filepath, text.library))

    def _maybe_sequence(self, block, kind, is_sequence):
        if block.filepath:
            path = absolute(block.filepath, block.library)
            self.add(block, kind, block.filepath, self._folders.sequence(path) if is_sequence else None)

    def _modifier(self, thing, modifier):
        kind = modifier.type
        if kind == "OCEAN":
            if modifier.is_cached:
                self.add_cache(thing, modifier.filepath)
        elif kind in ("MESH_CACHE", "MULTIRES"):
            self.add(thing, "mesh cache", modifier.filepath)
        elif kind == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
            self.add_cache(thing, modifier.domain_settings.cache_directory)
        elif kind == "NODES":
            for name in ("bake_directory", "simulation_bake_directory"):
                self.add_cache(thing, getattr(modifier, name, ""))
            for bake in getattr(modifier, "bakes", ()):
                if bake.use_custom_path:
                    self.add_cache(thing, bake.directory)
        elif kind == "DYNAMIC_PAINT" and modifier.canvas_settings:
            for surface in modifier.canvas_settings.canvas_surfaces:
                self._point_cache(thing, surface)
        self._point_cache(thing, modifier)

    def _point_cache(self, owner, holder):
        cache = getattr(holder, "point_cache", None)
        if cache and cache.use_external:
            self.add(owner, "point cache", cache.filepath)

    def _scene(self, scene):
        if scene.rigidbody_world is not None:
            self._point_cache(scene, scene.rigidbody_world)
        for strip in strips(scene):
            if strip.type == "IMAGE":
                folder = absolute(strip.directory, scene.library)
                names = [e.filename for e in strip.elements if e.filename]
                self.add(scene, "strip", strip.directory, [os.path.join(folder, name) for name in names])
            elif strip.type == "MOVIE":
                self.add(scene, "strip", strip.filepath)

    def _nodes(self):
        data = bpy.data
        owners = (data.materials, data.worlds, data.lights, data.scenes, data.textures, data.linestyles)
        trees = [(o, o.node_tree) for c in owners for o in c if getattr(o, "node_tree", None)]
        for owner, tree in [(t, t) for t in data.node_groups] + trees:
            for node in tree.nodes:
                if getattr(node, "mode", "") == "EXTERNAL" and getattr(node, "filepath", ""):
                    self.add(owner, "node", node.filepath)  # OSL script, IES light
                    compiled = os.path.splitext(absolute(node.filepath, owner.library))[0] + ".oso"
                    if os.path.isfile(compiled):
                        self.files.add(compiled)
                elif node.bl_idname.startswith("GeometryNodeImport"):
                    socket = node.inputs.get("Path")
                    if socket is not None and not socket.is_linked:
                        self.add(owner, "node", socket.default_value)

    def _disk_caches(self):
        """Point caches and bakes at their default place, which carries the .blend's base name."""
        blends = [bpy.data.filepath, *(absolute(x.filepath, x.parent) for x in bpy.data.libraries)]
        for blend in filter(None, blends):
            folder, base = os.path.split(os.path.splitext(blend)[0])
            self._add_folder(os.path.join(folder, "blendcache_" + base))

    def _whatever_else_blender_knows(self):
        for path in bpy.utils.blend_paths(absolute=True, packed=False, local=False):
            path = os.path.normpath(path) if path else ""
            if not path or path in self._known or path.startswith(self._bundled):
                continue
            if os.path.isfile(path):
                self.files.add(path)


# ----------------------------------------------------------------------------------------- as a script


def describe_file(blend, scene):
    """`describe()` of a file, or {"error": {"kind", "message"}}."""
    loaded = []
    bpy.app.handlers.load_post.append(bpy.app.handlers.persistent(lambda *_: loaded.append(True)))
    words = "it is not there"
    try:
        bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=False)
    except RuntimeError as error:
        words = str(error).strip()  # also raised for a file that did load, with missing libraries say
    opened = bpy.data.filepath
    if not loaded or not opened or not os.path.exists(blend) or not os.path.samefile(opened, blend):
        version = ".".join(map(str, bpy.app.version))
        message = f"Blender {version} cannot open {blend}: {words}. Open it in the version it was saved with."
        return {"error": {"kind": "cannot_open", "message": message}}
    if scene is not None and scene not in bpy.data.scenes:
        there = ", ".join(s.name for s in bpy.data.scenes)
        message = f"There is no scene '{scene}' in {blend}. It has: {there}. Choose one of these."
        return {"error": {"kind": "missing_scene", "message": message}}
    return describe(scene)


def main(arguments):
    scene = None
    if "--scene" in arguments:
        at = arguments.index("--scene")
        scene = arguments[at + 1]
        del arguments[at : at + 2]
    blend, out = arguments
    try:
        result = describe_file(os.path.abspath(blend), scene)
    except Exception as error:  # noqa: BLE001 - the caller always reads JSON
        traceback.print_exc()
        message = f"Tracing {blend} failed: {type(error).__name__}: {error}. Report this with the output."
        result = {"error": {"kind": "internal", "message": message}}
    with open(out, "w", encoding="ascii") as file:
        json.dump(result, file, indent=1)  # \u escapes: lone surrogates of odd file names survive


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1 :])
