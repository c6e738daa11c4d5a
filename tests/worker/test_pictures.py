# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that a worker renders in real Blenders, beside those of a cold local render."""

import shutil

import pytest

from support import film


def mean_of(parts):
    """The pictures that films of some samples of one frame make together: {name: array}.

    `parts` are (film, {view layer: its samples in that film}).
    """
    films = [(film.pixels(path), samples) for path, samples in parts]

    def samples_of(name, samples):
        return next(number for layer, number in samples.items() if f"{layer}." in name)

    return {
        name: sum(channels[name].astype("f8") * samples_of(name, samples) for channels, samples in films)
        / sum(samples_of(name, samples) for _, samples in films)
        for name in films[0][0]
        if "Combined" in name
    }


def test_a_scene_is_rendered_with_the_device_of_the_slave(blender, worker, tmp_path):
    # Given a scene whose artist rendered with a GPU
    blend = blender.build_small(tmp_path / "artist", "gpu")
    cold = blender.render_cold(blend, 3, tmp_path / "cold.exr")
    refused = worker.load(blend, device="CUDA")["error"]
    assert refused["kind"] == "no_device"
    assert "no CUDA device" in refused["message"]
    assert "It has: CPU" in refused["message"]
    refused = worker.load(blend, device="METAL")["error"]
    assert refused["kind"] == "no_device", "that Blender was not even built for"
    # Then the CPU renders it all the same
    assert "ok" in worker.load(blend, device="CPU")
    assert "ok" in worker.render(3, tmp_path / "film.exr")
    film.assert_same_pixels(tmp_path / "film.exr", cold)


def test_warm_frames_equal_cold_local_ones(blender, worker, tmp_path):
    # Given a scene, rendered locally, whose texture then goes to another place
    blend = blender.build_small(tmp_path / "artist", "file-output")
    cold = {f: blender.render_cold(blend, f, tmp_path / f"cold{f}.exr") for f in (3, 7)}
    shutil.rmtree(tmp_path / "artist" / "artist")
    there = blend.parent / "textures" / "made.png"
    here = tmp_path / "slave" / "textures" / "made.png"
    here.parent.mkdir(parents=True)
    there.rename(here)

    # When a worker loads it with the new place
    table = tmp_path / "view.png"
    loaded = worker.load(blend, {str(there): str(here)}, view_table=str(table))["ok"]

    # Then it tells the film's shape and gives the view transform
    assert (loaded["scene"], loaded["engine"]) == ("Small", "CYCLES")
    assert (loaded["width"], loaded["height"]) == (16, 12)
    assert loaded["view_table"] == str(table)
    header = table.read_bytes()[:26]
    assert header[16:26] == (65).to_bytes(4, "big") + (65 * 65).to_bytes(4, "big") + bytes([16, 2])

    # And the frames, in any order and again, are those of the artist's machine
    for frame in (7, 3, 3):
        output = tmp_path / "with {braces} #1" / f"{frame}.exr"
        done = worker.render(frame, output)["ok"]
        assert (done["frame"], done["output"]) == (frame, str(output))
        film.assert_same_pixels(output, cold[frame])
        assert [p.name for p in output.parent.iterdir() if p.name.endswith(".part")] == []

    # And the artist's own folders stay untouched; what the File Output node wrote lies beside the film
    assert not (tmp_path / "artist" / "artist").exists()
    assert [p for p in worker.scratch.rglob("*") if p.is_file()] == []
    for frame in (3, 7):
        files = [p for p in (output.parent / f"{frame}.files").rglob("*") if p.is_file()]
        assert [(p.parent.name, p.stem[-4:]) for p in files] == [("File Output", f"{frame:04}")]


def test_size_with_crop_to_border(blender, worker, tmp_path):
    blend = blender.build_small(tmp_path / "artist")
    script = tmp_path / "crop.py"
    script.write_text(
        "import bpy, sys\n"
        "blend = sys.argv[-1]\n"
        "bpy.ops.wm.open_mainfile(filepath=blend)\n"
        "r = bpy.context.scene.render\n"
        "r.resolution_x, r.resolution_y, r.resolution_percentage = 61, 47, 73\n"
        "r.use_border = r.use_crop_to_border = True\n"
        "r.border_min_x, r.border_max_x, r.border_min_y, r.border_max_y = 0.21, 0.7, 0.1, 0.83\n"
        "bpy.ops.wm.save_mainfile()\n"
    )
    blender.run_forked(script, blend)
    loaded = worker.load(blend)["ok"]
    worker.render(1, tmp_path / "1.exr")
    height, width = next(iter(film.pixels(tmp_path / "1.exr").values())).shape
    assert (loaded["width"], loaded["height"]) == (width, height)


def test_a_missing_denoiser_fails_the_frame_and_says_why(blender, worker, tmp_path):
    worker.load(blender.build_small(tmp_path / "artist", "denoise"))
    answer = worker.render(1, tmp_path / "1.exr")
    if "ok" in answer:  # this Blender has OpenImageDenoise
        assert (tmp_path / "1.exr").exists()
        assert worker.hello["blender"] >= [4, 0, 0]
        return
    assert answer["error"]["kind"] == "render_failed"
    assert "OpenImageDenoise" in answer["error"]["message"] + worker.printed()
    assert not (tmp_path / "1.exr").exists()


