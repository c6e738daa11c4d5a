# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the open scene needs, found in its datablocks.

What lives here: the meaning of a path in the open file on the artist's machine, the files it stands
for (frames of a sequence, tiles, views, whole folders), and every place in a datablock that may
hold a path. What does not: names inside other files (netrender_trace_nested.py), other properties
of a scene (netrender_trace_scene.py), and the form of the report (netrender_trace.py).
"""

import errno
import ntpath
import os
import re
import tempfile

import bpy
import netrender_trace_nested
from netrender_trace_findings import INFO, MAY_DIFFER, WRONG, finding, listed, title
from netrender_trace_strings import sources
from netrender_worker_facts import all_node_trees, strings_of_nodes, strips, texts_of_modifier

FOREIGN = "a Windows path, and this is not Windows"


def open_blend(blend):
    """Opens a file. Returns (True if it is open now, Blender's complaint or "")."""
    loaded = []
    handler = bpy.app.handlers.persistent(lambda *_: loaded.append(True))
    bpy.app.handlers.load_post.append(handler)
    words = ""
    try:
        bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=False)
    except RuntimeError as error:
        words = str(error).strip()  # also raised for a file that did load, with missing libraries say
    finally:
        bpy.app.handlers.load_post.remove(handler)
    opened = bpy.data.filepath
    return bool(loaded and opened and os.path.exists(blend) and os.path.samefile(opened, blend)), words


def is_foreign(path):
    """True for a Windows path on another system."""
    return os.sep == "/" and re.match(r"[A-Za-z]:[\\/]|\\\\", path) is not None


def why_not(path):
    """The system's reason why `path` cannot be read; None if it can."""
    if is_foreign(path):
        return FOREIGN
    try:
        os.stat(path)
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    except ValueError:  # a zero byte in the name
        return os.strerror(errno.ENOENT)
    return None if os.access(path, os.R_OK) else os.strerror(errno.EACCES)


def text_of(owner, name):
    """The value of a path property; None where there is none. Some do not decode, unlike Blender's
    usual paths.
    """
    try:
        return getattr(owner, name, None)
    except UnicodeDecodeError as error:
        return os.fsdecode(error.object)


class Places:
    """The meaning of paths in the open file on the artist's machine, wherever the open file lies."""

    def __init__(self, source):
        self.source = source
        self._home = os.path.dirname(source)
        self._here = os.path.dirname(bpy.data.filepath)
        self._raws = {}  # of libraries as they stood before re-pointing, by absolute path

    def absolute(self, raw, library=None):
        """The absolute path for `raw` of a block from `library`. `C:/x` is never taken for a path
        of this system.
        """
        if raw.startswith("//"):
            base = os.path.dirname(self.library(library)) if library else self._home
            return self._join(base, raw)
        # Blender opens what is neither `//` nor absolute from the folder it was started in.
        return ntpath.normpath(raw) if is_foreign(raw) else os.path.abspath(raw)

    def library(self, library):
        """The path of a library. Blender rewrites nested libraries' `//` for the open main file."""
        raw = library.filepath
        if not raw.startswith("//"):
            return self.absolute(raw)
        bases = [self._home, self._here] if library.parent is None else [self._here, self._home]
        if library.parent is not None and library.parent != library:
            parent = library.parent.filepath
            if not parent.startswith("//"):
                bases.append(os.path.dirname(self.absolute(parent)))
        paths = [self._join(base, raw) for base in bases]
        return next((path for path in paths if os.path.isfile(path)), paths[0])

    def raw_of_library(self, library):
        """The path of a library as Blender has it when the main file is opened in its own place."""
        path = self.library(library)
        raw = self._raws.get(path, library.filepath)
        if library.parent is None or not raw.startswith("//"):
            return raw
        try:
            return "//" + os.path.relpath(path, self._home).replace(os.sep, "/")
        except ValueError:  # another drive
            return path

    def load_libraries(self):
        """Loads libraries that did not load because the open file is a copy elsewhere. They are
        re-pointed in memory, and another copy is saved, which then loads as any file does:
        `Library.reload()` crashes Blender when libraries link each other (3.4 and 5.0).
        """
        changed = False
        for library in bpy.data.libraries:
            raw = library.filepath
            if raw.startswith("//") and not is_packed(library):
                path = self.library(library)
                if path != self._join(self._here, raw):
                    self._raws[path] = raw
                    library.filepath = path
                    changed = True
        if changed:
            with tempfile.TemporaryDirectory(prefix="netrender-") as folder:
                copy = os.path.join(folder, "pointed-right.blend")
                bpy.ops.wm.save_as_mainfile(
                    filepath=copy, copy=True, relative_remap=False, compress=False, check_existing=False
                )
                _, words = open_blend(copy)
                print(words)
            self._here = folder

    def _join(self, base, raw):
        rest = raw[2:].replace("\\", "/") if os.sep == "/" else raw[2:]
        return os.path.normpath(os.path.join(base, rest.lstrip("/")))

    def disk_cache(self, blend):
        """The folder of the disk caches of a .blend of the artist's."""
        folder, base = os.path.split(blend)
        stem = os.path.splitext(base)[0]
        # Of a .blend1, Blender 3.4 takes six bytes for the extension.
        older = os.path.join(folder, "blendcache_" + os.fsdecode(os.fsencode(base)[:-6]))
        found = os.path.join(folder, "blendcache_" + stem)
        return older if os.path.isdir(older) and not os.path.isdir(found) else found

    def in_blender(self, path, raw):
        """Maps an absolute path of Blender's list, where `//` of a copy means the copy's folder."""
        main = raw.startswith("//") and path == self._join(self._here, raw)
        return self._join(self._home, raw) if main else path


