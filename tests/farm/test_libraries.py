# SPDX-License-Identifier: GPL-3.0-or-later
"""Linked data as the artist left it: what Blender matches with libraries while it reads a file."""

from support import film
from support.api import MasterApi
from support.paths import SCENES


def test_overrides_keep_their_pose_on_a_slave_whose_libraries_lie_elsewhere(farm, any_blender, tmp_path):
    # Given a posed override of a rig, by absolute paths and through two libraries, as this machine renders it
    artist = tmp_path / "artist"
    any_blender.run_forked(SCENES / "overrides.py", artist / "project", artist / "libraries")
    blend = artist / "project" / "shot.blend"
    local = any_blender.render_local(blend, [1], tmp_path / "local")[1]

    # When it is sent and the originals are gone before a slave comes
    master = farm.master()
    job = farm.submit(master, any_blender, blend)
    artist.rename(tmp_path / "gone")
    slave = farm.slave(master, any_blender)
    assert MasterApi(master.url).wait(job)["state"] == "finished", MasterApi(master.url).job(job)

    # Then the film is the same
    farm.cli("get", job, "--master", master.url, "--output", tmp_path / "frames")
    film.assert_same_film(film.in_folder(tmp_path / "frames")[1], local)

    # And what the slave keeps is what was sent: only the job's own copies were changed
    (tree,) = (slave.data / "jobs").glob("*/tree")
    kept = [path.read_bytes() for path in (slave.data / "cache" / "files").rglob("*") if path.is_file()]
    for original in (tmp_path / "gone").rglob("*.blend"):
        (copy,) = tree.rglob(original.name)
        assert original.read_bytes() in kept
        assert (copy.read_bytes() == original.read_bytes()) == (original.name == "parts.blend")
