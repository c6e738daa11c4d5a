# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on a scene before it is sent, as programs and people are told it."""

import pytest

from support.api import MasterApi
from support.farm import PROGRAM, USAGE, complaint

ADD_CLOTH = """
import bpy, sys
blend = sys.argv[-1]
bpy.ops.wm.open_mainfile(filepath=blend)
bpy.ops.mesh.primitive_grid_add(x_subdivisions=3, y_subdivisions=3)
bpy.context.object.modifiers.new("Cloth", "CLOTH")
bpy.ops.wm.save_as_mainfile(filepath=blend, relative_remap=False)
"""

ADD_TEXTURE = """
import bpy, os, sys
blend, texture = sys.argv[-2:]
bpy.ops.wm.open_mainfile(filepath=blend)
os.makedirs(os.path.dirname(texture))
image = bpy.data.images.new("wood", 4, 4)
image.filepath_raw, image.file_format = texture, "PNG"
image.save()
world = bpy.context.scene.world = bpy.data.worlds.new("World")
world.use_nodes = True
node = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
node.image = bpy.data.images.load(texture)
world.node_tree.links.new(node.outputs[0], world.node_tree.nodes["Background"].inputs[0])
bpy.ops.wm.save_as_mainfile(filepath=blend, relative_remap=False)
"""


def script_of(folder, text):
    script = folder / "script.py"
    script.write_text(text)
    return script


def test_a_wrong_picture_is_refused_before_a_byte_is_sent_and_a_warning_stays_with_the_job(
    farm, any_blender, tmp_path
):
    # Given a cloth that is not baked
    blend = any_blender.build(tmp_path / "a.blend", "frames=1-3")
    any_blender.run_forked(script_of(tmp_path, ADD_CLOTH), blend)
    master = farm.master()
    address = ["--master", master.url, "--blender", any_blender.path, "--split", "off"]

    # Then a look at its first frame finds nothing, and one at all of them what is wrong and what to do
    told = farm.cli("submit", blend, *address, "--frames", "1", "--dry-run", "--json").json()
    assert (told["verdict"], told["findings"]) == ("ok", [])
    told = farm.cli("submit", blend, *address, "--dry-run", "--json", code=USAGE).json()
    assert told["verdict"] == "wrong"
    (found,) = told["findings"]
    assert sorted(found) == ["hint", "kind", "message", "severity", "where"]
    assert (found["kind"], found["severity"], found["where"]) == ("simulation", "wrong", "Object 'Grid'")
    assert "frames 2-3" in found["message"]
    assert "Bake it" in found["hint"]
    said = farm.cli("submit", blend, *address, "--dry-run", code=USAGE).out
    assert "wrong: Simulations that are not baked" in said

    # And sending is refused, with nothing on the master, unless it is wished all the same
    assert "Cloth 'Cloth' of 'Grid'" in complaint(farm.cli("submit", blend, *address, code=USAGE))
    api = MasterApi(master.url)
    assert api.jobs() == []
    held = [
        path for kind in ("blobs", "pieces") for path in (master.data / kind).rglob("*") if path.is_file()
    ]
    assert sum(path.stat().st_size for path in held if not path.name.startswith("index.db")) < 100, held
    job = farm.cli("submit", blend, *address, "--send-anyway", "--json").json()["job"]
    (kept,) = api.job(job)["spec"]["warnings"]
    assert kept == found
    assert api.get(f"api/v1/jobs/{job}/frames/2").json()["warnings"] == [found]
    assert api.get(f"api/v1/jobs/{job}/summary").json()["warnings"] == [found]
    assert "wrong: Object 'Grid': " in farm.cli("job", job, "--master", master.url).out


def boxed_blender(folder, blender, hidden):
    """A Blender for which a folder is empty."""
    boxed = folder / "boxed_blender"
    mount = f"mount -t tmpfs none {hidden} && exec {blender.path}"
    boxed.write_text(f"""#!/bin/sh\nexec unshare -m sh -c '{mount} "$@"' -- "$@"\n""")
    boxed.chmod(0o755)
    return boxed


@pytest.mark.parametrize("hidden", ["temporary files", "scene", "texture"])
def test_a_blender_in_a_sandbox_is_named_as_such(farm, as_root, blender_program, tmp_path, hidden):
    # Given a scene with a texture, and a Blender for which the one or the other is not there
    blend = blender_program.build(tmp_path / "shots" / "a.blend", "frames=1-1")
    texture = tmp_path / "textures" / "wood.png"
    blender_program.run_forked(script_of(tmp_path, ADD_TEXTURE), blend, texture)
    folders = {"temporary files": tmp_path / "tmp", "scene": blend.parent, "texture": texture.parent}
    folders["temporary files"].mkdir()
    boxed = boxed_blender(tmp_path, blender_program, folders[hidden])

    # When it is to be sent, then the sandbox is named, not the scene
    master = farm.master()
    command = ["submit", blend, "--master", master.url, "--blender", boxed, "--dry-run"]
    said = farm.cli(*command, code=USAGE, TMPDIR=str(tmp_path / "tmp"))
    said = said.out + said.err
    assert "seems to be in a sandbox" in said
    assert str(folders[hidden]) in said
    assert ("TMPDIR" in said) == (hidden == "temporary files")
    assert "put the files back" not in said


def test_a_slave_says_that_its_blender_is_in_a_sandbox(farm, as_root, blender_program, tmp_path):
    data = tmp_path / "slave-data"
    data.mkdir()
    boxed = boxed_blender(tmp_path, blender_program, data)
    command = [PROGRAM, "slave", "--master", farm.master().url, "--data", data, "--blender", boxed]
    done = farm.run(command)
    assert done.code == 1
    assert f"cannot see {data / 'worker'}: it seems to be in a sandbox" in done.err
    assert "--data" in done.err
