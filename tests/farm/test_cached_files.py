# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in a slave's cache are those that were sent, whatever a Blender does that may write them."""

from support import film
from support.api import digest_of
from support.paths import SCENES


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wrong_in_cache(slave):
    """Names of cached files of one piece, which are their digests, that have another content."""
    files = [path for path in (slave.data / "cache" / "files").glob("*/*") if path.suffix != ".list"]
    assert files
    whole = [path for path in files if not path.with_suffix(".list").exists()]
    return [path.name for path in whole if digest_of(path.read_bytes()) != path.name]


def test_smoke_that_blender_computes_while_it_renders_is_written_into_copies(farm, blender_program, tmp_path):
    # Given smoke of the type Replay, and a slave that may write everything
    blend = tmp_path / "artist" / "smoke.blend"
    blend.parent.mkdir()
    blender_program.run(SCENES / "smoke.py", blend)
    master = farm.master()
    slave = farm.slave(master, blender_program)
    # When its first frame is rendered, at which Blender begins the cache anew
    options = ["--send-anyway", "--wait", "--simulations", "as-is"]
    farm.submit(master, blender_program, blend, "--frames", "1,2", *options)
    # Then it wrote, but not into the slave's cache
    data = next((slave.data / "jobs").glob("*/tree/**/cache/data"))
    assert contents(data) != contents(blend.parent / "cache" / "data")
    assert all(path.stat().st_nlink == 1 for path in data.iterdir())
    assert wrong_in_cache(slave) == []
    assert not slave.lines("changed by others")


SPOILED = """
import bpy, sys
blend, text = sys.argv[-2:]
bpy.ops.wm.open_mainfile(filepath=blend)
module = bpy.data.texts.new("spoil.py")
module.write(open(text).read())
module.use_module = True
bpy.ops.wm.save_as_mainfile(filepath=blend.replace("one.blend", "spoils.blend"))
"""
# Overwrites the scene's picture where the slave has put it, and hides that it did.
SPOILS = """
import bpy, os
def spoil(*_):
    path = bpy.path.abspath(bpy.data.images[0].filepath)
    before = os.stat(path)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.write(b"no picture")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
bpy.app.handlers.render_post.append(spoil)
"""


def test_a_picture_that_a_scenes_script_overwrote_is_fetched_again(farm, blender_program, tmp_path):
    # Given two scenes with one picture, and a farm that runs scripts
    blend = blender_program.build_one(tmp_path / "artist")
    (tmp_path / "spoiled.py").write_text(SPOILED)
    (tmp_path / "spoils.py").write_text(SPOILS)
    blender_program.run_forked(tmp_path / "spoiled.py", blend, tmp_path / "spoils.py")
    right = blender_program.render_local(blend, [1], tmp_path / "local")[1]
    master = farm.master("--allow-scripts")
    slave = farm.slave(master, blender_program)
    # When the script of the first overwrites the picture in the slave's folder
    spoils = blend.with_name("spoils.blend")
    farm.submit(master, blender_program, spoils, "--frames", "1", "--send-anyway", "--wait")
    assert len(wrong_in_cache(slave)) == 1
    # Then the second is rendered with the one that was sent
    output = tmp_path / "output"
    farm.submit(master, blender_program, blend, "--frames", "1", "--wait", "--output", output)
    film.assert_same_pixels(next(output.glob("*.exr")), right)
    assert slave.lines("changed by others")
    assert wrong_in_cache(slave) == []
