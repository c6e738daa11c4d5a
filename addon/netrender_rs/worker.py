# SPDX-License-Identifier: GPL-3.0-or-later
"""One warm Blender under a slave: it loads a scene once and renders the frames it is asked for.

What lives here: everything that needs `bpy` inside the slave's render process. What does not: time limits,
killing, retries, files' transport, looking at pictures; all that is the Rust side (farm `slave/blender/`),
which carries this file with `include_str!`. Python's standard library and `bpy` only, Blender 3.4 to 5.x,
run as `blender -b -noaudio -Y --python-exit-code 1 --python worker.py` or `python worker.py` (the `bpy`
module).

Protocol (2): JSON lines, UTF-8, over a loopback TCP socket that this process connects. In the environment:
NETRENDER_WORKER_ADDR="127.0.0.1:PORT" and NETRENDER_WORKER_TOKEN (one-time; both are removed once read).

    -> {"hello": {"token", "protocol": 2, "pid", "blender": [3, 4, 1], "build_hash", "build_options": [names],
                  "engines": [ids], "devices": [{"type", "name"}]}}
    <- {"id": 1, "op": "load", "blend": path here, "source": its path on the artist's machine,
        "scene": name|null, "engine": id|null, "threads": 0|N, "scripts": bool,
        "files": {path on the artist's machine: path here},
        "paths": [[library here or "", raw, path here, must_exist], ...],
        "scratch": dir, "view_table": path.png|null}
    -> {"id": 1, "ok": {"scene", "engine", "width", "height", "view_table": path|null}}
    <- {"id": 2, "op": "render", "frame": N, "output": abs .exr}
    -> {"progress": {"frame": N, "text": "..."}}          unsolicited, at most five a second
    -> {"id": 2, "ok": {"frame", "seconds", "output"}}
    <- {"id": 3, "op": "quit"}
    -> {"id": 3, "ok": {}}                                then the process ends with code 0
    -> {"id": n|null, "error": {"kind", "message"}}

Kinds of error: bad_request, cannot_open, missing_file, missing_scene, missing_engine, no_camera, not_loaded,
render_failed, internal. After any of them the process goes on; after a failed load nothing is loaded.

All paths are absolute but `raw`, the string that a block of that library (of the .blend itself: "") holds. A
path in "paths" may be a folder or hold <UDIM>. File names that are not UTF-8 have lone surrogates U+DC80..
U+DCFF for their odd bytes in Python; what stems from the artist's machine (`source`, the keys of `files`,
`raw`) may carry U+10DC80..U+10DCFF in their place, as trace.py wrote them. Paths here are taken literally.

Output: stdout and stderr are one stream (fd 2 is a copy of fd 1). Before each answer the stream gets the line
"\\x1enetrender-end <id>\\n" ("-" for an answer without id), so the log can be cut exactly by request.
When the socket closes, the process ends at once, also in the midst of a render.

The view table is a 16-bit RGB PNG, 65 wide and 65*65 high, of the scene's view transform over a lattice. Axis
value 0 is 0.0, value i > 0 is 2^(-12.5 + 22.5*(i-1)/63). Counted from the *bottom* row, row = blue*65 +
green; column = red. The values are scene linear in, display out.
"""

import array
import ctypes
import json
import os
import queue
import re
import shutil
import socket
import sys
import threading
import time
import traceback

import bpy
from bpy.app.handlers import persistent

PROTOCOL = 2
PROGRESS_EVERY_S = 0.2
LATTICE = 65
LATTICE_LOG2 = (-12.5, 10.0)


