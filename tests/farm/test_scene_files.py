# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file a scene needs, exactly, on a slave that sees nothing of the artist's folders; and what is said before a
byte is sent when something would go wrong."""

import os
import re
import shutil
import time

import pytest

from support import film
from support.api import MasterApi
from support.farm import USAGE, complaint
from support.paths import SCENES
from support.small_disk import small_disk

MB = 1_000_000
EVERYTHING = SCENES / "everything.py"

ADD_IMAGES = """
import bpy, sys
blend, *images = sys.argv[sys.argv.index("--") + 1:]
bpy.ops.wm.open_mainfile(filepath=blend)
for path in images:
    image = bpy.data.images.new("made", 4, 4)  # loading refuses what is not there
    image.source, image.filepath = "FILE", path
    if "0001" in path:
        image.source = "SEQUENCE"
    # Only what a frame can show is needed: a patch of its own for each picture, out of sight.
    material = bpy.data.materials.new("Patch")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs[0], next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED").inputs[0])
    patch = bpy.data.objects.new("Patch", bpy.data.meshes.new("Patch"))
    patch.data.materials.append(material)
    bpy.context.scene.collection.objects.link(patch)
bpy.ops.wm.save_as_mainfile(filepath=blend, relative_remap=False)
"""


@pytest.mark.parametrize("style", ["relative", "absolute", "windows"])
def test_the_picture_needs_nothing_of_the_artists_machine(farm, any_blender, tmp_path, style):
    # Given a production with every kind of file, as this machine renders it alone
    project = tmp_path / "artist"
    print(re.search(r"^KINDS: .*", any_blender.run_forked(EVERYTHING, project, style), re.MULTILINE)[0])
    (blend,) = project.rglob("shot.blend")
    frames = frames_of(any_blender, blend)
    local = any_blender.render_local(blend, frames, tmp_path / "local")

    # When it is sent and the originals are gone before a slave comes
    master = farm.master()
    job = farm.submit(master, any_blender, blend)
    project.rename(tmp_path / "gone")
    farm.slave(master, any_blender)
    assert MasterApi(master.url).wait(job)["state"] == "finished", MasterApi(master.url).job(job)

    # Then every channel of every frame is that of the artist's machine
    farm.cli("get", job, "--master", master.url, "--output", tmp_path / "frames")
    films = film.in_folder(tmp_path / "frames")
    assert sorted(films) == frames
    for frame, path in films.items():
        film.assert_same_film(path, local[frame])


FRAMES = """
import bpy, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[-1])
print("FRAMES", bpy.context.scene.frame_start, bpy.context.scene.frame_end)
"""


def frames_of(blender, blend):
    script = blend.parents[2] / "frames.py"
    script.write_text(FRAMES)
    first, last = re.search(r"FRAMES (\d+) (\d+)", blender.run_forked(script, blend)).groups()
    return list(range(int(first), int(last) + 1))


def with_images(blender, folder, *images):
    """A scene that names these images, whether they are there or not."""
    blend = blender.build(folder / "a.blend", "frames=1-1")
    script = folder / "add_images.py"
    script.write_text(ADD_IMAGES)
    blender.run_forked(script, blend, *images)
    return blend


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
        "789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
    ))  # fmt: skip
    return path


def dry_run(farm, blender, blend, *options, code=0):
    command = ["submit", blend, "--dry-run", "--json", "--blender", blender.path, "--master", "127.0.0.1:1"]
    return farm.cli(*command, *options, code=code).json()


def test_what_would_go_wrong_is_said_before_anything_is_sent(farm, blender_program, tmp_path):
    # Given a scene with a missing image, twins but for case, a ring of links and a file that is mostly holes
    folder = tmp_path / "shots"
    upper, lower = picture(folder / "Wood.png"), picture(folder / "wood.png")
    ring = folder / "ring.png"
    ring.symlink_to("ring.png")
    with (folder / "holes.bin").open("wb") as file:
        file.truncate(1 << 40)
    blend = with_images(blender_program, folder, upper, lower, "//MISSING.png", ring)
    master = farm.master()
    address = ["--master", master.url, "--blender", blender_program.path]

    # Then a look at it says so, and sending is refused with the same list
    report = dry_run(farm, blender_program, blend, "--add", folder / "holes.bin", code=USAGE)
    kinds = sorted(problem["kind"] for problem in report["problems"])
    assert kinds == ["collision", "missing", "missing", "odd_size"], report["problems"]
    assert report["problem_count"] == 4
    whys = " ".join(problem["why"] for problem in report["problems"])
    assert "case" in whys
    assert "symbolic links" in whys
    said = complaint(farm.cli("submit", blend, *address, code=USAGE))
    for name in ("MISSING.png", "ring.png", "wood.png"):
        assert name in said
    assert "--send-anyway" in said or "send anyway" in said
    assert MasterApi(master.url).jobs() == []

    # But who wants it so gets it rendered all the same
    farm.slave(master, blender_program)
    farm.submit(master, blender_program, blend, "--send-anyway", "--wait")


def test_a_terabyte_of_holes_is_refused_at_once(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "a.blend")
    with (tmp_path / "holes.bin").open("wb") as file:
        file.truncate(1 << 40)
    began = time.monotonic()
    command = ["submit", blend, "--blender", blender_program.path, "--master", farm.master().url]
    said = complaint(farm.cli(*command, "--add", tmp_path / "holes.bin", code=USAGE))
    assert "holes.bin" in said
    assert time.monotonic() - began < 30


def test_a_file_that_may_not_be_read_is_named(farm, blender_program, as_root, tmp_path):
    blend = blender_program.build(tmp_path / "a.blend")
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"x")
    secret.chmod(0)
    # Root may read everything, unless it gives that up.
    farm.prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    report = dry_run(farm, blender_program, blend, "--add", secret, "--add", "/dev/zero", code=USAGE)
    farm.prefix = []
    found = {problem["path"]: problem["why"] for problem in report["problems"]}
    assert "Permission denied" in found[str(secret)]
    assert "not a plain file" in found["/dev/zero"]


def test_long_and_odd_names_arrive(farm, any_blender, tmp_path):
    """400 characters of path, characters that Windows forbids, bytes that are no text."""
    odd = tmp_path / "proj" / ("d" * 100) / ("e" * 100) / ("f" * 100)
    names = [
        os.fsencode(odd / "a: b?*.png"),
        os.fsencode(odd) + b"/caf\xe9.png",
        os.fsencode(odd / "100% CON .png"),
    ]
    odd.mkdir(parents=True)
    example = picture(tmp_path / "example.png").read_bytes()
    for name in names:
        with open(name, "wb") as file:  # noqa: PTH123 - bytes are no Path
            file.write(example)
    assert len(os.fsencode(odd)) > 300
    blend = with_images(any_blender, tmp_path / "proj", *map(os.fsdecode, names))
    report = dry_run(farm, any_blender, blend)
    assert report["files"] == 4, report
    master = farm.master()
    slave = farm.slave(master, any_blender)
    farm.submit(master, any_blender, blend, "--wait")
    tree = next((slave.data / "jobs").glob("*/tree"))
    assert sum(path.read_bytes() == example for path in tree.rglob("*.png")) == 3


def test_a_hundred_thousand_frames_of_a_sequence(farm, blender_program, tmp_path, record_property):
    folder = tmp_path / "plates"
    folder.mkdir()
    for frame in range(1, 100_001):
        (folder / f"p.{frame:06}.png").write_bytes(frame.to_bytes(4, "little") * 20)
    os.link(picture(tmp_path / "example.png"), folder / "p.0001.png")
    blend = with_images(blender_program, tmp_path / "proj", folder / "p.000001.png")
    master = farm.master()
    slave = farm.slave(master, blender_program)
    began = time.monotonic()
    job = farm.submit(master, blender_program, blend)
    sent = time.monotonic() - began
    assert MasterApi(master.url).wait(job)["state"] == "finished"
    done = time.monotonic() - began
    tree = next((slave.data / "jobs").glob("*/tree"))
    assert sum(1 for _ in tree.rglob("p.*.png")) >= 100_000
    print(f"100,000 frames: sent in {sent:.1f} s, rendered after {done:.1f} s")
    record_property("hundred_thousand_sent_s", sent)


def test_a_slave_without_room_says_so_and_another_goes_on(farm, as_root, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shots" / "a.blend", "frames=1-2")
    big = tmp_path / "shots" / "big.bin"
    big.write_bytes(os.urandom(60 * MB))
    with small_disk(tmp_path / "disk", "size=30m") as disk:
        (disk / "data").mkdir()
        (tmp_path / "small-data").symlink_to(disk / "data")
        master = farm.master()
        farm.slave(master, blender_program, name="small")
        job = farm.submit(master, blender_program, blend, "--add", big)
        api = MasterApi(master.url)
        failed = api.wait(job)
        errors = [task["error"] for task in failed["tasks"]]
        assert all(error["kind"] == "disk_full" for error in errors), errors
        assert "the slave's disk is full" in errors[0]["message"]
        assert not list((disk / "data" / "cache" / "incoming").iterdir()), "what is unfinished is left behind"
        # When there is a slave with room
        farm.slave(master, blender_program, name="large")
        farm.cli("requeue", job, "--master", master.url)
        assert api.wait(job)["state"] == "finished"
        farm.close()
        farm.services.clear()


def test_a_small_cache_throws_out_what_was_not_used_for_longest(farm, blender_program, tmp_path):
    master = farm.master()
    slave = farm.slave(master, blender_program, "--cache-limit", "0.05")
    for number in range(5):
        blend = blender_program.build(tmp_path / f"shot{number}" / "a.blend", "frames=1-1")
        noise = blend.parent / "noise.bin"
        noise.write_bytes(os.urandom(20 * MB))
        farm.submit(master, blender_program, blend, "--add", noise, "--wait")
    kept = sum(path.stat().st_size for path in (slave.data / "cache" / "files").rglob("*") if path.is_file())
    # Two jobs' files stay pinned, so that sending them again costs nothing
    assert kept <= 70 * MB, f"{kept / MB:.0f} MB"
    assert slave.lines("old files thrown out")


def test_scripts_run_only_where_the_farm_says_so(farm, blender_program, tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    blend = blender_program.build(tmp_path / "a.blend", "frames=1-1")
    blender_program.run_forked(script, blend)
    address = ["--blender", blender_program.path]
    closed = farm.master(name="closed", data=tmp_path / "closed")
    said = complaint(farm.cli("submit", blend, "--master", closed.url, *address, code=USAGE))
    assert "Python" in said
    assert "Cube" in said
    assert MasterApi(closed.url).get("api/v1/info").json()["scripts"] is False

    local = blender_program.render_local_with_scripts(blend, 1, tmp_path / "local")
    opened = farm.master("--allow-scripts", name="open", data=tmp_path / "open")
    farm.slave(opened, blender_program)
    job = farm.submit(opened, blender_program, blend, "--wait", "--output", tmp_path / "frames")
    assert MasterApi(opened.url).job(job)["scripts"] is True
    film.assert_same_film(film.in_folder(tmp_path / "frames")[1], local)
    # And the same job without its script is another picture, or this would prove nothing
    still = farm.slave(closed, blender_program, name="still")
    assert still
    farm.submit(closed, blender_program, blend, "--send-anyway", "--wait", "--output", tmp_path / "without")
    assert film.difference(film.in_folder(tmp_path / "without")[1], local) > 0


DRIVER = """
import bpy, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[-1])
cube = bpy.data.objects["Cube"]
cube.animation_data_clear()
driver = cube.driver_add("location", 0).driver
driver.expression = "len(bpy.data.objects) * 0.25"
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""


