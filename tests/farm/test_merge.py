# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame rendered by real Blenders at once and in parts of its samples: the merged parts are the direct film."""

import re
import subprocess

import numpy
import pytest

from support import film
from support.paths import ROOT, SCENES

TOTAL, BACK = 64, 40
CUTS = ["0+25,25+39", "0+10,10+33,43+21", "0+6,6+4,10+7,17+5,22+12,34+9,43+4,47+17"]
EXAMPLE = ROOT / "target" / "debug" / "examples" / "merge"
LIGHT = re.compile(
    r"(.*\.(?:Diff|Gloss|Trans|Diffuse |Glossy |Transmission ))(Dir|Ind|Direct|Indirect)(\.\w)$"
)
CRYPTOMATTE = re.compile(r"(.*\.Crypto\w+)(\d\d)\.([rgba])$", re.IGNORECASE)


@pytest.fixture(scope="module")
def merge():
    """The example program of the crate that merges."""
    subprocess.run(
        ["cargo", "build", "--quiet", "--package", "netrender-film", "--example", "merge"],
        check=True,
        cwd=ROOT,
    )

    def run(blender, out, parts, *options):
        # scenes/samples.py asks for the property; here the version tells whether it is there.
        subset = ["--subset"] if blender.version >= (5,) else []
        command = [EXAMPLE, out, "--samples", TOTAL, "--layer", f"Back={BACK}", *subset, *options, *parts]
        subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
        return out

    return run


def colour_of(light):
    """The name of the channel that a channel of light is divided by."""
    match = LIGHT.match(light)
    return match and f"{match[1]}{'Color' if match[1].endswith(' ') else 'Col'}{match[3]}"


def coverages(channels):
    """{cryptomatte: {id: its coverage in each pixel}}"""
    found = {}
    for name, ids in channels.items():
        match = CRYPTOMATTE.match(name)
        if not match or match[3].lower() not in "rb":
            continue
        other = {"r": "g", "b": "a", "R": "G", "B": "A"}[match[3]]
        amount = channels[f"{match[1]}{match[2]}.{other}"]
        bits = numpy.ascontiguousarray(ids).view("u4")
        matte = found.setdefault(match[1], {})
        for number in numpy.unique(bits[amount > 0]):
            matte.setdefault(int(number), numpy.zeros(ids.shape))
            matte[int(number)] += numpy.where(bits == number, amount, 0)
    return found


def differences(merged, full, parts):
    """{channel or Cryptomatte: its largest difference} of all that Blender renders the same twice."""
    ours, theirs = film.read(merged), film.read(full)
    assert ours.keys() == theirs.keys()
    worst = {}
    for name, values in theirs.items():
        assert ours[name].dtype == values.dtype
        if film.RENDER_TIME.search(name) or CRYPTOMATTE.match(name):
            continue
        pixels = film.relative_difference(name, ours[name], values)
        if ".Mist." in name:
            # Cycles clips it, which the average of parts cannot undo.
            pixels = numpy.where(numpy.abs(ours[name] - values) < 0.1, 0, pixels)
        if colour := colour_of(name):
            # 3.4 writes light that came by way of a volume where the surface's colour is black. In a part with no
            # other sample of that surface it is lost.
            assert (pixels > 2e-6).mean() < 0.01, name
            pixels[numpy.any([part[colour] == 0 for part in parts], axis=0)] = 0
        worst[name] = float(pixels.max())
    our_mattes, their_mattes = coverages(ours), coverages(theirs)
    assert our_mattes.keys() == their_mattes.keys()
    for name, matte in their_mattes.items():
        assert matte, f"nothing is in {name}"
        assert matte.keys() == our_mattes[name].keys()
        worst[name] = max(
            float(numpy.abs(our_mattes[name][number] - matte[number]).max()) for number in matte
        )
    return worst


def is_exact(name):
    return re.search(r"\.(Depth|Position|Index\w\w|Object Index|Material Index)\.", name)


def assert_same(merged, full, parts):
    """Returns the largest relative difference of a picture."""
    worst = differences(merged, full, parts)
    wrong = {name: apart for name, apart in worst.items() if apart > (0 if is_exact(name) else 2e-6)}
    assert wrong == {}
    return max(apart for name, apart in worst.items() if "Combined" in name)


def test_parts_of_a_frame_are_the_frame(any_blender, merge, tmp_path, record_property):
    # Given the frame rendered at once and in two, three and eight parts, of which some have no samples of a layer
    any_blender.run(SCENES / "samples.py", tmp_path, TOTAL, BACK, *CUTS)
    full = tmp_path / "full.exr"
    film.assert_not_blank(full)
    # Then the parts, merged, are the frame
    for cut in CUTS:
        shares = cut.split(",")
        films = [film.read(tmp_path / f"{share}.exr") for share in shares]
        parts = [f"{share}={tmp_path / share}.exr" for share in shares]
        merged = merge(any_blender, tmp_path / "merged.exr", parts)
        record_property(f"{len(parts)} parts", f"{assert_same(merged, full, films):.1e}")

    # And so are sums of sums: a slave's own parts, two that came late, both together, and the rest
    one = merge(any_blender, tmp_path / "one.exr", [parts[2], parts[0], parts[5]], "--sum", "--codec", "NONE")
    late = merge(any_blender, tmp_path / "late.exr", [parts[7], parts[4]], "--sum")
    half = merge(any_blender, tmp_path / "half.exr", [f"22+12,47+17={late}", f"0+6,10+7,34+9={one}"], "--sum")
    rest = [parts[1], parts[3], parts[6], f"0+6,10+7,22+12,34+9,47+17={half}"]
    merged = merge(any_blender, tmp_path / "merged.exr", rest)
    record_property("sums of sums", f"{assert_same(merged, full, films):.1e}")


def test_light_below_the_skin_is_merged(any_blender, merge, tmp_path, record_property):
    shares = CUTS[1].split(",")
    any_blender.run(SCENES / "samples.py", tmp_path, TOTAL, BACK, "skin", CUTS[1])
    films = [film.read(tmp_path / f"{share}.exr") for share in shares]
    merged = merge(
        any_blender, tmp_path / "merged.exr", [f"{share}={tmp_path / share}.exr" for share in shares]
    )
    record_property("3 parts", f"{assert_same(merged, tmp_path / 'full.exr', films):.1e}")


def test_both_eyes_are_merged(any_blender, merge, tmp_path):
    shares = ["0+41", "41+23"]
    any_blender.run(SCENES / "samples.py", tmp_path, TOTAL, BACK, "stereo", ",".join(shares))
    merged = merge(
        any_blender, tmp_path / "merged.exr", [f"{share}={tmp_path / share}.exr" for share in shares]
    )
    ours, theirs = film.read_views(merged), film.read_views(tmp_path / "full.exr")
    assert ours.keys() == theirs.keys()
    pictures = {key: values for key, values in theirs.items() if "ViewLayer.Combined." in key[1]}
    assert len(pictures) == 8
    assert len({values.tobytes() for (_, name), values in pictures.items() if name.endswith("R")}) == 2
    for (view, name), values in theirs.items():
        if "Combined" in name or is_exact(name):
            worst = film.relative_difference(name, ours[view, name], values).max()
            assert worst <= (0 if is_exact(name) else 2e-6), f"{name} of {view}"