class Refused(Exception):
    """A request that cannot be met: `kind` for programs, the message (what, where, what next) for people."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


# --------------------------------------------------------------------------------------- the line home


class Link:
    """The socket to the slave. A daemon thread reads it, to see it closed while a frame renders."""

    def __init__(self, address, token):
        host, port = address.rsplit(":", 1)
        self.token = token
        self.requests = queue.SimpleQueue()
        self._socket = socket.create_connection((host, int(port)))
        # Answers are small and awaited: Nagle would hold them back.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()

    def listen(self):
        threading.Thread(target=self._read, name="netrender-link", daemon=True).start()

    def send(self, message):
        # Lone surrogates (undecodable file names) are escaped by ensure_ascii and survive the journey.
        data = json.dumps(message, ensure_ascii=True).encode("ascii") + b"\n"
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError:
            os._exit(1)

    def _read(self):
        try:
            for line in self._socket.makefile("rb"):
                try:
                    request = json.loads(line.decode("utf-8"))
                except ValueError as error:
                    request = error
                self.requests.put(request)
                if isinstance(request, dict) and request.get("op") == "quit":
                    return  # from here on a closed socket is no accident
        except OSError:
            pass
        # Nobody is left to render for. Blender's own exit would first finish the frame.
        os._exit(1)


def _c_library():
    for name in (None, "ucrtbase"):
        try:
            library = ctypes.CDLL(name)
            library.fflush  # noqa: B018 - raises AttributeError where it is absent
            return library
        except (OSError, AttributeError, TypeError):
            continue
    return None


C_LIBRARY = _c_library()


def end_log(request_id):
    """Flush Python's and C's buffers, then mark the end of this request in the output stream."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        if C_LIBRARY is not None:
            C_LIBRARY.fflush(None)
        name = "-" if request_id is None else str(request_id)
        os.write(1, b"\x1enetrender-end " + name.encode("ascii") + b"\n")
    except OSError:
        os._exit(1)  # the reader of our output is gone


# ------------------------------------------------------------------------------------------------- who we are


def describe_blender():
    """What the farm matches slaves on: Blender, its build, engines and devices."""
    options = bpy.app.build_options
    return {
        "blender": list(bpy.app.version),
        "build_hash": bpy.app.build_hash.decode("ascii", "replace"),
        "build_options": [n for n in dir(options) if not n.startswith("_") and getattr(options, n) is True],
        "engines": engines(),
        "devices": devices(),
    }


def engines():
    """Render engines this Blender can be set to; our own add-on's engine is no renderer."""
    found = {"NET_RENDER"}
    result = []

    def add(name):
        if name and name not in found:
            found.add(name)
            result.append(name)

    def walk(cls):
        for sub in cls.__subclasses__():
            if getattr(sub, "is_registered", False):
                add(getattr(sub, "bl_idname", ""))
            walk(sub)

    walk(bpy.types.RenderEngine)
    # Built-in engines have no Python class; the enum lists them only in a context, so try them on.
    render = bpy.context.scene.render
    before = render.engine
    for name in ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"):
        try:
            render.engine = name
            add(name)
        except TypeError:
            pass
    try:
        render.engine = before
    except TypeError:
        pass
    return sorted(result)


def devices():
    """Cycles' devices as {"type", "name"}; at least the CPU."""
    found = []
    for kind in ("CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"):
        try:
            import _cycles

            listed = _cycles.available_devices(kind)
        except Exception:  # noqa: BLE001 - no Cycles, or not this kind: the CPU is still there
            listed = ()
        for device in listed:
            entry = {"type": str(device[1]), "name": str(device[0])}
            if entry not in found:
                found.append(entry)
    return found or [{"type": "CPU", "name": "CPU"}]


# ------------------------------------------------------------------------------------------- paths, in memory

ODD_BYTES = {0x10DC00 + byte: 0xDC00 + byte for byte in range(0x80, 0x100)}
TILES = {"<UDIM>": r"\d{4}", "<UVTILE>": r"u\d+_v\d+"}


def normal(path, backslashes=True):
    """One spelling: forward slashes, no `.`, `..` or doubled slashes. Does not touch the disk."""
    if backslashes:
        path = path.replace("\\", "/")
    # A leading double slash reaches this only from a UNC path (`\\server\share`), where it means something.
    head = "//" if path.startswith("//") else "/" if path.startswith("/") else ""
    parts = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return head + "/".join(parts)


def is_windows(path):
    """Of a normal path: it names a drive or a server, and case does not matter in it."""
    return path.startswith("//") or re.match(r"[A-Za-z]:/", path) is not None


def key_of(path):
    return path.casefold() if is_windows(path) else path


def opened(raw, base):
    """The path that Blender opens here for `raw` of a .blend at `base`; None if it would be a wrong one."""
    native = raw.replace("\\", "/") if os.sep == "/" else raw
    if raw.startswith("//"):
        return os.path.normpath(os.path.join(os.path.dirname(base), native[2:].lstrip("/")))
    # On Linux Blender takes `K:/x` for `/k/x`, which is another file or none.
    return None if os.sep == "/" and re.match(r"[A-Za-z]:[\\/]|\\\\", raw) else os.path.normpath(native)