CLOTH = """
import bpy, sys
blend = sys.argv[sys.argv.index("--") + 1]
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
bpy.data.objects.remove(bpy.data.objects["Cube"])
scene.render.engine, scene.frame_end = "CYCLES", 8
scene.render.resolution_x = scene.render.resolution_y = 32
scene.cycles.samples, scene.cycles.use_denoising = 1, False
settings = scene.render.image_settings
if hasattr(settings, "media_type"):
    settings.media_type = "MULTI_LAYER_IMAGE"
settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
bpy.ops.mesh.primitive_grid_add(x_subdivisions=6, y_subdivisions=6, size=4, location=(0, 0, 1))
grid = bpy.context.object
grid.vertex_groups.new(name="pin").add([0, 6], 1, "REPLACE")
cloth = grid.modifiers.new("Cloth", "CLOTH")
cloth.settings.vertex_group_mass = "pin"
bpy.ops.wm.save_as_mainfile(filepath=blend)  # the cache's folder lies beside it
cloth.point_cache.use_disk_cache, cloth.point_cache.frame_end = True, 8
bpy.ops.ptcache.bake_all(bake=True)
bpy.ops.wm.save_as_mainfile(filepath=blend, compress=False)
"""


def test_a_disk_cache_is_found_whatever_the_scene_is_called(farm, any_blender, tmp_path):
    # Given a baked cloth, as this machine renders it, in files whose names or folders aren't allowed everywhere
    script, baked = tmp_path / "cloth.py", tmp_path / "baked" / "a.blend"
    baked.parent.mkdir()
    script.write_text(CLOTH)
    any_blender.run_forked(script, baked)
    local = any_blender.render_local(baked, [8], tmp_path / "local")[8]
    artist = tmp_path / "artist"
    artist.mkdir()
    blends = [artist / "shot 01 .blend", artist / "CON.blend"]
    for blend in blends:
        shutil.copy(baked, blend)
        shutil.copytree(baked.parent / "blendcache_a", artist / f"blendcache_{blend.stem}")

    # When they are sent and the originals are gone
    master = farm.master()
    jobs = [farm.submit(master, any_blender, blend, "--frames", "8") for blend in blends]
    artist.rename(tmp_path / "gone")
    farm.slave(master, any_blender)

    # Then the cloth hangs as it was baked
    for job in jobs:
        assert MasterApi(master.url).wait(job)["state"] == "finished", MasterApi(master.url).job(job)
        frames = tmp_path / f"frames-{job}"
        farm.cli("get", job, "--master", master.url, "--output", frames)
        film.assert_same_film(film.in_folder(frames)[8], local)
