# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of frames that several slaves render together have in common."""

import numpy

from support import film

SLAVES = ("anna", "ben", "carl")
# Of a picture whose white is 1. Denoising enlarges what rounding leaves.
DENOISED_BOUND = 2e-5


def submit(farm, master, blender, blend, *options):
    address = ["--master", master.url, "--blender", blender.path]
    return farm.cli("submit", blend, *address, "--json", *options).json()["job"]


def shares(*slaves):
    """How many shares each slave rendered."""
    return [len(slave.lines("rendered job=")) for slave in slaves]


def assert_same(merged, local, bound=2e-6):
    """Cycles adds samples up in single precision: beyond some hundreds it is the direct film that rounds."""
    ours, theirs = film.read(merged), film.read(local)
    assert ours.keys() == theirs.keys()
    worst = {
        name: float(film.relative_difference(name, ours[name], values).max())
        for name, values in theirs.items()
        if not film.RENDER_TIME.search(name)
    }
    assert {name: amount for name, amount in worst.items() if amount > bound} == {}
    film.assert_not_blank(merged)
    return max(worst.values())


def differences(ours, theirs):
    ours, theirs = film.read(ours), film.read(theirs)
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    found = {}
    for name, values in theirs.items():
        if film.NOT_PICTURE.search(name) or "Crypto" in name:
            continue
        apart = numpy.abs(ours[name].astype("f8") - values.astype("f8"))
        found[name] = float((apart / numpy.maximum(1.0, numpy.abs(values))).max())
    return found