def is_there(path):
    """Whether a file or folder is there, or one for a path of tiles."""
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
    """Where a library of the open file lies here. Blender rewrites nested ones' `//` for the main file."""
    return opened(library.filepath, bpy.data.filepath) or library.filepath


def is_packed(block):
    packed = getattr(block, "packed_file", None) or getattr(block, "is_archive", False)
    return bool(packed or len(getattr(block, "packed_files", ())))


class Paths:
    """What each path of the open file means here: exactly as the request says, else by the artist's path.
    Paths that it does not know stay as they are."""

    def __init__(self, blend, source, files, paths):
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
        self.settled = set()

    def _add_folders(self, path, target):
        # Files are mirrored, so folders correspond as far up as their names do. They are needed for what
        # names no single file: cache folders, `<UDIM>` tiles, strips' folders.
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
        """(path here, must_exist) for `raw` of a library (its place here, "" for the main file), or None."""
        return self._as_told(library, raw) or self._by_artists_path(self._on_artists_machine(library, raw))

    def wanted_library(self, library):
        """The same for the library's own path."""
        raw, parent = library.filepath, library.parent
        owner = place_of(parent) if parent is not None and parent != library else ""
        exact = self._as_told(owner, raw)
        if exact or not owner or not raw.startswith("//"):
            return exact or self._by_artists_path(self._on_artists_machine(owner, raw))
        # Blender has made it relative to the main file; the parent's folder is what the artist's file said.
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
                # A folder's name alone is no proof that the file was sent: only if it leads somewhere.
                return (target, False) if is_there(target) or "#" in target else None
            path, _, name = path.rpartition("/")
            rest.append(name)
        return None

    def change(self, owner, holder, name):
        """Re-point the property `name` of `holder`, a part of the datablock `owner`, if need be."""
        try:
            raw = getattr(holder, name, None)
        except UnicodeDecodeError as error:  # a text's path, unlike all others
            raw = os.fsdecode(error.object)
        if not raw or raw == "<builtin>":
            return
        library = place_of(owner.library) if owner.library else ""
        user = f"{type(owner).__name__} '{owner.name}'"
        value = now = self.value_for(library, raw, user)
        if value is not None:
            try:
                setattr(holder, name, value)
                now = getattr(holder, name)
            except (UnicodeError, AttributeError, TypeError) as error:
                print(f"{user}: {error}")
        self.settle(library, raw, now or raw)

    def value_for(self, library, raw, user):
        """The value to set instead of `raw`, or None to leave it."""
        found = self.wanted(library, raw)
        if found is None:
            return None
        self._users.setdefault((library, raw), user)
        if opened(raw, library or bpy.data.filepath) == os.path.normpath(found[0]):
            return None
        return found[0] + "/" if raw[-1] in "/\\" and found[0][-1:] not in "/\\" else found[0]

    def settle(self, library, raw, now):
        """What was `raw` is `now` in that library: it must open what was wanted."""
        self.settled.add((library, now))
        found = self.wanted(library, raw)
        if found and found[1] and opened(now, library or bpy.data.filepath) != os.path.normpath(found[0]):
            self._wrong.append((library, raw, found[0]))

    def check_library(self, library):
        owner = place_of(library.parent) if library.parent not in (None, library) else ""
        found = self.wanted_library(library)
        self._users.setdefault((owner, library.filepath), f"Library '{library.name}'")
        if found and found[1] and place_of(library) != os.path.normpath(found[0]):
            self._wrong.append((owner, library.filepath, found[0]))

    def check(self):
        """Refuse a scene of which a file that was sent is not here, or not what it would open."""
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
    """Point libraries at their files here, reload, and again until none with a path to change appears."""
    changed, waiting = set(), []
    while True:
        # All are pointed right before any is loaded: one that another brings along must be known by then.
        for library in bpy.data.libraries:
            raw, found = library.filepath, None if is_packed(library) else paths.wanted_library(library)
            if found is None or place_of(library) == os.path.normpath(found[0]):
                continue
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
    """Every other path of the open file, linked data included."""
    for owner, holder, name in path_slots():
        paths.change(owner, holder, name)
    # Blender's own walk (4.4 on) knows fewer places than these, but may know some of the future. Names that
    # are not UTF-8 crash it (5.0).
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
        value = None if value is None or is_odd(value) else value
        seen.append((library, raw, value or raw))
        return value

    bpy.data.file_path_foreach(visit)
    for slot in seen:
        paths.settle(*slot)


