# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are named inside other files than .blend files: layers of USD, included OSL.

What lives here: reading such files for names. What does not: what a datablock names
(netrender_trace_files.py). Relative names keep their meaning on slaves, because the artist's
folders are mirrored there; absolute ones cannot be re-pointed.
"""

import os
import re

MOST_BYTES = 64 << 20
USD = (".usd", ".usda", ".usdc")
PICTURES = r"png|jpe?g|exr|tiff?|tga|hdr|tx|bmp|webp|ptex?|dpx"


class Nested:
    """Names inside one file: `files` that exist, names that are `absolute`, names that are
    `missing`, and True as `unread` if it could not be read to the end.
    """

    def __init__(self):
        self.files, self.absolute, self.missing = set(), set(), set()
        self.unread = False

    def note(self, holder, name):
        """Notes a name found in the file `holder`; its path if it is there."""
        if os.path.isabs(name) or re.match(r"[A-Za-z]:[\\/]", name):
            self.absolute.add(name)
        path = os.path.normpath(os.path.join(os.path.dirname(holder), name))
        if not os.path.isfile(path):
            self.missing.add(name)
            return None
        self.files.add(path)
        return path


def read_text(path):
    """(the file's text, True if that is all of it)"""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError:
        return "", False
    return data[:MOST_BYTES].decode("utf-8", "replace"), len(data) <= MOST_BYTES


def of_usd(top):
    """Files that a USD file names: by USD's own library where this Blender has it, else by reading the
    files of text.
    """
    found = Nested()
    if top.lower().endswith(".usdz"):
        return found  # an archive that holds all
    try:
        from pxr import UsdUtils
    except ImportError:
        return by_reading(top, found)
    layers, assets, unresolved = UsdUtils.ComputeAllDependencies(top)
    found.files.update(os.path.normpath(layer.realPath) for layer in layers if layer.realPath)
    found.files.update(os.path.normpath(str(a)) for a in assets if os.path.isfile(str(a)))
    found.files.discard(os.path.normpath(top))
    found.missing.update(map(str, unresolved))
    for layer in layers:
        names = layer.GetExternalReferences() if hasattr(layer, "GetExternalReferences") else ()
        found.absolute.update(name for name in names if os.path.isabs(name))
    found.absolute.update(str(n) for n in unresolved if os.path.isabs(str(n)))
    return found


def by_reading(top, found):
    waiting, seen = [top], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.lower().endswith(USD):
            continue  # textures and the like
        text, is_whole = read_text(path)
        if not text.startswith("#usda"):
            found.unread = True
            continue
        found.unread |= not is_whole
        for name in re.findall(r"@@@(.+?)@@@|@([^@\n]+)@", text):
            waiting.append(found.note(path, name[0] or name[1]))
        waiting = [each for each in waiting if each]
    return found


def of_osl(top):
    """Files that an OSL file includes, and pictures that its texts name."""
    found = Nested()
    waiting, seen = [top], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        text, is_whole = read_text(path)
        found.unread |= not is_whole
        names = includes(text)
        inside = [found.note(path, name) for name in names if name not in found.missing]
        # A header that does not lie beside it is one of Blender's own.
        found.missing.difference_update(name for name in names if not os.path.isabs(name))
        waiting.extend(filter(None, inside))
        for name in pictures(text):
            found.note(path, name)
    return found


def includes(text):
    return re.findall(r"""^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]""", text, re.MULTILINE)


def pictures(text):
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.findall(rf'"([^"\n]+\.(?:{PICTURES}))"', code, re.IGNORECASE)
