# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison of a frame of the farm with two local renders of it: every pass of its film, and every output file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy
import OpenEXR

from support.film import NOT_PICTURE
from support.png import pixels

# Two local renders differ by Blender's own noise (threads, GPU); a third may be this many times as far off.
NOISES = 3.0


@dataclass
class Compared:
    """Largest differences over all passes or files, and the names of those that are apart."""

    difference: float = 0.0
    noise: float = 0.0
    apart: list[str] = field(default_factory=list)

    def add(self, name: str, difference: float, noise: float) -> None:
        self.difference = max(self.difference, difference)
        self.noise = max(self.noise, noise)
        if difference > NOISES * noise:
            self.apart.append(name)


def read(film: Path) -> dict[str, numpy.ndarray]:
    """{view:layer.pass.channel: pixels}. Blender 5 may name layer, pass and view in the part's name or header only."""
    channels = {}
    with OpenEXR.File(str(film), separate_channels=True) as file:
        for part in file.parts:
            for name, channel in part.channels.items():
                full = name if "." in name else f"{part.name()}.{name}"
                channels[f"{part.header.get('view') or ''}:{full}"] = channel.pixels
    return channels


def apart(one: numpy.ndarray, other: numpy.ndarray) -> float:
    """Largest absolute difference; NaN equals NaN and infinity itself."""
    if one.shape != other.shape:
        return numpy.inf
    same = (one == other) | (numpy.isnan(one) & numpy.isnan(other))
    if same.all():
        return 0.0
    with numpy.errstate(invalid="ignore"):
        far = numpy.abs(one.astype("f8") - other.astype("f8"))[~same]
    return float(numpy.nan_to_num(far, nan=numpy.inf).max())


def compare_films(ours: Path, local: Path, again: Path) -> Compared:
    found = Compared()
    films = [read(path) for path in (ours, local, again)]
    for name in sorted(set().union(*films)):
        if NOT_PICTURE.search(name):
            continue
        mine, one, other = (film.get(name) for film in films)
        if mine is None or one is None or other is None:
            found.add(f"{name} (not in each film)", numpy.inf, 0.0)
            continue
        found.add(name, min(apart(mine, one), apart(mine, other)), apart(one, other))
    return found


def compare_outputs(ours: Path, local: Path, again: Path) -> Compared:
    """Compares files by their names below their node's folder."""
    found = Compared()
    lists = [outputs(folder) for folder in (ours, local, again)]
    for name in sorted(set().union(*lists)):
        same = [files.get(name, []) for files in lists]
        if len({len(files) for files in same}) > 1:
            found.add(f"{name} (not written by each)", numpy.inf, 0.0)
            continue
        for mine, one, other in zip(*same, strict=True):
            found.add(name, min(file_apart(mine, one), file_apart(mine, other)), file_apart(one, other))
    return found


def outputs(folder: Path) -> dict[str, list[Path]]:
    """{name below the node's folder: files}, those of one name in the order of their contents."""
    found: dict[str, list[Path]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found.setdefault(str(Path(*path.relative_to(folder).parts[1:])), []).append(path)
    return {name: sorted(files, key=lambda path: path.read_bytes()) for name, files in found.items()}


def file_apart(one: Path, other: Path) -> float:
    """How far two files are apart; 0 or infinite for those that are no OpenEXR film."""
    if one.suffix == ".exr":
        ours, theirs = read(one), read(other)
        if ours.keys() != theirs.keys():
            return numpy.inf
        return max((apart(values, theirs[name]) for name, values in ours.items()), default=0.0)
    of = pixels if one.suffix == ".png" else Path.read_bytes
    return 0.0 if of(one) == of(other) else numpy.inf