def is_odd(path):
    return any("\udc80" <= letter <= "\udcff" for letter in path)


def path_slots():
    """(datablock, the thing in it that has the path, the property's name), all but libraries."""
    data = bpy.data
    for blocks in (data.images, data.sounds, data.fonts, data.movieclips, data.volumes, data.cache_files):
        for block in blocks:
            if not is_packed(block):
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
            if node.bl_idname.startswith("GeometryNodeImport") and "Path" in node.inputs:
                socket = node.inputs["Path"]
                yield owner, socket, "default_value"
                if socket.is_linked and socket.links[0].from_node.bl_idname == "FunctionNodeInputString":
                    yield owner, socket.links[0].from_node, "string"


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


def strips(scene):
    editor = scene.sequence_editor
    if editor is None:
        return ()
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def all_node_trees():
    data = bpy.data
    owners = (data.materials, data.worlds, data.lights, data.scenes, data.textures, data.linestyles)
    embedded = [(o, o.node_tree) for c in owners for o in c if getattr(o, "node_tree", None)]
    return [*((tree, tree) for tree in data.node_groups), *embedded]


# ------------------------------------------------------------------------------------------ preparing a scene


def open_blend(path, scripts):
    """Open the file. With `scripts`, drivers are evaluated and texts run that -Y would have forbidden."""
    if not os.path.isfile(path):
        raise Refused("missing_file", f"{path} is not here. Send the job's files again.")
    EVENTS.loaded = False
    words = ""
    try:
        bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=scripts)
    except RuntimeError as error:
        words = str(error).strip()  # also raised for a file that did load, with missing libraries say
    if not EVENTS.loaded or not bpy.data.filepath or not os.path.samefile(bpy.data.filepath, path):
        version = ".".join(map(str, bpy.app.version))
        raise Refused(
            "cannot_open",
            f"Blender {version} cannot open {path}: {words or 'it gave no reason'}. "
            "Open it in that version, or use slaves with the Blender it was saved with.",
        )


def pick_scene(name):
    scene = bpy.data.scenes.get(name) if name else bpy.context.scene
    if scene is None:
        there = ", ".join(s.name for s in bpy.data.scenes)
        raise Refused(
            "missing_scene",
            f"There is no scene '{name}' in {bpy.data.filepath}. It has: {there}. Choose one of these.",
        )
    window = bpy.context.window
    if window is not None and window.scene != scene:
        window.scene = scene
    return scene


def set_engine(scene, engine):
    wanted = engine or scene.render.engine  # "" when the file names an engine this Blender has not got
    try:
        scene.render.engine = wanted
    except TypeError:
        raise Refused(
            "missing_engine",
            f"This Blender has no render engine '{wanted or 'of scene ' + scene.name}'. It has: "
            f"{', '.join(engines())}. Enable the engine's add-on on this slave, or send to others.",
        ) from None


def node_trees_of(tree):
    """A node tree and all groups in it, each once."""
    seen, waiting = [], [tree]
    while waiting:
        tree = waiting.pop()
        if tree is None or tree in seen:
            continue
        seen.append(tree)
        waiting.extend(getattr(node, "node_tree", None) for node in tree.nodes)
    return seen


def compositing_tree(scene):
    """The tree that runs after this scene's render, or None."""
    if not scene.render.use_compositing:
        return None
    if hasattr(scene, "compositing_node_group"):  # 5.0
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def check_camera(scene):
    """Blender's own rule (check_valid_camera), asked before minutes are spent on loading textures."""

    def has_camera(scene):
        return scene.camera is not None or any(o.type == "CAMERA" for o in scene.objects)

    if scene.render.use_sequencer and len(strips(scene)):
        return
    tree = compositing_tree(scene)
    needing = [scene]
    if tree is not None:
        layers = [n for t in node_trees_of(tree) for n in t.nodes if n.type == "R_LAYERS" and not n.mute]
        needing = [n.scene or scene for n in layers]  # none: nothing is rendered, the compositor makes it all
    for needed in needing:
        if not has_camera(needed):
            raise Refused(
                "no_camera",
                f"Scene '{needed.name}' in {bpy.data.filepath} has no camera. Add one and send again.",
            )


