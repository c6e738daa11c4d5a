# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene that lies elsewhere than on the artist's machine: every path in it is traced and set to the file here. The
pictures are those of a cold local render."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from support import film
from support.paths import SCENES
from support.worker import sent


@pytest.mark.parametrize("loop", [False, True], ids=["nested", "loop"])
def test_linked_scene_of_absolute_paths_moves_whole(blender, worker, tmp_path, loop):
    """Nested libraries, UDIM tiles and a scene that is not the active one, each by an absolute path; with `loop`
    the libraries link each other and one links itself."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    for folder in ("sets", "props", "textures"):
        (artist / folder).mkdir(parents=True)
    blender.run_forked(SCENES / "linked.py", artist, *(["loop"] if loop else []))
    shot = artist / "shot.blend"
    told = blender.trace(shot, "--scene", "Shot")
    assert {Path(f).name for f in told["files"]} == {
        "set.blend",
        "prop.blend",
        "wood.1001.png",
        "wood.1002.png",
    }
    cold = blender.render_cold(shot, 2, tmp_path / "cold.exr")

    artist.rename(slave)
    fields = sent(told, artist, slave)
    assert "ok" in worker.load(slave / "shot.blend", scene="Shot", **fields)
    output = tmp_path / "2.exr"
    assert "ok" in worker.render(2, output)
    film.assert_same_pixels(output, cold)


@pytest.mark.parametrize("loop", [False, True], ids=["nested", "loop"])
def test_relative_libraries_from_a_copy(blender, worker, tmp_path, loop):
    """Nested libraries by relative paths; with `loop` they link each other and one links itself."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    for folder in ("sets", "props", "textures"):
        (artist / folder).mkdir(parents=True)
    blender.run_forked(SCENES / "linked.py", artist, "relative", *(["loop"] if loop else []))
    shot = artist / "shot.blend"
    in_place = blender.trace(shot)

    # When it is traced from a copy in some temporary folder
    copy = tmp_path / "deep" / "down" / "copy.blend"
    copy.parent.mkdir(parents=True)
    shutil.copy(shot, copy)
    told = blender.trace(copy, "--source", shot)

    # Then nothing is different, even what Blender calls each path
    assert told == in_place
    assert told["missing"] == []
    names = {Path(f).name for f in told["files"]}
    assert names == {"set.blend", "prop.blend", "wood.1001.png", "wood.1002.png"}
    library, raw = str(artist / "props" / "prop.blend"), "//../textures/wood.<UDIM>.png"
    wood = next(p for p in told["paths"] if p["kind"] == "image")
    assert (wood["library"], wood["raw"], wood["found"]) == (library, raw, 2)
    assert wood["path"] == str(artist / "textures" / "wood.<UDIM>.png")

    # And it renders elsewhere as it does here
    cold = blender.render_cold(shot, 2, tmp_path / "cold.exr")
    artist.rename(slave)
    assert "ok" in worker.load(slave / "shot.blend", scene="Shot", **sent(told, artist, slave))
    assert "ok" in worker.render(2, tmp_path / "2.exr")
    film.assert_same_pixels(tmp_path / "2.exr", cold)