def test_scripts_run_only_when_asked(blender, worker, tmp_path):
    plain = blender.build_one(tmp_path / "plain")
    blend = blender.build_one(tmp_path / "artist", None, "driver", "module")
    told = blender.trace(blend)
    assert len(told["scripts"]) == 2
    assert "Object 'Cube': the driver of location" in told["scripts"][0]
    assert "on_load.py" in told["scripts"][1]
    still = blender.render_cold(plain, 1, tmp_path / "still.exr")
    moved = blender.render_cold(blend, 1, tmp_path / "moved.exr", scripts=True)
    for scripts, cold in ((False, still), (True, moved), (False, still)):
        assert "ok" in worker.load(blend, scripts=scripts)
        assert "ok" in worker.render(1, tmp_path / "1.exr")
        film.assert_same_pixels(tmp_path / "1.exr", cold)
    assert [v.tobytes() for v in film.pixels(still).values()] != [
        v.tobytes() for v in film.pixels(moved).values()
    ]


@pytest.mark.parametrize("wishes", [("layers",), ("layers", "single"), ("markers",)], ids="+".join)
def test_layers_and_cameras_as_in_a_local_render(blender, worker, tmp_path, wishes):
    blend = blender.build_one(tmp_path / "artist", None, *wishes)
    assert "ok" in worker.load(blend)
    films = []
    for frame in (1, 6):
        cold = blender.render_cold(blend, frame, tmp_path / f"cold{frame}.exr")
        output = tmp_path / f"{frame}.exr"
        assert "ok" in worker.render(frame, output)
        film.assert_same_pixels(output, cold)
        films.append(film.pixels(output))
    first, second = ([v.tobytes() for v in channels.values()] for channels in films)
    assert (first != second) == ("markers" in wishes)


@pytest.mark.parametrize("wishes", [(), ("layers",)], ids=["one layer", "two layers"])
def test_shares_make_the_frame_and_leave_no_trace(blender, worker, tmp_path, record_property, wishes):
    # Given two frames of 64 samples (of a second view layer: 40), rendered whole and composited
    worker.load(blender.build_small(tmp_path / "artist", "file-output", "many", *wishes))

    def render(name, frame, share=None):
        output = tmp_path / f"{name}.exr"
        done = worker.render(frame, output, share)["ok"]
        assert (done["frame"], done["output"]) == (frame, str(output))
        return output

    def written():
        files = [path for folder in tmp_path.glob("*.files") for path in folder.rglob("*")]
        files += worker.scratch.rglob("*")
        return {path: path.stat().st_mtime_ns for path in files if path.is_file()}

    whole = {frame: render(f"whole{frame}", frame) for frame in (3, 7)}
    composited = written()
    assert len(composited) == 2

    # When one is rendered in shares, with some of the other in between
    first = render("first", 3, (0, 25, 64))
    second = render("second", 3, (25, 39, 64))
    render("other", 7, (16, 8, 64))
    again = render("again", 3, (25, 39, 64))

    # Then a share is the same from a Cycles that kept what it built and from one that had to build it
    film.assert_same_pixels(second, again)
    # And the shares differ, and together are the frame in every view layer
    merged = mean_of([(first, {"ViewLayer": 25, "Back": 25}), (second, {"ViewLayer": 39, "Back": 15})])
    assert len(merged) == 4 * (1 + len(wishes))
    direct, early, late = map(film.pixels, (whole[3], first, second))
    apart = {
        name: float(
            (abs(values - direct[name]) / abs(direct[name]).clip(1 if name.endswith("A") else 1e-3)).max()
        )
        for name, values in merged.items()
    }
    record_property("merged beside direct", f"{max(apart.values()):.1e}")
    assert max(apart.values()) < 2e-6
    assert any((early[name] != late[name]).any() for name in merged)
    # And the compositor waited for all of the frame
    assert written() == composited
    assert not [name for name in early if "Composite" in name]

    # And whole frames afterwards are those before
    for frame, before in whole.items():
        film.assert_same_pixels(render(f"after{frame}", frame), before)


def test_lines_make_the_frame_and_leave_no_trace(blender, worker, tmp_path):
    worker.load(blender.build_small(tmp_path / "artist", "dense"))

    def render(name, frame, share=None):
        done = worker.render(frame, tmp_path / f"{name}.exr", share)
        assert "ok" in done, done
        return film.pixels(tmp_path / f"{name}.exr")

    whole = render("whole", 2)
    tiles = [
        render(f"{first}", 2, {"first": first, "end": end, "total": 12}) for first, end in ((7, 12), (0, 7))
    ]
    for name, values in whole.items():
        if "Time" not in name:
            assert tiles[1][name].tobytes() + tiles[0][name].tobytes() == values.tobytes(), name
    # A tile of another frame, and whole frames afterwards, are what they would be
    render("other", 3, {"first": 3, "end": 4, "total": 12})
    for name, values in render("again", 2).items():
        if "Time" not in name:
            assert values.tobytes() == whole[name].tobytes(), name
    # Who takes it for a frame of another height is told so
    error = worker.render(2, tmp_path / "no.exr", {"first": 0, "end": 4, "total": 13})["error"]
    assert error["kind"] == "bad_request"
    assert "has 12 lines and not 13" in error["message"]


def test_a_further_share_of_a_frame_is_cheap(quiet, blender, worker, tmp_path, record_property):
    worker.load(blender.build_small(tmp_path / "artist", "dense"))
    worker.render(2, tmp_path / "whole.exr")  # what is loaded once is loaded
    seconds = [
        worker.render(frame, tmp_path / "share.exr", (offset, 1, 4))["ok"]["seconds"]
        for frame, offset in ((1, 0), (1, 1), (1, 2), (3, 0), (3, 1))
    ]
    record_property("seconds of shares", " ".join(f"{s:.3f}" for s in seconds))
    first, further = min(seconds[0], seconds[3]), min(seconds[1], seconds[2], seconds[4])
    assert further < first / 3
