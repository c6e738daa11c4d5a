# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour configuration that the artist's Blender uses: Blender's own, or one that the variable
OCIO of the environment names.

What lives here: the files of a configuration, and colour spaces that none has. What does not:
sending them. A configuration travels like a file of the scene, under the path $OCIO; the slave
(`files/tree.rs`) sets the variable for its Blender.
"""

import ctypes
import os
import re

import bpy
from netrender_trace_findings import INFO, MAY_DIFFER, WRONG, finding, listed, title

MOST_BYTES = 16 << 20
# Length of the name in Blender's record of a colour space, which holds nothing else.
NAME_BYTES = 64


def configuration():
    """{"config": path, "files": [paths]} of the colour configuration in the environment, config
    first; None for Blender's own.
    """
    path = os.environ.get("OCIO", "")
    if path.startswith("ocio://"):
        return {"config": path, "files": []}
    path = os.path.abspath(path) if path else ""
    if not os.path.isfile(path) or is_shipped(path):
        return None  # Blender falls back to its own
    return {"config": path, "files": [path, *sorted(tables(path) - {path})]}


def is_shipped(path):
    """True for a copy of the configuration that comes with this Blender."""
    folder = bpy.utils.system_resource("DATAFILES", path="colormanagement")
    own = os.path.join(folder or "", "config.ocio")
    return os.path.isfile(own) and content(own) == content(path)


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return b""


def tables(config):
    """Existing look-up tables that a configuration names: on its search path, relative to itself."""
    home = os.path.dirname(config)
    text = content(config).decode("utf-8", "replace")
    folders = [os.path.join(home, folder) for folder in search_path(text)] or [home]
    found = set()
    for name in names_of_tables(config):
        if depends_on_environment(name):  # whatever may be meant
            for folder in folders:
                found.update(os.path.join(top, n) for top, _, names in os.walk(folder) for n in names)
            continue
        places = [name] if os.path.isabs(name) else [os.path.join(f, name) for f in (*folders, home)]
        found.update(os.path.normpath(p) for p in places if os.path.isfile(p))
    return found


def names_of_tables(config, has=lambda name: True):
    """Names of tables as a configuration has them, of a certain kind."""
    text = content(config).decode("utf-8", "replace")
    raws = re.findall(r"""\bsrc:\s*("[^"]*"|'[^']*'|[^,}\s]+)""", text)
    return sorted({name for raw in raws if has(name := raw.strip("\"'"))})


def is_far(name):
    return os.path.isabs(name)


def depends_on_environment(name):
    return re.search(r"[$%]", name) is not None


def search_path(text):
    """The folders that a configuration's search_path names, in either of its two forms."""
    line = re.search(r"^search_path:[ \t]*(.*)$", text, re.MULTILINE)
    if line is None:
        return []
    if value := line.group(1).strip():
        return [f for f in value.strip("[]\"'").replace(",", ":").split(":") if f.strip()]
    lines = re.match(r"(?:\s*-\s*.+\n?)*", text[line.end() :]).group()
    return [entry.strip("\"' ") for entry in re.findall(r"-\s*(.+)", lines)]


def unknown_space(settings):
    """The name of a colour space that the configuration lacks; "" for a known one, and for none, as
    pictures have that were never loaded. Blender empties an unknown name by its first letter only.
    """
    raw = ctypes.string_at(settings.as_pointer(), NAME_BYTES)
    name, rest = raw.partition(b"\0")[0], raw[1:].partition(b"\0")[0]
    if name:
        return "" if settings.name else name.decode("utf-8", "replace")
    return "?" + rest.decode("utf-8", "replace") if rest else ""


def colors(shown, config):
    """Findings about a configuration of the artist's own, and about colour spaces that none has."""
    if config:
        where = config["config"]
        message, severity = "", WRONG
        hint = "Unset OCIO before you send, and look at the picture with Blender's own configuration."
        if not config["files"]:
            message = f"Colours are those of OCIO={where}, which is no file and slaves have not"
        elif far := names_of_tables(where, is_far):
            message = f"The colour configuration names tables by absolute paths, which slaves have not: {listed(far)}"
        elif names_of_tables(where, depends_on_environment):
            severity = MAY_DIFFER
            message = (
                "The colour configuration names tables by variables of the environment, which slaves have not"
            )
        else:
            severity, hint = INFO, "Nothing has to be done."
            message = f"Colours are those of OCIO={where}, which is sent along"
        yield finding("color_config", severity, where, message, hint)
    unknown = [
        block
        for blocks in (bpy.data.images, bpy.data.movieclips)
        for block in blocks
        if unknown_space(block.colorspace_settings) and shown.shows(block)
    ]
    if unknown:
        some = listed(f"{title(block)} ({unknown_space(block.colorspace_settings)})" for block in unknown)
        message = (
            f"Colour spaces that Blender's colour configuration has not, so colours would differ: {some}"
        )
        hint = "Set OCIO as it was when the scene was made, or choose another colour space for it, and save."
        yield finding("color_config", WRONG, title(unknown[0]), message, hint)
