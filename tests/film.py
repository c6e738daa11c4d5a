# SPDX-License-Identifier: GPL-3.0-or-later
"""Films seen by the reference OpenEXR library, not by our own reader."""

import re

import numpy
import OpenEXR

# Passes that tell about the machine and not about the picture.
NOT_PICTURE = re.compile(r"(Render Time|Debug .*)(\.|$)")


def in_folder(folder):
    """{frame: path} of the EXRs that a download left."""
    return {int(re.search(r"(-?\d+)\.exr$", path.name).group(1)): path for path in folder.rglob("*.exr")}


def read(path):
    """{(layer.pass.channel): array} over every part; a part's name is not part of a channel's name."""
    channels = {}
    with OpenEXR.File(str(path), separate_channels=True) as film:
        for part in film.parts:
            for name, channel in part.channels.items():
                # Blender 5 names the parts after layer and pass and may leave both out of the channel's name.
                full = name if "." in name else f"{part.name()}.{name}"
                assert full not in channels, f"{full} twice in {path}"
                channels[full] = channel.pixels
    assert channels, f"{path} has no channel"
    return channels


def difference(one, other):
    """Largest absolute difference over all channels of all parts; NaN equals NaN and infinity itself."""
    ours, theirs = read(one), read(other)
    assert ours.keys() == theirs.keys(), sorted(ours.keys() ^ theirs.keys())
    worst = 0.0
    for name, values in ours.items():
        if NOT_PICTURE.search(name):
            continue
        expected = theirs[name]
        assert values.shape == expected.shape, f"{name}: {values.shape} and {expected.shape}"
        assert values.dtype == expected.dtype, f"{name}: {values.dtype} and {expected.dtype}"
        same = (values == expected) | (numpy.isnan(values) & numpy.isnan(expected))
        if same.all():
            continue
        apart = numpy.abs(values.astype("f8") - expected.astype("f8"))[~same]
        worst = max(worst, float(numpy.nan_to_num(apart, nan=numpy.inf).max()))
    return worst


def assert_same_film(ours, local):
    assert difference(ours, local) == 0.0, f"{ours} differs from {local}"
    assert_not_blank(ours)


def assert_not_blank(path):
    colors = [v for name, v in read(path).items() if re.search(r"Combined\.[RGB]$", name)]
    assert colors, f"{path} has no Combined pass"
    assert max(float(c.std()) for c in colors) > 1e-3, f"{path} is blank"
