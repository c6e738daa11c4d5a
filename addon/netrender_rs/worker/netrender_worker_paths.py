# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-pointing the paths of the open scene to this machine's files, in memory.

What lives here: every place in a datablock that holds a path, the rules that map the artist's paths
to ours, the refusal of a scene that would not open a file that was sent, and the end of every path
that leads to this machine's own files. What does not: copying files, which lie there already. How a
request lists paths is written in netrender_worker.py.
"""

import os
import re

import bpy
from netrender_worker_facts import all_node_trees, strings_of_nodes, strips, texts_of_modifier

ODD_BYTES = {0x10DC00 + byte: 0xDC00 + byte for byte in range(0x80, 0x100)}
TILES = {"<UDIM>": r"\d{4}", "<UVTILE>": r"u\d+_v\d+"}


class Refused(Exception):
    """A request that cannot be met: `kind` for programs, the message (what, where, what next) for
    people.
    """

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def normal(path, backslashes=True):
    """The canonical spelling: forward slashes, no `.`, `..` or doubled slashes. Does not touch the
    disk.
    """
    if backslashes:
        path = path.replace("\\", "/")
    # A leading double slash reaches this only from a UNC path (`\\server\share`), where it means
    # something.
    head = "//" if path.startswith("//") else "/" if path.startswith("/") else ""
    parts = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return head + "/".join(parts)


def is_windows(path):
    """True for a normal path that names a drive or a server: case does not matter in it."""
    return path.startswith("//") or re.match(r"[A-Za-z]:/", path) is not None


def key_of(path):
    """The key under which a normal path is looked up."""
    return path.casefold() if is_windows(path) else path


def opened(raw, base):
    """The path that Blender opens here for `raw` of a .blend at `base`; None if that would be the
    wrong file.
    """
    native = raw.replace("\\", "/") if os.sep == "/" else raw
    if raw.startswith("//"):
        return os.path.normpath(os.path.join(os.path.dirname(base), native[2:].lstrip("/")))
    # On Linux Blender takes `K:/x` for `/k/x`, which is another file or none.
    return None if os.sep == "/" and re.match(r"[A-Za-z]:[\\/]|\\\\", raw) else os.path.normpath(native)


def is_there(path):
    """True if the file or folder exists, or for a path of tiles any tile."""
    if os.path.exists(path) or not any(token in path for token in TILES):
        return os.path.exists(path)
    folder, base = os.path.split(path)
    pattern = re.escape(base)
    for token, digits in TILES.items():
        pattern = pattern.replace(token, digits)
    try:
        return any(re.fullmatch(pattern, name, re.IGNORECASE) for name in os.listdir(folder))
    except OSError:
        return False


def place_of(library):
    """The path of a library of the open file here. Blender rewrites nested libraries' `//` for the
    main file.
    """
    return opened(library.filepath, bpy.data.filepath) or library.filepath


def is_packed(block):
    packed = getattr(block, "packed_file", None) or getattr(block, "is_archive", False)
    return bool(packed or len(getattr(block, "packed_files", ())))


class Paths:
    """The map from the paths of the open file to files here: exactly as the request says, else by
    the artist's path. Unknown paths that lead out of the job's folder are pointed to a place in
    `scratch`, where there is nothing: what they name here is this machine's own, and was not there
    on the artist's.
    """

    def __init__(self, blend, source, files, paths, scratch):
        self._nowhere = os.path.join(scratch, "unknown")
        self._ours = [os.path.dirname(os.path.normpath(p)) for p in (scratch, blend)]
        self._ours += filter(None, (bpy.utils.resource_path(kind) for kind in ("LOCAL", "SYSTEM")))
        self._exact, self._entries = {}, []
        for library, raw, target, must_exist in paths:
            library = os.path.normpath(library) if library else ""
            raw = raw.translate(ODD_BYTES)
            self._exact[library, raw.replace("\\", "/")] = (target, must_exist)
            self._entries.append((library, raw, target, must_exist))
        self._files, self._folders, self._artists = {}, {}, {"": source.translate(ODD_BYTES)}
        for path, target in {source: blend, **files}.items():
            path = path.translate(ODD_BYTES)
            path = normal(path, backslashes=not path.startswith("/"))
            self._files[key_of(path)] = target
            self._artists.setdefault(os.path.normpath(target), path)
            self._add_folders(path, normal(target, backslashes=os.sep != "/"))
        self._users = {}
        self._wrong = []
        self._changed = []
        self._changed_elsewhere = {"library": {}, "file": {}}
        self.settled = set()

    def _add_folders(self, path, target):
        # Files are mirrored, so folders correspond as far up as their names do. They are needed for
        # what names no single file: cache folders, `<UDIM>` tiles, strips' folders.
        while True:
            (up_path, name), (up_target, other) = path.rpartition("/")[::2], target.rpartition("/")[::2]
            if not up_path or not up_target or name != other:
                return
            path, target = up_path, up_target
            if self._folders.setdefault(key_of(path), target) is not target:
                return  # the rest of the way up is known

    def _as_told(self, library, raw):
        # On Linux Blender turns the backslashes of a file from Windows into slashes as it reads it.
        return self._exact.get((library, raw.replace("\\", "/")))

    def wanted(self, library, raw):
        """(path here, must_exist) for `raw` of a library (its place here, "" for the main file), or
        None.
        """
        return self._as_told(library, raw) or self._by_artists_path(self._on_artists_machine(library, raw))

    def wanted_library(self, library):
        """As wanted(), for the library's own path."""
        raw, parent = library.filepath, library.parent
        owner = place_of(parent) if parent is not None and parent != library else ""
        exact = self._as_told(owner, raw)
        if exact or not owner or not raw.startswith("//"):
            return exact or self._by_artists_path(self._on_artists_machine(owner, raw))
        # Blender has made it relative to the main file; the parent's folder is what the artist's
        # file said.
        try:
            near = "//" + os.path.relpath(place_of(library), os.path.dirname(owner))
        except ValueError:  # another drive
            near = raw
        guesses = ((owner, near), (owner, raw), ("", raw))
        found = (self._by_artists_path(self._on_artists_machine(*guess)) for guess in guesses)
        return next(filter(None, found), None)

    def _on_artists_machine(self, library, raw):
        if raw.startswith("//"):
            base = self._artists.get(library)
            if base is None:
                return None
            folder = base.replace("\\", "/").rpartition("/")[0]
            return normal(f"{folder}/{raw[2:]}")
        path = normal(raw)
        return path if path.startswith("/") or is_windows(path) else None

    def _by_artists_path(self, path):
        if path is None:
            return None
        target = self._files.get(key_of(path))
        if target is not None:
            return target, True
        rest = []
        while path:
            folder = self._folders.get(key_of(path))
            if folder is not None:
                target = "/".join([folder, *reversed(rest)])
                # A folder's name alone is no proof that the file was sent: only if it leads
                # somewhere, and that is no place of this machine's own.
                is_sent = self._is_ours(os.path.normpath(target)) and (is_there(target) or "#" in target)
                return (target, False) if is_sent else None
            path, _, name = path.rpartition("/")
            rest.append(name)
        return None

    def change(self, owner, holder, name, is_text=False):
        """Re-points the property `name` of `holder`, a part of the datablock `owner`, if need be.
        `is_text`: it may be any text, and stays as it is unless it names a file that was sent.
        """
        try:
            raw = getattr(holder, name, None)
        except UnicodeDecodeError as error:  # a text's path, unlike all others
            raw = os.fsdecode(error.object)
        if not raw or raw == "<builtin>":
            return
        library = place_of(owner.library) if owner.library else ""
        user = f"{type(owner).__name__} '{owner.name}'"
        value = now = self.value_for(library, raw, user)
        if value is None and not is_text:
            value = now = self.nowhere_for(library, raw)
        if value is not None:
            try:
                setattr(holder, name, value)
                now = getattr(holder, name)
                if owner.library is None:
                    self._changed.append((owner, holder, name, raw))
            except (UnicodeError, AttributeError, TypeError) as error:
                print(f"{user}: {error}")
        self.settle(library, raw, now or raw)

    def note_change(self, kind, now, raw):
        """Notes that a library, or a file that only Blender's own walk knows, had the path `raw`."""
        self._changed_elsewhere[kind][now] = raw

    def restore(self):
        """Puts the paths of the open file back as they were, so that it can be saved as the artist's."""
        for owner, holder, name, raw in reversed(self._changed):
            try:
                setattr(holder, name, raw)
            except (UnicodeError, AttributeError, TypeError) as error:
                raise Refused(
                    "bake_failed",
                    f"the path of {type(owner).__name__} '{owner.name}' can't be put back: {error}. "
                    "Bake in Blender and send again.",
                ) from None
        for library in bpy.data.libraries:
            if library.parent is None and library.filepath in self._changed_elsewhere["library"]:
                library.filepath = self._changed_elsewhere["library"][library.filepath]
        files = self._changed_elsewhere["file"]
        if files:
            bpy.data.file_path_foreach(
                lambda owner, path, _: (
                    files.get(path) if owner is not None and owner.library is None else None
                )
            )

    def value_for(self, library, raw, user):
        """The value to set in place of `raw`, or None to leave it."""
        found = self.wanted(library, raw)
        if found is None:
            return None
        self._users.setdefault((library, raw), user)
        if opened(raw, library or bpy.data.filepath) == os.path.normpath(found[0]):
            return None
        return found[0] + "/" if raw[-1] in "/\\" and found[0][-1:] not in "/\\" else found[0]

    def nowhere_for(self, library, raw):
        """A path where there is nothing if `raw`, which the request does not know, leads to a file
        or folder of this machine's own; None to leave it.
        """
        if self.wanted(library, raw) is not None:
            return None
        path = opened(raw, library or bpy.data.filepath)
        if path is not None and self._is_ours(path):
            return None
        print(f"{raw} is no file of the job")
        return os.path.join(self._nowhere, re.split(r"[\\/]", raw.rstrip("\\/"))[-1])

    def _is_ours(self, path):
        return any(path.startswith(os.path.join(folder, "")) for folder in self._ours)

    def settle(self, library, raw, now):
        """Notes that `raw` of that library is `now` something else, and whether that opens the
        wanted file.
        """
        self.settled.add((library, now))
        found = self.wanted(library, raw)
        if found and found[1] and opened(now, library or bpy.data.filepath) != os.path.normpath(found[0]):
            self._wrong.append((library, raw, found[0]))

    def check_library(self, library):
        owner = place_of(library.parent) if library.parent not in (None, library) else ""
        found = self.wanted_library(library)
        if found is None and os.path.exists(place_of(library)) and not self._is_ours(place_of(library)):
            self._refuse(owner, library.filepath, "it is no file of the job, but one of this machine's own")
        self._users.setdefault((owner, library.filepath), f"Library '{library.name}'")
        if found and found[1] and place_of(library) != os.path.normpath(found[0]):
            self._wrong.append((owner, library.filepath, found[0]))

    def check(self):
        """Refuses a scene that needs a file that was sent and is not here, or that would open
        another one.
        """
        for library, raw, target, must_exist in self._entries:
            if must_exist and not is_there(target):
                self._refuse(library, raw, f"it is not here ({target})")
        for path, target in self._files.items():
            if not os.path.exists(target):
                path = self._artists.get(os.path.normpath(target), path)
                raise Refused("missing_file", f"{path} is not here ({target}). Send the job again.")
        for library, raw, target in self._wrong:
            self._refuse(library, raw, f"Blender would not open it from where it is here ({target})")

    def _refuse(self, library, raw, why):
        user = self._users.get((library, raw), "the scene")
        path = self._on_artists_machine(library, raw)
        path = raw if path in (None, raw) else f"{raw} ({path})"
        raise Refused("missing_file", f"{path}, used by {user}: {why}. Send the job again.")