def escape_templates(owner, prop, path):
    """Since 4.5 `{name}` in some paths is a template; `{{` is a brace."""
    prop = owner.bl_rna.properties[prop]
    if getattr(prop, "is_path_supports_templates", False):
        return path.replace("{", "{{").replace("}", "}}")
    return path


def tame(path):
    """A path below some folder that stays below it."""
    parts = [p for p in re.split(r"[\\/]+", path) if p not in ("", ".", "..") and not p.endswith(":")]
    return "/".join(parts)


def tame_file_outputs(scratch):
    """File Output nodes write into the scratch folder, never to the artist's paths; in every scene, because
    strips and Render Layers nodes bring other scenes' compositors along."""
    number = 0
    trees = [
        *bpy.data.node_groups,
        *(t for t in (getattr(s, "node_tree", None) for s in bpy.data.scenes) if t),
    ]
    for tree in trees:
        if tree.bl_idname != "CompositorNodeTree":
            continue
        for node in tree.nodes:
            if node.bl_idname != "CompositorNodeOutputFile":
                continue
            number += 1
            folder = os.path.join(scratch, f"output-{number}")
            if hasattr(node, "directory"):  # 5.0
                node.directory = escape_templates(node, "directory", os.path.join(folder, ""))
                node.file_name = tame(node.file_name)
                for item in node.file_output_items:
                    item.name = tame(item.name) or "Image"
                continue
            # With multi-layer files the base path is the file's name, not a folder.
            single_file = node.format.file_format == "OPEN_EXR_MULTILAYER"
            name = (tame(node.base_path).rpartition("/")[2] or "layers") if single_file else ""
            node.base_path = escape_templates(node, "base_path", os.path.join(folder, name))
            for slot in node.file_slots:
                slot.path = tame(slot.path)


def set_output(scene):
    """The film: every pass in 32-bit float, scene linear, in one file."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"  # 5.0 refuses formats of another kind than this
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "ZIP"
    # The film is what merging and finishing start from; the artist's own output space is applied at the end.
    if hasattr(settings, "color_management"):
        settings.color_management = "FOLLOW_SCENE"
    if hasattr(settings, "use_preview"):
        settings.use_preview = False  # would write a JPEG next to each film
    if scene.render.use_multiview:
        settings.views_format = "MULTIVIEW"
    render = scene.render
    render.use_file_extension = True
    # `-f` renders every layer in use, single or not; the operator heeds this, and fails at the second frame (5.0).
    render.use_single_layer = False
    render.use_placeholder = False
    render.use_overwrite = True


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


_lattice = None


def lattice():
    """RGBA floats of the 65^3 lattice, red fastest; made once per process."""
    global _lattice
    if _lattice is None:
        low, high = LATTICE_LOG2
        steps = LATTICE - 2
        axis = array.array("f", [0.0, *(2.0 ** (low + (high - low) * i / steps) for i in range(LATTICE - 1))])
        pixels = array.array("f", [1.0]) * (4 * LATTICE**3)
        pixels[0::4] = axis * LATTICE**2
        greens = array.array("f", [v for v in axis for _ in range(LATTICE)])
        pixels[1::4] = greens * LATTICE
        blues = array.array("f")
        for value in axis:
            blues.extend(array.array("f", [value]) * LATTICE**2)
        pixels[2::4] = blues
        _lattice = pixels
    return _lattice


def bake_view_table(scene, path):
    """Save the lattice as the scene's view transform shows it. Leaves the scene's settings as they were."""
    settings, render = scene.render.image_settings, scene.render
    names = [
        n
        for n in ("media_type", "color_management", "file_format", "color_mode", "color_depth")
        if hasattr(settings, n)
    ]
    before = [(n, getattr(settings, n)) for n in names]
    dither = render.dither_intensity
    # A new float image is in the scene's linear space, whatever the colour configuration calls it.
    image = bpy.data.images.new("netrender lattice", LATTICE, LATTICE * LATTICE, float_buffer=True)
    try:
        render.dither_intensity = 0.0
        if hasattr(settings, "media_type"):
            settings.media_type = "IMAGE"
        settings.file_format = "PNG"
        settings.color_mode = "RGB"
        settings.color_depth = "16"
        if hasattr(settings, "color_management"):
            settings.color_management = "FOLLOW_SCENE"
        image.pixels.foreach_set(lattice())
        image.update()
        image.save_render(path, scene=scene)
    finally:
        bpy.data.images.remove(image)
        render.dither_intensity = dither
        for name, value in before:
            setattr(settings, name, value)


def try_bake_view_table(scene, path):
    if not path:
        return None
    try:
        bake_view_table(scene, path)
        return path if os.path.isfile(path) else None
    except Exception:  # noqa: BLE001
        traceback.print_exc()  # previews fall back to a plain curve; the job goes on
        return None


# -------------------------------------------------------------------------------------------------- the work


class Events:
    """What Blender's handlers saw."""

    def __init__(self):
        self.loaded = False
        self.rendered = False
        self.cancelled = False
        self.frame = None
        self.link = None
        self._next_progress = 0.0

    def begin_render(self, frame):
        self.rendered = self.cancelled = False
        self.frame = frame
        self._next_progress = 0.0

    def progress(self, text):
        now = time.monotonic()
        if self.frame is not None and now >= self._next_progress:
            self._next_progress = now + PROGRESS_EVERY_S
            self.link.send({"progress": {"frame": self.frame, "text": text}})


