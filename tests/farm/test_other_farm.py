# SPDX-License-Identifier: GPL-3.0-or-later
"""A master that starts again with an empty folder is another farm: its job 1 is not the job 1 a slave has in memory."""

import shutil

from support.api import MasterApi


def test_the_new_farms_job_is_not_rendered_from_the_old_farms_scene(farm, fake, free_port, tmp_path):
    # Given a slave that rendered job 1 and keeps it warm
    master = farm.master(port=free_port)
    slave = farm.slave(master, fake)
    first = fake.build(tmp_path / "first.blend", "1-2", seconds=0.1)
    job = farm.submit(master, fake, first)
    assert MasterApi(master.url).wait(job)["state"] == "finished"

    # When the master comes back with an empty folder, and another scene is its job 1
    farm.kill(master)
    shutil.rmtree(master.data)
    master = farm.master(port=free_port)
    farm.await_slave(master.url, "slave")
    second = fake.build(tmp_path / "second.blend", "1-2", seconds=0.2)
    assert farm.submit(master, fake, second) == job
    assert MasterApi(master.url).wait(job)["state"] == "finished"

    # Then a Blender was started for it
    starts = [line for line in slave.text().splitlines() if "blender" in line and "started" in line]
    assert len(starts) == 2, "the old farm's scene was rendered for the new farm's job"