def repath_libraries(paths):
    """Points libraries at their files here and reloads them, until no new one with a path to change
    appears.
    """
    changed, waiting = set(), []
    while True:
        # All are pointed right before any is loaded: one that another brings along must be known by
        # then.
        for library in bpy.data.libraries:
            raw, found = library.filepath, None if is_packed(library) else paths.wanted_library(library)
            if found is None or place_of(library) == os.path.normpath(found[0]):
                continue
            if library.parent is None:
                paths.note_change("library", found[0], raw)
            library.filepath = found[0]
            if (raw, found[0]) not in changed:  # one that links itself comes back with each reload
                changed.add((raw, found[0]))
                waiting.append(library.name)
        if not waiting:
            break
        library = bpy.data.libraries.get(waiting.pop(0))
        if library is not None and os.path.exists(library.filepath):
            try:
                library.reload()
            except RuntimeError as error:  # also raised for one that did load, with others missing
                print(error)
    for library in bpy.data.libraries:
        if not is_packed(library):
            paths.check_library(library)


def repath_files(paths):
    """Re-points every other path of the open file, linked data included."""
    for owner, holder, name in path_slots():
        paths.change(owner, holder, name)
    for owner, holder, name in text_slots():
        paths.change(owner, holder, name, is_text=True)
    # Blender's own walk (4.4 on) knows fewer places than these, but may know some of the future.
    # Names that are not UTF-8 crash it (5.0).
    known = bpy.utils.blend_paths(absolute=False, packed=True, local=False)
    if not hasattr(bpy.data, "file_path_foreach") or any(map(is_odd, known)):
        return
    seen = []

    def visit(owner, raw, _meta):
        if owner is None or owner.id_type in ("LIBRARY", "SCENE"):  # strips come with their file's name here
            return None
        library = place_of(owner.library) if owner.library else ""
        if (library, raw) in paths.settled:
            return None
        value = paths.value_for(library, raw, f"{type(owner).__name__} '{owner.name}'")
        if value is None:
            value = paths.nowhere_for(library, raw)
        value = None if value is None or is_odd(value) else value
        seen.append((library, raw, value or raw))
        if value is not None and owner.library is None:
            paths.note_change("file", value, raw)
        return value

    bpy.data.file_path_foreach(visit)
    for slot in seen:
        paths.settle(*slot)