EVENTS = Events()


@persistent
def _on_load(*_):
    EVENTS.loaded = True


@persistent
def _on_render_post(*_):
    EVENTS.rendered = True


@persistent
def _on_render_cancel(*_):
    EVENTS.cancelled = True


@persistent
def _on_render_stats(*args):
    # 3.4 gives no text here, only on stdout.
    text = next((a for a in args if isinstance(a, str)), None)
    if text:
        EVENTS.progress(text)


class Worker:
    """The loaded scene and the three things that can be asked of it."""

    def __init__(self):
        self.scene = None
        properties = bpy.ops.render.render.get_rna_type().properties
        self._takes_range = "frame_start" in properties and "frame_end" in properties

    def load(self, request):
        self.scene = None
        blend = want(request, "blend", str)
        scratch = want(request, "scratch", str)
        paths = want_paths(request)
        open_blend(blend, request.get("scripts") is True)
        repath_libraries(paths)
        repath_files(paths)
        paths.check()
        scene = pick_scene(request.get("scene"))
        set_engine(scene, request.get("engine"))
        check_camera(scene)
        threads = request.get("threads") or 0
        scene.render.threads_mode = "FIXED" if threads > 0 else "AUTO"
        if threads > 0:
            scene.render.threads = threads
        tame_file_outputs(scratch)
        table = try_bake_view_table(scene, request.get("view_table"))
        set_output(scene)
        width, height = size_of_film(scene)
        self.scene = scene
        return {
            "scene": scene.name,
            "engine": scene.render.engine,
            "width": width,
            "height": height,
            "view_table": table,
        }

    def render(self, request):
        frame = want(request, "frame", int)
        output = want(request, "output", str)
        if self.scene is None:
            raise Refused("not_loaded", "No scene is loaded. Send a load that succeeds first.")
        # A fresh folder of its own: whatever is in it afterwards was made by this render.
        part = output + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        started = time.monotonic()
        EVENTS.begin_render(frame)
        try:
            words = self._render_into(part, frame)
            film = self._check_film(part, frame, words)
            os.replace(film, output)
        finally:
            EVENTS.frame = None
            shutil.rmtree(part, ignore_errors=True)
        return {"frame": frame, "seconds": time.monotonic() - started, "output": output}

    def _render_into(self, part, frame):
        """Render as `blender -b FILE -f N` does and give back Blender's complaint, if any.

        `-f` is an animation of one frame, so this is too: the engine is told that it is an animation,
        animated settings, camera markers and the sequencer take the same way, and the scene's current
        frame stays the file's. A still render after `frame_set` would also evaluate the whole scene once
        more for the viewport.
        """
        scene = self.scene
        scene.render.filepath = escape_templates(scene.render, "filepath", os.path.join(part, "film_####"))
        before = scene.frame_start, scene.frame_end, scene.frame_current, scene.frame_subframe
        try:
            if self._takes_range:
                bpy.ops.render.render(animation=True, scene=scene.name, frame_start=frame, frame_end=frame)
                return ""
            scene.frame_start = frame
            scene.frame_end = frame
            if scene.frame_start == frame:
                bpy.ops.render.render(animation=True, scene=scene.name)
                return ""
            # The range of an animation cannot be negative; a still frame can.
            scene.frame_start, scene.frame_end = before[:2]
            scene.frame_set(frame)
            bpy.ops.render.render(write_still=True, scene=scene.name)
            return ""
        except RuntimeError as error:
            return str(error).strip()
        finally:
            scene.frame_start, scene.frame_end = before[:2]
            if scene.frame_current != before[2]:
                scene.frame_set(before[2], subframe=before[3])

    def _check_film(self, part, frame, words):
        """The one film in `part`. Blender 3.4 can say FINISHED without any, and a failure may leave one."""
        films = os.listdir(part)
        where = f"Frame {frame} of scene '{self.scene.name}'"
        if words or EVENTS.cancelled:
            said = words or "it cancelled the render without a reason"
            raise Refused("render_failed", f"{where} failed: {said}. See the frame's log.")
        if not EVENTS.rendered or len(films) != 1:
            raise Refused(
                "render_failed",
                f"{where} failed: Blender wrote {len(films)} files and said nothing. See the frame's log.",
            )
        return os.path.join(part, films[0])


