# SPDX-License-Identifier: GPL-3.0-or-later
"""A colour configuration of the artist's own, which the variable OCIO of the environment names."""

import re
import shutil

from support import film
from support.api import MasterApi
from support.paths import SCENES

WHERE = """
import bpy
print("COLORS", bpy.utils.system_resource("DATAFILES", path="colormanagement"))
"""
SPACE = """  - !<ColorSpace>
    name: Studio Texture
    {}: !<FileTransform> {{src: studio.spi1d, interpolation: linear}}
"""
TABLE = "Version 1\nFrom 0 1\nLength 2\nComponents 1\n{\n0\n0.1\n}\n"


def configuration(blender, folder):
    """Blender's own with one more space, whose table darkens."""
    script = folder.parent / "where.py"
    script.write_text(WHERE)
    shutil.copytree(re.search(r"COLORS (.+)", blender.run_forked(script))[1], folder)
    config = folder / "config.ocio"
    text = config.read_text()
    to_reference = "to_reference" if "ocio_profile_version: 1" in text else "to_scene_reference"
    config.write_text(text.replace("\ncolorspaces:\n", "\ncolorspaces:\n" + SPACE.format(to_reference), 1))
    (folder / "luts" / "studio.spi1d").write_text(TABLE)
    return config


def test_a_studios_colours_are_those_of_the_farm(farm, any_blender, tmp_path, monkeypatch):
    # Given a scene that is made with a configuration of the studio's own
    blend = tmp_path / "artist" / "a.blend"
    blend.parent.mkdir()
    config = configuration(any_blender, tmp_path / "studio")
    with monkeypatch.context() as studio:
        studio.setenv("OCIO", str(config))
        any_blender.run(SCENES / "studio.py", blend)
        local = any_blender.render_cold(blend, 1, tmp_path / "local.exr")
    elsewhere = any_blender.render_cold(blend, 1, tmp_path / "elsewhere.exr")
    assert film.difference(local, elsewhere) > 0.1

    # When it is sent from there, and neither scene nor configuration is left for the slave
    master = farm.master()
    farm.environ["OCIO"] = str(config)
    job = farm.submit(master, any_blender, blend)
    farm.environ["OCIO"] = str(tmp_path / "studio" / "of the slave's own")
    for folder in ("artist", "studio"):
        (tmp_path / folder).rename(tmp_path / f"{folder} gone")
    farm.slave(master, any_blender)
    assert MasterApi(master.url).wait(job)["state"] == "finished", MasterApi(master.url).job(job)

    # Then the film is that of the studio
    farm.cli("get", job, "--master", master.url, "--output", tmp_path / "frames")
    film.assert_same_film(film.in_folder(tmp_path / "frames")[1], local)
