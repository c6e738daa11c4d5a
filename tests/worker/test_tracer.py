# SPDX-License-Identifier: GPL-3.0-or-later
"""Our tracer against two others: the Blender Asset Tracer, which reads .blend files without Blender, and
Blender's own list. What they find and what the builder made, ours must find too."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.blender import PATIENCE_S
from support.paths import ADDON, SCENES

TRACE = ADDON / "trace" / "netrender_trace.py"

# {blend: [paths], or why it failed}; a path that names several files is expanded by the tracer itself.
ASSET_TRACER = """
import json, sys
from pathlib import Path
from blender_asset_tracer import trace

found = {}
for blend in sys.argv[1:]:
    try:
        paths = {str(path) for usage in trace.deps(Path(blend)) for path in usage.files()}
    except Exception as error:
        found[blend] = f"{type(error).__name__}: {error}"
    else:
        found[blend] = sorted(paths)
print("FOUND", json.dumps(found))
"""

BLENDERS_LIST = """
import json, sys
import bpy

found = {}
bundled = [bpy.utils.resource_path(kind) for kind in ("LOCAL", "SYSTEM")]
for blend in sys.argv[sys.argv.index("--") + 1 :]:
    try:
        bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=False)
    except RuntimeError as error:
        print(error)
    paths = bpy.utils.blend_paths(absolute=True)
    found[blend] = [p for p in paths if not p.startswith(tuple(filter(None, bundled)))]
print("FOUND", json.dumps(found))
"""


def lines(word, text):
    return [line[len(word) :].strip() for line in text.splitlines() if line.startswith(word)]


def build_all(blender, folder):
    """{kind: files} of every kind this Blender can make."""
    folder.mkdir()
    told = blender.run_forked(SCENES / "kinds.py", folder, "all")
    for line in lines("SKIP ", told):
        print(f"{blender} makes no {line}")
    made = (line.split(": ", 1) for line in lines("MADE ", told))
    return {kind: set(json.loads(files)) for kind, files in made}


def files_at(paths):
    """The files that are really there: normalised, folders opened."""
    found = set()
    for path in map(Path, paths):
        if not path.is_absolute():
            continue  # Blender's list has an empty path for each cache that is not external
        if path.is_dir():
            found.update(p for p in path.rglob("*") if p.is_file())
        elif path.is_file():
            found.add(path)
    return {str(path.resolve()) for path in found}


def ask_ours(blender, blend, out):
    blender.run_forked(TRACE, blend, out)
    told = json.loads(out.read_text())
    assert "error" not in told, f"{blend}: {told['error']}"
    return set(told["files"])


def ask_asset_tracer(blends):
    command = [sys.executable, "-c", ASSET_TRACER, *map(str, blends)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(lines("FOUND", done.stdout)[-1])


def ask_blender(blender, blends, script):
    script.write_text(BLENDERS_LIST)
    return json.loads(lines("FOUND", blender.run_forked(script, *blends))[-1])


def test_nothing_another_tracer_finds_is_missed(any_blender, tmp_path, record_property):
    # Given a project of every kind of external file
    began = time.monotonic()
    folder = (tmp_path / "kinds").resolve()
    made = build_all(any_blender, folder)
    assert len(made) > 30, f"only {sorted(made)}"
    blends = {kind: folder / f"{kind}.blend" for kind in made}
    built = time.monotonic()

    # When all three are asked what belongs to it
    ours = {kind: ask_ours(any_blender, blend, tmp_path / f"{kind}.json") for kind, blend in blends.items()}
    traced = time.monotonic()
    theirs = ask_asset_tracer(blends.values())
    blenders_own = ask_blender(any_blender, blends.values(), tmp_path / "list.py")

    # Then ours has what the others have, and everything there is
    print(f"\n{any_blender}: built in {built - began:.1f} s, traced in {traced - built:.1f} s")
    print("| kind | there | ours | BAT | blend_paths | missed by us |\n|-|-|-|-|-|-|")
    missed = {}
    failures = 0
    for kind, blend in blends.items():
        itself = str(blend)
        answer = theirs[itself]
        if failed := isinstance(answer, str):
            failures += 1
            print(f"BAT fails on {kind}: {answer}")
            answer = []
        bat, own = (files_at(paths) - {itself} for paths in (answer, blenders_own[itself]))
        missed[kind] = sorted((made[kind] | bat | own) - ours[kind])
        print(
            f"| {kind} | {len(made[kind])} | {len(made[kind] & ours[kind])} | "
            f"{'fails' if failed else len(made[kind] & bat)} | {len(made[kind] & own)} | "
            f"{', '.join(Path(p).name for p in missed[kind][:5]) or '-'} |"
        )
    record_property("kinds", len(made))
    record_property("files", sum(map(len, made.values())))
    record_property("other_tracer_fails", failures)
    record_property("missed", sum(map(len, missed.values())))
    assert not {kind: files for kind, files in missed.items() if files}
    # And asks for nothing that is not this project's
    strangers = {f for found in ours.values() for f in found if not f.startswith(f"{folder}/")}
    assert not strangers


def test_trace_describes_a_file(blender, tmp_path):
    blend = blender.build_small(tmp_path / "artist")
    told = blender.trace(blend, "--scene", "Small")
    assert told["source"] == str(blend)
    assert (told["scene"], told["scenes"], told["engine"]) == ("Small", ["Small"], "CYCLES")
    assert (told["frames"], told["width"], told["height"]) == ("1-10x2", 16, 12)
    assert (told["has_camera"], told["denoise"]) == (True, False)
    texture = str(blend.parent / "textures" / "made.png")
    assert told["files"] == [texture]
    slot = {"library": "", "raw": texture, "path": texture, "kind": "image", "user": "made.png", "found": 1}
    assert (told["paths"], told["scripts"]) == ([slot], [])
    assert (told["missing"], told["unsaved_images"], told["warnings"]) == ([], [], [])


def test_trace_names_missing_files_and_bad_ones(blender, tmp_path):
    blend = blender.build_small(tmp_path / "artist", "no-camera", "denoise")
    texture = blend.parent / "textures" / "made.png"
    texture.unlink()
    told = blender.trace(blend)
    why = "No such file or directory"
    assert told["missing"] == [{"path": str(texture), "kind": "image", "user": "made.png", "why": why}]
    assert [slot["found"] for slot in told["paths"]] == [0]
    assert (told["files"], told["has_camera"], told["denoise"]) == ([], False, True)

    scene = SCENES / "small.py"
    error = blender.trace(scene)["error"]
    assert error["kind"] == "cannot_open"
    assert str(scene) in error["message"]


def test_a_folder_of_very_many_files(blender, tmp_path):
    blend = blender.build_one(tmp_path / "artist", None, "extra=//many")
    many = blend.parent / "many"
    many.mkdir()
    for number in range(100_000):
        (many / f"{number}.txt").touch()
    began = time.monotonic()
    told = blender.trace(blend)
    assert len(told["files"]) == 100_001
    assert time.monotonic() - began < 20
    shutil.rmtree(many)


@pytest.mark.skipif(os.sep != "/", reason="links need rights there")
def test_a_loop_of_links_is_missing_and_says_why(blender, tmp_path):
    blend = blender.build_one(tmp_path / "artist")
    texture = blend.parent / "textures" / "made.png"
    texture.unlink()
    texture.symlink_to(texture)
    told = blender.trace(blend)
    assert told["files"] == []
    assert [(m["path"], m["why"]) for m in told["missing"]] == [
        (str(texture), "Too many levels of symbolic links")
    ]