def is_packed(library):
    return bool(getattr(library, "packed_file", None) or getattr(library, "is_archive", False))


class Folders:
    """Listings of folders, each read once: many strips may use one long sequence."""

    def __init__(self):
        self._names = {}

    def names(self, folder):
        if folder not in self._names:
            try:
                self._names[folder] = sorted(os.listdir(folder))
            except (OSError, ValueError):
                self._names[folder] = []
        return self._names[folder]

    def matching(self, folder, pattern):
        rx = re.compile(pattern, re.IGNORECASE)
        return [os.path.join(folder, n) for n in self.names(folder) if rx.fullmatch(n)]

    def sequence(self, path):
        """Paths of every frame beside this one, whose names differ in the last number only."""
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

    def views(self, owner, path):
        """This file, and the files beside it that hold the other views (left and right eye) of the
        same image.
        """
        if not getattr(owner, "use_multiview", False) or owner.views_format != "INDIVIDUAL":
            return [path]
        stem, extension = os.path.splitext(path)
        suffixes = {v.file_suffix for s in bpy.data.scenes for v in s.render.views if v.use and v.file_suffix}
        own = next((s for s in sorted(suffixes, key=len, reverse=True) if stem.endswith(s)), None)
        if own is None:
            return [path]
        others = (stem[: -len(own)] + suffix + extension for suffix in sorted(suffixes - {own}))
        return [path, *(other for other in others if self.sequence_or_tiles_exist(other))]

    def sequence_or_tiles_exist(self, path):
        return os.path.exists(path) or any(map(os.path.exists, (*self.sequence(path), *self.tiles(path))))


