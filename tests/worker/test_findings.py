# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracer finds in scenes that a farm may render otherwise than the artist's Blender, and that it makes no
fuss about what changes no frame. Each scene of scenes/verdicts.py says what is to be found in it."""

import json
import os

import pytest

from support.paths import ADDON, SCENES

TRACE = ADDON / "trace" / "netrender_trace.py"


def findings_of(told):
    """[(severity, kind, words)] of all that a trace says, as the client takes it."""
    found = [(f["severity"], f["kind"], f"{f['where']} {f['message']} {f['hint']}") for f in told["findings"]]
    found += [("wrong", "missing", m["path"]) for m in told["missing"]]
    return found + [("wrong", "scripts", reason) for reason in told["scripts"]]


@pytest.fixture(scope="module")
def traced(any_blender, tmp_path_factory):
    """{name: (what is to be found, what was)}"""
    folder = tmp_path_factory.mktemp("verdicts")
    any_blender.run_forked(SCENES / "verdicts.py", folder)
    expected = json.loads((folder / "expected.json").read_text())
    return {
        name: (wanted, json.loads((folder / f"{name}.json").read_text())) for name, wanted in expected.items()
    }


def test_each_scene_is_found_to_be_what_it_is(traced):
    wrong = {}
    for name, ((severity, kind, words), told) in traced.items():
        assert "error" not in told, f"{name}: {told}"
        found = findings_of(told)
        # What is there to be found comes first by its weight, and nothing of more weight is there
        heaviest = [f for f in found if f[0] != "info"] or found
        is_right = not found if not kind else heaviest and heaviest[0][:2] == (severity, kind)
        if not is_right or not any(words in f[2] for f in heaviest or [("", "", "")]):
            wrong[name] = found
    assert not wrong
    assert sum(severity == "info" for (severity, _, _), _ in traced.values()) >= 20
    assert sum(severity == "wrong" for (severity, _, _), _ in traced.values()) >= 20


def test_what_other_files_name_is_sent_and_of_a_shader_what_blender_reads(traced):
    told = traced["shaders_that_include_others"][1]
    names = [path.partition("/shaders/")[2] for path in told["files"]]
    assert names == ["changed.osl", "compiled.oso", "deep/second.h", "first.h", "touched.oso"]
    assert {path["raw"].rpartition("/")[2]: path["found"] for path in told["paths"]} == {
        "changed.osl": 1,
        "compiled.osl": 0,
        "touched.osl": 0,
    }
    told = traced["usd_with_layers"][1]
    assert [path.partition("/usd/")[2] for path in told["files"]] == [
        "branch.usda",
        "deep/leaf.usda",
        "root.usda",
    ]


def test_the_engine_that_the_add_on_keeps_is_taken_for_its_own(traced):
    assert traced["the_add_ons_engine_in_every_scene"][1]["engine"] == "CYCLES"
    # And another one that is not there stays what it is
    assert traced["an_engine_that_is_not_there"][1]["engine"] == "STRANGE"


CONFIGURATION = """ocio_profile_version: 1
search_path: luts
roles: {default: raw, scene_linear: raw, color_picking: raw, data: raw}
displays:
  sRGB:
    - !<View> {name: Standard, colorspace: shown}
colorspaces:
  - !<ColorSpace>
    name: raw
    isdata: true
  - !<ColorSpace>
    name: shown
    from_reference: !<FileTransform> {src: shown.spi1d, interpolation: linear}
"""


def test_a_colour_configuration_of_ones_own_is_named_with_its_tables(blender, tmp_path):
    config, table = tmp_path / "studio" / "config.ocio", tmp_path / "studio" / "luts" / "shown.spi1d"
    table.parent.mkdir(parents=True)
    config.write_text(CONFIGURATION)
    table.write_text("Version 1\nFrom 0 1\nLength 2\nComponents 1\n{\n0\n1\n}\n")
    (table.parent / "unused.spi1d").touch()
    blend, out = blender.build_small(tmp_path / "artist"), tmp_path / "told.json"
    blender.run(TRACE, blend, out, env={**os.environ, "OCIO": str(config)})
    told = json.loads(out.read_text())
    assert told["ocio"] == {"config": str(config), "files": [str(config), str(table)]}
    assert {str(config), str(table)} < set(told["files"])
    found = told["findings"][0]
    assert (found["severity"], found["kind"], found["where"]) == ("info", "color_config", str(config))
    assert blender.trace(blend)["ocio"] is None