def test_libraries_need_not_lie_as_they_did(blender, worker, tmp_path):
    """Relative paths between files that lie in other folders here than on the artist's machine."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    for folder in ("sets", "props", "textures"):
        (artist / folder).mkdir(parents=True)
    blender.run_forked(SCENES / "linked.py", artist, "relative")
    shot = artist / "shot.blend"
    told = blender.trace(shot)
    cold = blender.render_cold(shot, 1, tmp_path / "cold.exr")
    fields = sent(told, artist, slave)
    for number, name in enumerate(("sets", "props", "textures")):
        old, new = f"{slave}/{name}/", f"{slave}/{number}/deep/"
        fields["files"] = {key: path.replace(old, new) for key, path in fields["files"].items()}
        fields["paths"] = [
            [library.replace(old, new), raw, path.replace(old, new), must]
            for library, raw, path, must in fields["paths"]
        ]
    for path, here in fields["files"].items():
        Path(here).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, here)
    (slave / "main").mkdir()
    shot.rename(slave / "main" / "shot.blend")
    shutil.rmtree(artist)
    assert "ok" in worker.load(slave / "main" / "shot.blend", scene="Shot", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    film.assert_same_pixels(tmp_path / "1.exr", cold)


def test_a_sequence_and_caches_from_a_copy(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    raw = "//textures/made.0001.png"
    blend = blender.build_one(
        artist, raw, "sequence", "extra=//notes", "extra=//gone.txt", "extra=//one.ocio"
    )
    cache = artist / "blendcache_one" / "deep"
    cache.mkdir(parents=True)
    (cache / "cloth_000001_00.bphys").write_bytes(b"cloth")
    (artist / "notes").mkdir()
    (artist / "notes" / "a.txt").write_text("by hand")
    (artist / "notes" / "again").symlink_to(artist / "notes")
    (artist / "one.ocio").write_text("by hand")
    copy = tmp_path / "copy" / "other name.blend"
    copy.parent.mkdir()
    shutil.copy(blend, copy)

    told = blender.trace(copy, "--source", blend)
    assert told == blender.trace(blend)
    frames = [artist / "textures" / f"made.000{n}.png" for n in (1, 2, 3)]
    by_hand = [artist / "notes" / "a.txt", artist / "one.ocio"]
    cached = cache / "cloth_000001_00.bphys"
    assert told["files"] == sorted(map(str, [*frames, *by_hand, cached]))
    gone = {"path": str(artist / "gone.txt"), "kind": "added by hand", "user": "First"}
    assert told["missing"] == [{**gone, "why": "No such file or directory"}]
    assert [(p["raw"], p["found"]) for p in told["paths"]] == [(raw, 3)]

    cold = blender.render_cold(blend, 2, tmp_path / "cold.exr")
    artist.rename(slave)
    assert "ok" in worker.load(slave / "one.blend", **sent(told, artist, slave))
    assert "ok" in worker.render(2, tmp_path / "2.exr")
    film.assert_same_pixels(tmp_path / "2.exr", cold)


def test_backslashes_in_a_relative_path(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures\\made.png")
    told = blender.trace(blend)
    assert told["files"] == [str(artist / "textures" / "made.png")]
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    artist.rename(slave)
    fields = sent(told, artist, slave)
    fields["paths"][0][1] = "//textures\\made.png"  # as Blender on Windows has it
    (slave / "textures").rename(slave / "elsewhere")
    fields["paths"][0][2] = str(slave / "elsewhere" / "made.png")
    fields["files"] = dict.fromkeys(fields["files"], fields["paths"][0][2])
    assert "ok" in worker.load(slave / "one.blend", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    film.assert_same_pixels(tmp_path / "1.exr", cold)


@pytest.mark.skipif(os.sep != "/", reason="there it is a path like any other")
@pytest.mark.parametrize("exactly", [True, False], ids=["as told", "by the artist's path"])
def test_windows_paths_mean_what_they_say(blender, worker, tmp_path, exactly):
    """`C:\\proj\\a.png` is neither `/proj/a.png` nor `/c/proj/a.png`."""
    blend = blender.build_one(tmp_path / "artist")
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    raw = "C:\\proj\\tex\\a.png"
    blend = blender.build_one(tmp_path / "windows", raw)
    told = blender.trace(blend)
    missing = {"path": raw, "kind": "image", "user": "made.png"}
    assert told["missing"] == [{**missing, "why": "a Windows path, and this is not Windows"}]
    assert [(p["path"], p["found"]) for p in told["paths"]] == [(raw, 0)]

    here, wrong = tmp_path / "slave" / "a.png", tmp_path / "slave" / "wrong.png"
    here.parent.mkdir()
    shutil.copy(blend.parent / "textures" / "made.png", here)
    wrong.write_bytes(b"not this one")
    files = {"/proj/tex/a.png": str(wrong), "/c/proj/tex/a.png": str(wrong)}
    paths = [["", "/proj/tex/a.png", str(wrong), True], ["", "/c/proj/tex/a.png", str(wrong), True]]
    if exactly:
        paths.append(["", raw, str(here), True])
    else:
        files["c:/Proj/tex/A.png"] = str(here)
    source = "C:\\proj\\one.blend"
    assert "ok" in worker.load(blend, files, paths, source=source)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    film.assert_same_pixels(tmp_path / "1.exr", cold)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_name_that_is_not_utf8(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures/m\udcffde.png", picture="m\udcffde.png")
    told = blender.trace(blend)
    assert told["files"] == [f"{artist}/textures/m\U0010dcffde.png"]
    assert [(p["raw"], p["found"]) for p in told["paths"]] == [("//textures/m\U0010dcffde.png", 1)]
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    artist.rename(slave)
    (slave / "textures").rename(slave / "elsewhere")
    here = str(slave / "elsewhere" / "m\udcffde.png")
    fields = sent(told, artist, slave)
    fields["files"] = dict.fromkeys(fields["files"], here)
    fields["paths"][0][2] = here
    assert "ok" in worker.load(slave / "one.blend", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    film.assert_same_pixels(tmp_path / "1.exr", cold)


def test_the_rarer_kinds_of_files(blender, worker, tmp_path):
    """Each is found, and re-pointed when the .blend no longer lies beside them; load refuses otherwise."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    artist.mkdir()
    said = blender.run_forked(SCENES / "paths_rare.py", artist)
    made = sorted(line.partition(" ")[2] for line in said.splitlines() if line.startswith("MADE "))
    assert len(made) >= 10
    told = blender.trace(artist / "rare.blend")
    assert told["files"] == [f"{artist}/{path}" for path in made]
    assert (told["missing"], told["warnings"]) == ([], [])
    # One is the neighbour of a file that a path names, the second frame, and counts there
    assert sum(p["found"] for p in told["paths"]) == len(made)

    (slave / "main").mkdir(parents=True)
    artist.rename(slave / "files")
    (slave / "files" / "rare.blend").rename(slave / "main" / "rare.blend")
    fields = sent(told, artist, slave / "files")
    assert "ok" in worker.load(slave / "main" / "rare.blend", **fields)


