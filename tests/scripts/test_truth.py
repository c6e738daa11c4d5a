# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit that people run on their own scenes."""

import importlib
import json
import subprocess

import numpy
import OpenEXR
import pytest

from support.paths import ROOT


def test_an_audit_compares_every_pass_with_what_this_machine_renders(blender_program, tmp_path):
    # Given a scene with a library and several passes
    shots = tmp_path / "shots"
    blender_program.build(shots / "rich.blend", "rich", "frames=1-3")
    there = sorted(shots.rglob("*"))

    # When it is tried, by the name of its folder, with other settings than its own
    command = [ROOT / "scripts" / "truth", shots, "--blender", blender_program.path]
    command += ["--frames", "2", "--samples", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    # Then the frame is the same, and what this machine renders neither is said
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["file"].rpartition("/")[2]: row for row in json.loads(done.stdout)["rows"]}
    found = rows["rich.blend"]
    assert (found["frame"], found["verdict"], found["outcome"]) == (2, "ok", "equal"), rows
    assert rows["ball.blend"]["outcome"] == "skipped"
    assert "camera" in rows["ball.blend"]["reason"]
    # And nothing was written beside the scene
    assert sorted(shots.rglob("*")) == there


@pytest.fixture
def comparison(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts" / "lib")
    return importlib.import_module("truth.comparison")


def test_only_blenders_own_noise_is_no_difference(comparison, tmp_path):
    # Given two local renders that differ in one pass, by Blender's own noise
    def write(name, light, shade):
        channels = {
            f"Layer.{path}.V": numpy.full((2, 2), value, "f4") for path, value in {**light, **shade}.items()
        }
        OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(tmp_path / name))
        return tmp_path / name

    local, again = (write(f"{n}.exr", {"Noisy": 1 + n / 64}, {"Still": 0.5}) for n in (0, 1))

    # Then a film of the farm may be so far off in that pass, and in no other
    def apart(name, *passes):
        found = comparison.compare_films(write(name, *passes), local, again)
        return found.apart, found.difference

    assert apart("near.exr", {"Noisy": 1 + 3 / 64}, {"Still": 0.5}) == ([], 2 / 64)
    assert apart("far.exr", {"Noisy": 1.25}, {"Still": 0.5}) == ([":Layer.Noisy.V"], 15 / 64)
    assert apart("other.exr", {"Noisy": 1}, {"Still": 0.5 + 2**-20}) == ([":Layer.Still.V"], 2**-20)
    assert apart("lacks.exr", {"Noisy": 1}, {}) == ([":Layer.Still.V (not in each film)"], numpy.inf)
    assert apart("nan.exr", {"Noisy": 1}, {"Still": numpy.nan})[1] == numpy.inf

    # And each output file must be there, with the same contents
    for side, files in {
        "farm": {"a": b"1"},
        "local": {"a": b"1", "b": b"2"},
        "again": {"a": b"1", "b": b"2"},
    }.items():
        for name, content in files.items():
            path = tmp_path / side / "0" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    folders = [tmp_path / side for side in ("farm", "local", "again")]
    assert comparison.compare_outputs(*folders).apart == ["b.txt (not written by each)"]
    (tmp_path / "farm" / "0" / "b.txt").write_bytes(b"3")
    assert comparison.compare_outputs(*folders).apart == ["b.txt"]
