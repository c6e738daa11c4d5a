# SPDX-License-Identifier: GPL-3.0-or-later
"""Films as the reference OpenEXR library reads them, not our own reader; and how far two of them differ."""

import re

import numpy
import OpenEXR

from support.text import found

RENDER_TIME = re.compile(r"\.(Debug )?Render Time\.")
# Passes that tell about the machine and not about the picture.
NOT_PICTURE = re.compile(r"(Render Time|Debug .*)(\.|$)")


def in_folder(folder):
    """{frame: path} of the EXRs that a download left."""
    return {int(found(r"(-?\d+)\.exr$", path.name)[1]): path for path in folder.rglob("*.exr")}


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


def relative_difference(name, ours, theirs):
    """Relative difference of each pixel; a small value is compared with what rounding leaves of larger ones."""
    ours, theirs = ours.astype("f8"), theirs.astype("f8")
    assert numpy.isfinite(ours).all(), name
    return numpy.abs(ours - theirs) / numpy.maximum(numpy.abs(theirs), 1e-3 if "Combined" in name else 0.1)


def read_views(path):
    """{(view, channel): array}; 5.0 names the view in the header only, 3.4 in the channel."""
    with OpenEXR.File(str(path), separate_channels=True) as parts:
        return {
            (part.header.get("view"), name): channel.pixels
            for part in parts.parts
            for name, channel in part.channels.items()
        }


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


def pixels(path):
    """{"part/channel": float array} of every channel."""
    with OpenEXR.File(str(path), separate_channels=True) as film:
        return {
            f"{part.name()}/{name}": channel.pixels
            for part in film.parts
            for name, channel in part.channels.items()
        }


def assert_same_pixels(one, other):
    ours, theirs = pixels(one), pixels(other)
    assert ours.keys() == theirs.keys()
    assert len(ours) >= 4
    for name, values in ours.items():
        assert values.tobytes() == theirs[name].tobytes(), f"{name} differs"
    assert any(values.max() > values.min() for values in ours.values()), "a blank picture proves nothing"


def assert_same_film(ours, local):
    assert difference(ours, local) == 0.0, f"{ours} differs from {local}"
    assert_not_blank(ours)


def assert_not_blank(path):
    colors = [v for name, v in read(path).items() if re.search(r"Combined\.[RGB]$", name)]
    assert colors, f"{path} has no Combined pass"
    assert max(float(c.std()) for c in colors) > 1e-3, f"{path} is blank"