def is_odd(path):
    """True for a file name that is not UTF-8."""
    return any("\udc80" <= letter <= "\udcff" for letter in path)


def path_slots():
    """Yields (datablock, the part of it that has the path, the property's name), for all but
    libraries.
    """
    data = bpy.data
    for blocks in (data.images, data.sounds, data.fonts, data.movieclips, data.volumes, data.cache_files):
        for block in blocks:
            # The path of a generated image is no file's, and its pixels would go with a change of it.
            if not is_packed(block) and getattr(block, "source", "") not in ("GENERATED", "VIEWER"):
                yield block, block, "filepath"
            for layer in getattr(block, "layers", None) or ():  # cache files: overriding Alembic layers
                yield block, layer, "filepath"
    for clip in data.movieclips:
        if clip.use_proxy_custom_directory:
            yield clip, clip.proxy, "directory"
    for text in data.texts:
        yield text, text, "filepath"
    for camera in data.cameras:
        yield camera, camera, "custom_filepath"  # 5.0: OSL
    for scene in data.scenes:
        if scene.rigidbody_world is not None:
            yield from point_cache_slots(scene, scene.rigidbody_world)
        for strip in strips(scene):
            if strip.type in ("IMAGE", "MOVIE"):
                yield scene, strip, "directory" if strip.type == "IMAGE" else "filepath"
    for thing in data.objects:
        for modifier in thing.modifiers:
            yield from modifier_slots(thing, modifier)
        for system in thing.particle_systems:
            yield from point_cache_slots(thing, system)
    for owner, tree in all_node_trees():
        for node in tree.nodes:
            yield owner, node, "filepath"


def text_slots():
    """As path_slots(), for texts that may be a path or anything else."""
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            for text in texts_of_modifier(modifier):
                yield thing, text, "value"
    for owner, _, holder, name in strings_of_nodes():
        yield owner, holder, name


def modifier_slots(thing, modifier):
    if modifier.type in ("OCEAN", "MESH_CACHE", "MULTIRES"):
        yield thing, modifier, "filepath"
    elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
        yield thing, modifier.domain_settings, "cache_directory"
    elif modifier.type == "NODES":
        yield thing, modifier, "simulation_bake_directory"
        yield thing, modifier, "bake_directory"
        for bake in getattr(modifier, "bakes", ()):
            yield thing, bake, "directory"
    elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings:
        for surface in modifier.canvas_settings.canvas_surfaces:
            yield from point_cache_slots(thing, surface)
    yield from point_cache_slots(thing, modifier)


def point_cache_slots(owner, holder):
    cache = getattr(holder, "point_cache", None)
    if cache and cache.use_external:
        yield owner, cache, "filepath"
