# SPDX-License-Identifier: GPL-3.0-or-later
"""What File Output nodes write for a frame comes back with it, and is what a local render writes."""

import shutil

import numpy
import OpenEXR

from support.addon import run_with_addon
from support.api import MasterApi
from support.paths import SCENES
from support.png import pixels
from support.sharing import SLAVES, shares

GET = """
blend, master, job, out = arguments
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
scene.netrender.client.master = master
scene.render.filepath = out + "/####"
bpy.ops.netrender.get_animation(job=int(job))
netrender_rs.unregister()
"""


def written(*folders):
    """{path below its folder: path} of all files."""
    found = {}
    for folder in folders:
        found.update({str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()})
    return found


def channels(path):
    with OpenEXR.File(str(path), separate_channels=True) as parts:
        return {name: found.pixels for part in parts.parts for name, found in part.channels.items()}


def assert_same_files(ours, theirs):
    assert sorted(ours) == sorted(theirs)
    for name, path in theirs.items():
        if name.endswith(".png"):
            one, other = pixels(ours[name]), pixels(path)
            assert one == other, f"{name} is another picture"
            assert len(set(one[1])) > 20, f"{name} is blank"
        else:
            one, other = channels(ours[name]), channels(path)
            assert one.keys() == other.keys(), name
            assert len(one) == 5, name
            assert all(numpy.array_equal(one[channel], other[channel]) for channel in other), name


def test_files_of_file_output_nodes_come_back(farm, any_blender, tmp_path):
    # Given what this machine writes: beside the .blend and, from a node group, into another folder
    project, far = tmp_path / "project", tmp_path / "far"
    project.mkdir()
    blend = project / "shot.blend"
    any_blender.run_forked(SCENES / "outputs.py", blend, far)
    any_blender.render_local(blend, [1, 2], tmp_path / "local")
    mine = tmp_path / "mine"
    shutil.move(project / "renders", mine / "renders")
    shutil.move(far, mine / "far")
    local = written(mine / "renders", mine / "far")
    sub = "sub/half_" if any_blender.version < (5, 0) else "sub_half_"
    stems = ("beauty_", "layers_", sub, "far_")
    assert sorted(local) == sorted(
        f"{stem}000{n}.{'exr' if stem == 'layers_' else 'png'}" for stem in stems for n in (1, 2)
    )
    # When the farm renders it, frame by frame
    master = farm.master()
    api = MasterApi(master.url)
    slaves = [farm.slave(master, any_blender, "--threads", "1", name=name) for name in SLAVES[:2]]
    job = farm.submit(master, any_blender, blend, "--wait")
    # Then its files have the names and pixels of the local ones, and none lies anywhere else
    address = ["--master", master.url, "--what", "outputs"]
    farm.cli("get", job, *address, "--output", tmp_path / "ours")
    ours = tmp_path / "ours"
    assert sorted(path.name for path in ours.iterdir()) == ["File Output", "Grad_ ing File Output", "Layers"]
    assert_same_files(written(*ours.iterdir()), local)
    assert not far.exists()
    assert [path.name for path in project.iterdir()] == [blend.name]
    # The interface lists and sends them
    frame = api.get(f"api/v1/jobs/{job}/frames/2/outputs").json()
    assert [file["path"] for file in frame][:2] == [
        "File Output/beauty_0002.png",
        f"File Output/{sub}0002.png",
    ]
    sent = api.call("GET", f"api/v1/jobs/{job}/frames/2/outputs/0").body
    assert sent == (ours / "File Output" / "beauty_0002.png").read_bytes()
    assert [task["outputs"] for task in api.job(job)["tasks"]] == [4, 4]
    # When Get Animation brings the job, her own Blender writes them where it always does
    run_with_addon(any_blender, tmp_path, GET, blend, master.url, job, tmp_path / "shots")
    assert_same_files(written(project / "renders", far), local)
    # When slaves share a frame, the one that finishes it writes the files
    sending = f"--master {master.url} --split samples --frames 2 --wait --json --blender".split()
    job = farm.cli("submit", blend, *sending, any_blender.path).json()["job"]
    assert sum(shares(*slaves)) >= 2
    shutil.rmtree(ours)
    farm.cli("get", job, *address, "--output", ours)
    shared = written(*ours.iterdir())
    assert sorted(shared) == sorted(name for name in local if "0002" in name)
    one, other = channels(shared["layers_0002.exr"]), channels(local["layers_0002.exr"])
    for name, values in other.items():
        apart = numpy.abs(one[name].astype("f8") - values) / numpy.maximum(1.0, numpy.abs(values))
        assert apart.max() <= 4e-6, name


def test_a_file_that_could_not_be_written_fails_the_frame(farm, any_blender, tmp_path):
    blend = tmp_path / "shot.blend"
    any_blender.run_forked(SCENES / "outputs.py", blend, tmp_path / "far", "long")
    master = farm.master()
    farm.slave(master, any_blender, "--threads", "1")
    job = farm.submit(master, any_blender, blend, "--frames", "1")
    task = MasterApi(master.url).wait(job)["tasks"][0]
    assert task["state"] == "failed"
    assert "a File Output node could not write: " in task["error"]["message"]
    assert "x" * 250 in task["error"]["message"]


def test_no_file_leaves_its_frame_by_the_name_of_an_eye(farm, any_blender, tmp_path):
    # Given a scene whose files for the left eye would lie some folders further up
    blend = tmp_path / "shot.blend"
    suffix = "suffix=/../../../../../../../stolen"
    any_blender.run_forked(SCENES / "outputs.py", blend, tmp_path / "far", "stereo", suffix)
    master = farm.master()
    slave = farm.slave(master, any_blender, "--threads", "1")
    # When a slave renders it
    job = farm.submit(master, any_blender, blend, "--frames", "1", "--wait")
    # Then they come back as all others do, and nothing lies anywhere else
    paths = {file["path"] for file in MasterApi(master.url).get(f"api/v1/jobs/{job}/frames/1/outputs").json()}
    assert {"File Output/beauty_0001/stolen.png", "File Output/beauty_0001_R.png"} <= paths, paths
    farm.stop(slave)
    assert not [path for path in tmp_path.rglob("*stolen*") if "jobs" not in path.parts], (
        "it was written elsewhere"
    )