def test_a_file_that_vanished_is_named_before_rendering(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures/made.png")
    told = blender.trace(blend)
    artist.rename(slave)
    (slave / "textures" / "made.png").unlink()
    fields = sent(told, artist, slave)
    error = worker.load(slave / "one.blend", **fields)["error"]
    assert error["kind"] == "missing_file"
    for named in ("//textures/made.png", f"{artist}/textures/made.png", "Image 'made.png'", "Send the job"):
        assert named in error["message"]
    assert worker.render(1, tmp_path / "1.exr")["error"]["kind"] == "not_loaded"

    # One that the artist had not either is let be
    fields["paths"][0][3] = False
    assert "ok" in worker.load(slave / "one.blend", source=fields["source"], paths=fields["paths"])


def test_a_slaves_own_files_are_opened_by_no_path(blender, worker, tmp_path):
    # Given a scene that names files by absolute paths, of which the job has none, but this machine all
    there, here = tmp_path / "there", tmp_path / "here"
    blender.run_forked(SCENES / "everything.py", there, "absolute")
    (project,) = (path.parent.parent for path in there.rglob("shot.blend"))
    here.mkdir()
    blend = here / "shot.blend"
    shutil.copy(project / "scenes" / "shot.blend", blend)
    told = {"source": str(project / "scenes" / "shot.blend"), "scratch": str(here / "scratch")}
    # A library of its own is refused in words: Blender has opened it with the scene
    error = worker.load(blend, **told)["error"]
    assert error["kind"] == "missing_file"
    assert "it is no file of the job, but one of this machine's own" in error["message"]
    for folder in ("sets", "props"):
        shutil.rmtree(project / folder)
    # When a frame is rendered
    with_files = blender.render_cold(blend, 9, tmp_path / "with.exr")
    assert "ok" in worker.load(blend, **told)
    output = tmp_path / "9.exr"
    assert "ok" in worker.render(9, output)
    # Then it is what Blender makes of the scene where there are none of these files
    there.rename(tmp_path / "gone")
    without_files = blender.render_cold(blend, 9, tmp_path / "without.exr")
    film.assert_same_pixels(output, without_files)
    assert film.difference(with_files, without_files) > 0.1


def test_stereo_pictures_come_along(blender, worker, tmp_path):
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blend = blender.build_one(artist, "//textures/made_L.png", "stereo")
    told = blender.trace(blend)
    assert [Path(f).name for f in told["files"]] == ["made_L.png", "made_R.png"]
    cold = blender.render_cold(blend, 1, tmp_path / "cold.exr")
    artist.rename(slave)
    (slave / "textures").rename(slave / "elsewhere")
    fields = sent(told, artist, slave / "elsewhere")
    fields["files"] = {key: path.replace("/textures", "") for key, path in fields["files"].items()}
    fields["paths"][0][2] = fields["paths"][0][2].replace("/textures", "")
    assert "ok" in worker.load(slave / "one.blend", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    film.assert_same_pixels(tmp_path / "1.exr", cold)


def test_files_that_plain_texts_name_are_found_elsewhere(blender, worker, tmp_path):
    """Inputs of a modifier and of a group in its nodes, which hold absolute paths."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    blender.run_forked(SCENES / "paths_text.py", artist)
    told = blender.trace(artist / "text.blend")
    meshes = [str(artist / "meshes" / name) for name in ("high.obj", "low.obj")]
    assert told["files"] == meshes
    assert [(path["raw"], path["found"]) for path in told["paths"]] == [(mesh, 1) for mesh in meshes]
    assert told["findings"] == []
    cold = blender.render_cold(artist / "text.blend", 1, tmp_path / "cold.exr")
    artist.rename(slave)
    (slave / "meshes").rename(slave / "elsewhere")
    fields = sent(told, artist, slave)
    fields["files"] = {key: path.replace("/meshes/", "/elsewhere/") for key, path in fields["files"].items()}
    fields["paths"] = [
        [a, b, path.replace("/meshes/", "/elsewhere/"), must] for a, b, path, must in fields["paths"]
    ]
    assert "ok" in worker.load(slave / "text.blend", **fields)
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    film.assert_same_pixels(tmp_path / "1.exr", cold)


def test_a_shader_that_was_changed_since_it_was_compiled_counts_as_it_is(blender, worker, tmp_path):
    """With the file that it includes. A Blender without OSL renders the cube black, and so does the farm."""
    artist, slave = tmp_path / "artist", tmp_path / "slave"
    artist.mkdir()
    source, header, compiled = (artist / name for name in ("glow.osl", "glow.h", "glow.oso"))
    source.write_text(
        '#include "glow.h"\nshader glow(output closure color C = 0) { C = emission() * TINT; }\n'
    )
    header.write_text("#define TINT color(1, 0, 0)\n")
    blender.run_forked(SCENES / "shader.py", artist)
    blender.render_cold(artist / "shader.blend", 1, tmp_path / "red.exr")  # compiles it beside its source
    compiled.touch()
    os.utime(compiled, (1e9, 1e9))
    header.write_text("#define TINT color(0, 1, 0)\n")

    told = blender.trace(artist / "shader.blend")
    assert told["files"] == [str(header), str(source)]
    shutil.copytree(artist, slave, ignore=shutil.ignore_patterns("*.oso"))
    (slave / "glow.osl").touch()
    green = blender.render_cold(artist / "shader.blend", 1, tmp_path / "green.exr")
    assert film.difference(green, tmp_path / "red.exr") > 0.5 or compiled.stat().st_size == 0
    assert "ok" in worker.load(slave / "shader.blend", **sent(told, artist, slave))
    assert "ok" in worker.render(1, tmp_path / "1.exr")
    film.assert_same_pixels(tmp_path / "1.exr", green)