def want(request, name, kind):
    value = request.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Refused(
            "bad_request", f"{request.get('op')}: '{name}' must be of type {kind.__name__}. Mend the request."
        )
    return value


def want_paths(request):
    files, slots = want(request, "files", dict), want(request, "paths", list)
    kinds = [str, str, str, bool]
    if not all(isinstance(here, str) for here in files.values()) or not all(
        isinstance(slot, list) and [type(part) for part in slot] == kinds for slot in slots
    ):
        raise Refused(
            "bad_request", "load: 'files' maps paths to paths, 'paths' lists [library, raw, path, bool]."
        )
    return Paths(want(request, "blend", str), want(request, "source", str), files, slots)


def answer(worker, request):
    """The answer to one request, without its id: {"ok": ...} or {"error": ...}."""
    try:
        if isinstance(request, Exception):
            raise Refused("bad_request", f"Not a JSON line: {request}. Send one object per line.")
        operations = {"load": worker.load, "render": worker.render, "quit": lambda _: {}}
        operation = operations.get(request.get("op")) if isinstance(request, dict) else None
        if operation is None or request_id(request) is None:
            raise Refused("bad_request", 'A request needs an integer "id" and an "op": load, render or quit.')
        return {"ok": operation(request)}
    except Refused as error:
        return {"error": {"kind": error.kind, "message": str(error)}}
    except Exception:  # noqa: BLE001 - one bad request must not end a warm process
        lines = traceback.format_exc()
        print(lines)
        last = " | ".join(lines.strip().splitlines()[-5:])
        return {
            "error": {"kind": "internal", "message": f"The worker failed: {last}. Report this with the log."}
        }


def request_id(request):
    value = request.get("id") if isinstance(request, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def main():
    os.dup2(1, 2)
    link = Link(os.environ.pop("NETRENDER_WORKER_ADDR"), os.environ.pop("NETRENDER_WORKER_TOKEN"))
    EVENTS.link = link
    handlers = bpy.app.handlers
    handlers.load_post.append(_on_load)
    handlers.render_post.append(_on_render_post)
    handlers.render_cancel.append(_on_render_cancel)
    handlers.render_stats.append(_on_render_stats)
    worker = Worker()
    link.send(
        {"hello": {"token": link.token, "protocol": PROTOCOL, "pid": os.getpid(), **describe_blender()}}
    )
    link.listen()
    while True:
        request = link.requests.get()
        reply = answer(worker, request)
        number = request_id(request)
        end_log(number)
        link.send({"id": number, **reply})
        if isinstance(request, dict) and request.get("op") == "quit" and "ok" in reply:
            # Blender's own end frees a scene that nobody needs, slowly, and now and then crashes at it.
            os._exit(0)


if __name__ == "__main__":
    main()
