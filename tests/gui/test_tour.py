# SPDX-License-Identifier: GPL-3.0-or-later
"""An artist's first hour: from the zip to frames of the farm, by mouse, in a network of its own."""

import os
import shutil

from support import film, screens
from support.blender import with_tests
from support.paths import STORIES

STORY = STORIES / "tour_in_blender.py"


def test_an_artists_first_hour(farm, blender_program, two_hosts, package, screen, tmp_path):
    # Given a master and two slaves, a scene, and a Blender that knows nothing of them
    blend = blender_program.build(
        tmp_path / "shots" / "a.blend", "rich", "size=96x54", "samples=4", "frames=1-3"
    )
    local = blender_program.render_local(blend, [2], tmp_path / "local")[2]
    for name in ("scripts", "config", "photos"):
        (tmp_path / name).mkdir()
    two_hosts.on(farm, two_hosts.here)
    master = farm.master(name="Studio", broadcast=True)
    for name in ("anna", "ben"):
        farm.slave(master, blender_program, "--threads", "1", name=name, wait=False)

    # When she goes through it
    environ = with_tests(
        {
            **screens.on(screen),
            "BLENDER_USER_SCRIPTS": str(tmp_path / "scripts"),
            "BLENDER_USER_CONFIG": str(tmp_path / "config"),
            "XDG_DATA_HOME": str(tmp_path / "data"),
        }
    )
    arguments = [package[0], blend, master.url, tmp_path / "photos"]
    done = farm.run(blender_program.with_windows(STORY, *arguments, simulated=True), **environ)
    keep = os.environ.get("NETRENDER_PHOTOS")
    if keep:
        shutil.copytree(tmp_path / "photos", keep, dirs_exist_ok=True)

    # Then every click did what it says, and the frame she looks at is what this machine makes
    assert done.code == 0, done.out + done.err
    assert "Traceback" not in done.out + done.err, done.out + done.err
    film.assert_same_film(tmp_path / "photos" / "frame.exr", local)