class Files:
    """Collects `files`, `missing`, the path slots and `findings` of the open file."""

    def __init__(self, places, shown):
        self.places = places
        self.shown = shown
        self.files = set()
        self.missing = {}
        self.findings = []
        self._users = {}  # of missing files: [(datablock, the part of it that needs the file)]
        self._slots = {}
        self._known = set()
        self._folders = Folders()
        resources = (bpy.utils.resource_path("LOCAL"), bpy.utils.resource_path("SYSTEM"))
        data = bpy.utils.system_resource("DATAFILES")
        self._bundled = tuple(os.path.join(os.path.normpath(p), "") for p in (*resources, data) if p)

    def trace(self, scene):
        self._libraries()
        self._blocks()
        for thing in bpy.data.objects:
            for modifier in thing.modifiers:
                self._modifier(thing, modifier)
            for system in thing.particle_systems:
                self._point_cache(thing, system)
        for each in bpy.data.scenes:
            self._scene(each)
        self._nodes()
        self._disk_caches()
        self._strings()
        self._whatever_else_blender_knows()
        self._added_by_hand(scene)
        self._forgive()

    def slots(self):
        return [
            {"library": library, "raw": raw, **slot, "found": len(found)}
            for (library, raw), (slot, found) in sorted(self._slots.items())
        ]

    def add(self, owner, kind, raw, paths=None, optional=False, part=None):
        """Adds the files `paths`, else the one file or folder that `raw` names, as needed by
        `owner`, or only by a part of it. Optional files are not reported as missing: a cache that
        was never baked, a text that is in the .blend too.
        """
        if not raw or raw == "<builtin>":
            return
        path = self.places.absolute(raw, owner.library)
        self._known.add(path)
        if path.startswith(self._bundled):
            return
        found = self._slot(owner.library, raw, path, kind, owner.name)
        for needed in [path] if paths is None else paths:
            self._known.add(needed)
            found.update(self._need(needed, kind, owner.name, optional, owner, part))

    def add_configuration(self, configuration):
        """Adds the files of a colour configuration. No datablock holds its path: it stands for the
        environment of this Blender.
        """
        self.files.update(configuration["files"])
        path = configuration["config"]
        self._slot(None, "$OCIO", path, "colour configuration", os.path.basename(path)).add(path)

    def _slot(self, library, raw, path, kind, user):
        """The set of files found for this slot. Several users of one string share it."""
        where = self.places.library(library) if library else ""
        slot = {"path": path, "kind": kind, "user": user}
        return self._slots.setdefault((where, raw), (slot, set()))[1]

    def _need(self, path, kind, user, optional=False, owner=None, part=None):
        why = why_not(path)
        if why is None:
            found = self._walk(path, kind, user, owner, part) if os.path.isdir(path) else [path]
            self.files.update(found)
            return found
        if not optional:
            self._miss(path, kind, user, why, owner, part)
        return []

    def _miss(self, path, kind, user, why, owner, part):
        self.missing.setdefault(path, {"path": path, "kind": kind, "user": user, "why": why})
        self._users.setdefault(path, []).append((owner, part))

    def _forgive(self):
        """Makes notes of missing files on which no frame depends."""
        for path, users in self._users.items():
            if not any(self.shown.needs(*user) for user in users):
                gone = self.missing.pop(path)
                message = (
                    f"{gone['kind']} '{gone['user']}': {gone['why']}; no frame of this scene depends on it"
                )
                hint = "Nothing has to be done."
                self.findings.append(finding("missing", INFO, path, message, hint))

    def _walk(self, top, kind, user, owner, part):
        """All files below a folder, through links too, each folder once."""
        found, waiting, visited = [], [top], set()
        while waiting:
            folder = waiting.pop()
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_dir():
                            waiting.append(entry.path)
                        elif entry.is_file():
                            found.append(entry.path)
                        elif entry.is_symlink():  # that leads nowhere
                            self._need(entry.path, kind, user, False, owner, part)
            except OSError as error:
                path, why = error.filename or folder, os.strerror(error.errno or errno.EIO)
                self._miss(path, kind, user, why, owner, part)
        return found

    def _libraries(self):
        for library in bpy.data.libraries:
            path = self.places.library(library)
            self._known.add(path)
            # Brushes of Blender's own asset library ride along in recent files and are never
            # rendered. Other bundled libraries are (hair nodes), and lie elsewhere on the slave:
            # those are sent.
            if is_packed(library) or re.search(r"[\\/]datafiles[\\/]assets[\\/].*brush", path):
                continue
            parent = library.parent if library.parent != library else None
            raw = self.places.raw_of_library(library)
            found = self._slot(parent, raw, path, "library", library.name)
            found.update(self._need(path, "library", library.name, False, library))

    def _blocks(self):
        data, folders = bpy.data, self._folders
        for image in data.images:
            if image.source in ("GENERATED", "VIEWER") or image.users == 0 or not image.filepath:
                continue
            path = self.places.absolute(image.filepath, image.library)
            if image.packed_file or len(image.packed_files):
                self._known.add(path)
                continue
            views = folders.views(image, path)
            several = {"TILED": folders.tiles, "SEQUENCE": folders.sequence}.get(image.source, lambda p: [p])
            self.add(image, "image", image.filepath, [p for view in views for p in several(view)])
        for clip in data.movieclips:
            self._maybe_sequence(clip, "movie clip", clip.source == "SEQUENCE")
            if clip.use_proxy and clip.filepath:
                folder, base = os.path.split(self.places.absolute(clip.filepath, clip.library))
                if clip.use_proxy_custom_directory:
                    self.add(clip, "movie clip", clip.proxy.directory, optional=True)
                else:
                    self._need(os.path.join(folder, "BL_proxy", base), "movie clip", clip.name, optional=True)
        for volume in data.volumes:
            if not volume.packed_file:
                self._maybe_sequence(volume, "volume", volume.is_sequence)
        for cache in data.cache_files:
            self._maybe_sequence(cache, "cache file", cache.is_sequence)
            for layer in getattr(cache, "layers", ()):
                self.add(cache, "cache file", layer.filepath)
            self._inside_usd(cache)
        for kind, blocks in (("sound", data.sounds), ("font", data.fonts)):
            for block in blocks:
                if block.packed_file:
                    self._known.add(self.places.absolute(block.filepath, block.library))
                else:
                    self.add(block, kind, block.filepath)
        for text in data.texts:  # their contents are in the .blend
            self.add(text, "text", text_of(text, "filepath"), optional=True)
        for camera in data.cameras:
            if camera.type == "CUSTOM" and camera.custom_mode == "EXTERNAL":  # 5.0: OSL
                self._shader(camera, "camera", camera.custom_filepath, None)

    def _maybe_sequence(self, block, kind, is_sequence):
        if block.filepath:
            path = self.places.absolute(block.filepath, block.library)
            self.add(block, kind, block.filepath, self._folders.sequence(path) if is_sequence else None)

    def _modifier(self, thing, modifier):
        kind = modifier.type
        if kind == "OCEAN":
            if modifier.is_cached:
                self.add(thing, "ocean", modifier.filepath, optional=True)
        elif kind in ("MESH_CACHE", "MULTIRES"):
            self.add(thing, kind.lower().replace("_", " "), modifier.filepath, part=modifier)
        elif kind == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
            self.add(thing, "fluid", modifier.domain_settings.cache_directory, optional=True)
        elif kind == "NODES":
            for name in ("bake_directory", "simulation_bake_directory"):
                self.add(thing, "bake", getattr(modifier, name, ""), optional=True)
            for bake in getattr(modifier, "bakes", ()):
                if bake.use_custom_path:
                    self.add(thing, "bake", bake.directory, optional=True)
        elif kind == "DYNAMIC_PAINT" and modifier.canvas_settings:
            for surface in modifier.canvas_settings.canvas_surfaces:
                self._point_cache(thing, surface)
        self._point_cache(thing, modifier)

    def _point_cache(self, owner, holder):
        cache = getattr(holder, "point_cache", None)
        if cache and cache.use_external and cache.filepath:
            # A folder that may hold anything else too.
            folder = self.places.absolute(cache.filepath, owner.library)
            paths = self._folders.matching(folder, r".*\.bphys") or [folder]
            self.add(owner, "point cache", cache.filepath, paths)

    def _scene(self, scene):
        if scene.rigidbody_world is not None:
            self._point_cache(scene, scene.rigidbody_world)
        for strip in strips(scene):
            if strip.type == "IMAGE":
                folder = self.places.absolute(strip.directory, scene.library)
                paths = [os.path.join(folder, e.filename) for e in strip.elements if e.filename]
                paths = [p for path in paths for p in self._folders.views(strip, path)]
                self.add(scene, "strip", strip.directory, paths, part=strip)
            elif strip.type == "MOVIE" and strip.filepath:
                path = self.places.absolute(strip.filepath, scene.library)
                self.add(scene, "strip", strip.filepath, self._folders.views(strip, path), part=strip)

    def _nodes(self):
        for owner, tree in all_node_trees():
            for node in tree.nodes:
                if getattr(node, "mode", "") == "EXTERNAL" and getattr(node, "filepath", ""):
                    self._shader(owner, "node", node.filepath, node)  # OSL script, IES light
                elif node.bl_idname == "ShaderNodeScript" and node.script is not None:
                    self._inner_shader(owner, node)
                elif node.bl_idname.startswith("GeometryNodeImport") and "Path" in node.inputs:
                    self._import(owner, tree, node)

    def _shader(self, owner, kind, raw, node):
        """Adds an OSL script, or what it was compiled to: the one that Blender uses, which is the
        newer one. The times of files do not travel.
        """
        path = self.places.absolute(raw, owner.library)
        stem, extension = os.path.splitext(path)
        compiled = stem + ".oso"
        if extension.lower() != ".osl" or not os.path.isfile(compiled):
            self.add(owner, kind, raw, part=node)
        elif time_of(compiled) < time_of(path):
            self.add(owner, kind, raw, part=node)
        else:
            self.add(owner, kind, raw, [], part=node)  # slaves do not have it
            self._need(compiled, kind, owner.name, False, owner, node)
            return
        if extension.lower() == ".osl" and os.path.isfile(path):
            self._inside_osl(owner, path, netrender_trace_nested.of_osl(path), node)

    def _inner_shader(self, owner, node):
        """Looks into an OSL script that is a text of the .blend."""
        text = node.script.as_string()
        inside = netrender_trace_nested.Nested()
        for name in (*netrender_trace_nested.includes(text), *netrender_trace_nested.pictures(text)):
            if os.path.isabs(name):
                inside.note("", name)
        self._inside_osl(owner, title(node.script), inside, node)

    def _inside_osl(self, owner, where, inside, node):
        for path in sorted(inside.files):
            self._need(path, "OSL", owner.name, True)
        if self._counts(owner, node):
            self._tell_of_absolute(where, inside)

    def _counts(self, owner, node):
        return self.shown.shows(owner) if node is None else self.shown.uses_node(owner, node)

    def _tell_of_absolute(self, where, inside):
        if inside.absolute:
            some = listed(sorted(inside.absolute))
            message = f"It names files by absolute paths, which lead nowhere on slaves: {some}"
            hint = "Let it name them relative to itself."
            self.findings.append(finding("nested_files", WRONG, where, message, hint))

    def _inside_usd(self, cache):
        """Adds the files that a USD file names: layers, references, textures."""
        path = self.places.absolute(cache.filepath, cache.library) if cache.filepath else ""
        if not path.lower().endswith((".usd", ".usda", ".usdc", ".usdz")) or not os.path.isfile(path):
            return
        inside = netrender_trace_nested.of_usd(path)
        for each in sorted(inside.files):
            self._need(each, "USD", cache.name, True)
        if not self.shown.shows(cache):
            return
        self._tell_of_absolute(path, inside)
        if inside.missing:
            message = f"It names files that are not there: {listed(sorted(inside.missing))}"
            hint = "Put them where it looks for them."
            self.findings.append(finding("nested_files", MAY_DIFFER, path, message, hint))
        if inside.unread:
            message = "It may name other files, and this Blender has no USD library to read it with"
            hint = "Add those by hand (--add), or send it with a Blender that has USD."
            self.findings.append(finding("nested_files", MAY_DIFFER, path, message, hint))

    def _import(self, owner, tree, node):
        found = sources(owner, tree, node.inputs["Path"])
        for holder, raw in filter(None, found):
            self.add(holder, "node", raw, part=node if holder == owner else None)
        if None in found and self.shown.uses_node(owner, node):
            where = title(owner)
            message = (
                f"Node '{node.name}' gets the path of its file from other nodes: on slaves it leads nowhere"
            )
            hint = "Give it the path as one text: in the node, in a String node or as the modifier's input."
            self.findings.append(finding("path", WRONG, where, message, hint))

    def _strings(self):
        """Adds files that plain strings name, in inputs of modifiers and of nodes."""
        for thing in bpy.data.objects:
            for modifier in thing.modifiers:
                for text in texts_of_modifier(modifier):
                    self._string(thing, text.value)
        for owner, _, holder, name in strings_of_nodes():
            self._string(owner, getattr(holder, name))

    def _string(self, owner, raw):
        if re.match(r"[/\\]|[A-Za-z]:[/\\]", raw):
            path = self.places.absolute(raw, owner.library)
            if path not in self._known and os.path.isfile(path):
                self.add(owner, "text", raw)

    def _disk_caches(self):
        """Point caches and bakes at their default place, which carries the .blend's base name."""
        blends = [self.places.source, *(self.places.library(x) for x in bpy.data.libraries)]
        for blend in blends:
            base = os.path.basename(os.path.splitext(blend)[0])
            self._need(self.places.disk_cache(blend), "point cache", base, optional=True)

    def _whatever_else_blender_knows(self):
        names = [bpy.utils.blend_paths(absolute=a, packed=False, local=False) for a in (True, False)]
        for path, raw in zip(*names):
            path = os.path.normpath(path) if path else ""
            if not path or path in self._known or is_foreign(raw):
                continue
            path = self.places.in_blender(path, raw)
            if path in self._known or path.startswith(self._bundled) or not os.path.isfile(path):
                continue
            owners = [None, *bpy.data.libraries]
            owner = next((o for o in owners if self.places.absolute(raw, o) == path), None)
            found = self._slot(owner, raw, path, "other", "")
            found.update(self._need(path, "other", ""))

    def _added_by_hand(self, scene):
        for raw in added_by_hand(scene):
            if raw:
                self._need(self.places.absolute(raw, scene.library), "added by hand", scene.name)


def time_of(path):
    """The time of a file's last change in whole seconds, which is what Blender compares."""
    return int(os.stat(path).st_mtime)


def added_by_hand(scene):
    """Files and folders that the artist added, out of raw data: the add-on is not enabled in this
    Blender.
    """
    system = getattr(scene, "bl_system_properties_get", None)  # 5.0 keeps add-ons' properties apart
    kept = system() if system else scene
    try:
        extra = kept["netrender"].to_dict()["job"]["extra"]
        return [entry.get("path", "") for entry in extra]
    except (KeyError, TypeError, AttributeError):
        return []
