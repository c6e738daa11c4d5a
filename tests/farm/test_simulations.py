# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulations that are not baked, on a farm: baked by one slave first, or rendered in order by one."""

from support import film
from support.api import MasterApi
from support.fake_blender import BAKED, look_of
from support.fake_blender import film as film_of
from support.farm import USAGE, wait_until
from support.paths import SCENES

PLAYED = """
import bpy, os, sys
blend, out, last = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
for frame in range(1, int(last) + 1):
    scene.frame_set(frame)
    before = scene.frame_start, scene.frame_end
    scene.frame_start = scene.frame_end = frame
    scene.render.filepath = out + "/"
    bpy.ops.render.render(animation=True)
    scene.frame_start, scene.frame_end = before
"""


def test_frames_baked_first_and_frames_in_order_are_those_of_one_machine(farm, any_blender, tmp_path):
    # Given a scene of simulations as one machine plays and renders it
    blend = tmp_path / "artist" / "shot.blend"
    (blend.parent / "textures").mkdir(parents=True)
    any_blender.run_forked(SCENES / "simulations.py", blend, blend.parent / "textures" / "made.png")
    (tmp_path / "played.py").write_text(PLAYED)
    any_blender.run(tmp_path / "played.py", blend, tmp_path / "local", 4)

    # When it is sent twice, once to be baked and once in order, and two slaves come
    master = farm.master()
    jobs = {
        choice: farm.submit(master, any_blender, blend, "--frames", "1-4", "--simulations", choice)
        for choice in ("bake", "in-order")
    }
    blend.parent.rename(tmp_path / "gone")
    for name in ("anna", "ben"):
        farm.slave(master, any_blender, "--threads", "1", name=name)

    # Then all frames are those of that machine
    api = MasterApi(master.url)
    for choice, job in jobs.items():
        assert api.wait(job)["state"] == "finished", api.job(job)
        farm.cli("get", job, "--output", tmp_path / choice, "--master", master.url)
        films = film.in_folder(tmp_path / choice)
        assert sorted(films) == [1, 2, 3, 4]
        for frame, path in films.items():
            film.assert_same_pixels(path, tmp_path / "local" / f"{frame:04}.exr")


def test_a_bake_goes_on_elsewhere_when_its_slave_or_the_master_dies(farm, fake, free_port, tmp_path):
    # Given a job that is being baked
    blend = fake.build(tmp_path / "artist" / "shot.blend", "1-6", seconds=0.6)
    master = farm.master("--slave-timeout", "2", port=free_port)
    anna = farm.slave(master, fake, name="anna")
    job = farm.submit(master, fake, blend, "--simulations", "bake")
    api = MasterApi(master.url)
    baking = lambda: (row := api.job(job))["status"] == "Baking" and "frame" in row["why"] and row  # noqa: E731
    row = wait_until(baking, 60, "the bake")
    assert row["why"].startswith("anna bakes its simulations first: frame "), row["why"]

    # When its slave is killed, and another one comes, and the master is killed during that bake
    farm.kill(anna)
    farm.slave(master, fake, name="ben")
    wait_until(lambda: bakes(fake) == 2, 60, "a second bake")
    farm.kill(master)
    master = farm.master("--slave-timeout", "2", port=free_port)

    # Then the job is done with the films of the baked scene
    assert api.wait(job)["state"] == "finished"
    assert bakes(fake) == 2
    look = look_of(blend.read_bytes() + BAKED, b"wood")
    farm.cli("get", job, "--output", tmp_path / "frames", "--master", master.url)
    films = film.in_folder(tmp_path / "frames")
    assert {frame: path.read_bytes() for frame, path in films.items()} == {
        n: film_of(look, n) for n in range(1, 7)
    }


def bakes(fake):
    return sum(row[0] == "bakes" for row in fake.ledger.read())


def test_a_bake_can_be_canceled_and_a_bake_that_fails_fails_the_job_in_words(farm, fake, tmp_path):
    blend = fake.build(tmp_path / "artist" / "shot.blend", "1-3", seconds=60)
    master = farm.master()
    farm.slave(master, fake)
    job = farm.submit(master, fake, blend, "--simulations", "bake")
    api = MasterApi(master.url)
    wait_until(lambda: bakes(fake) == 1, 60, "the bake")
    farm.cli("cancel", job, "--master", master.url)
    broken = fake.build(tmp_path / "broken" / "shot.blend", "1-3")
    (broken.parent / "wood.png").write_bytes(b"other wood")
    broken.write_bytes(broken.read_bytes().replace(b'"seconds": 0.0', b'"seconds": -1 '))
    failed = farm.submit(master, fake, broken, "--simulations", "bake")
    assert api.wait(failed)["state"] == "failed"
    frames = api.get(f"api/v1/jobs/{failed}").json()["tasks"]
    assert all("this scene can't be baked" in frame["error"]["message"] for frame in frames), frames
    assert api.job(job)["state"] == "canceled"


def test_what_a_slave_would_refuse_to_bake_is_refused_before_it_is_sent(farm, any_blender, tmp_path):
    blend = tmp_path / "shot.blend"
    (tmp_path / "textures").mkdir()
    any_blender.run_forked(SCENES / "simulations.py", blend, tmp_path / "textures" / "made.png", "paint")
    farm.environ["NETRENDER_MASTER"] = "http://127.0.0.1:9"  # it asks nobody
    for choice, code in (("bake", USAGE), ("in-order", 0)):
        options = ["--simulations", choice, "--blender", any_blender.path, "--dry-run", "--json"]
        told = farm.cli("submit", blend, *options, code=code).json()
        simulations = [f for f in told["findings"] if f["kind"] == "simulation"]
        assert any(f["message"].startswith("Cloth") and f["severity"] == "info" for f in simulations)
        paint = next(f for f in simulations if f["message"].startswith("Dynamic paint"))
        assert paint["severity"] == ("wrong" if choice == "bake" else "info"), paint
