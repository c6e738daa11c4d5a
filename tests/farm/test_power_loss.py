# SPDX-License-Identifier: GPL-3.0-or-later
"""What was answered survives a power cut. The master works on a file system of its own in an image; a copy of
the image, made while the master is stopped right after its answer, is what a disk would hold if the power had gone
then: whatever the system had not been told to write is not in it."""

import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.api import FakeSlave, MasterApi
from support.farm import PROGRAM

MIB = 1 << 20


@contextmanager
def mounted(image, place):
    place.mkdir()
    # Nothing is written back by itself for as long as the test takes, but for what somebody syncs.
    subprocess.run(["mount", "-o", "loop,commit=600", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def image(as_root, tmp_path):
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(96 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)
    return path


class Story:
    """A job's life, one answer after the other. `moments` are (name, copy of the disk, what must be true of it)."""

    def __init__(self, farm, image, disk, picture):
        self.image, self.moments = image, []
        self.master = farm.master(data=disk / "data")
        self.api = MasterApi(self.master.url)
        self.picture = picture

    def cut(self, name, holds):
        self.master.popen.send_signal(signal.SIGSTOP)
        copy = self.image.with_name(f"{name}.img")
        subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
        self.master.popen.send_signal(signal.SIGCONT)
        self.moments.append((name, copy, holds))

    def tell(self):
        api = self.api
        manifest = api.put_blend(b"scene" * 10_000)
        job = api.submit(manifest, frames="1-2").json()["job"]
        self.cut("accepted", lambda api: api.job(job)["total"] == 2)
        slave = FakeSlave(api)
        assert slave.lease()["frames"] == [1]
        assert slave.hand_in(job, 1, self.picture).json() == {"fresh": True}
        self.cut("done", lambda api: api.get(f"render_{job}_1.exr").body == self.picture)
        assert api.call("POST", f"api/v1/jobs/{job}/pause").status == 204
        self.cut("paused", lambda api: api.job(job)["status"] == "Paused")
        assert api.call("PUT", f"api/v1/jobs/{job}/blacklist/{slave.id}").status == 204
        self.cut("blacklisted", lambda api: api.job(job)["blacklist"] == [slave.id])
        other = api.submit(api.put_blend(b"other" * 10_000)).json()["job"]
        assert api.call("DELETE", f"api/v1/jobs/{job}").status == 204
        self.cut("deleted", lambda api: [one["id"] for one in api.jobs()] == [other])


@pytest.fixture
def picture(blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend")
    return blender_program.render_local(blend, [1], tmp_path / "local")[1].read_bytes()


def survived(farm, name, copy, holds, tmp_path):
    """Whether a master started on what the disk holds has what was answered; and why not."""
    place = tmp_path / name
    with mounted(copy, place):
        checked = farm.run([PROGRAM, "check", "--data", place / "data", "--json"])
        if checked.code != 0:
            return False, checked.out + checked.err
        master = farm.master(data=place / "data", name=f"after-{name}")
        api = MasterApi(master.url)
        try:
            return holds(api), f"it has {api.jobs()}"
        except AssertionError as error:
            return False, str(error)
        finally:
            farm.stop(master)


def test_what_was_answered_survives_a_power_cut(farm, image, picture, tmp_path):
    with mounted(image, tmp_path / "disk") as disk:
        story = Story(farm, image, disk, picture)
        story.tell()
        farm.stop(story.master)
    for moment in story.moments:
        kept, why = survived(farm, *moment, tmp_path)
        assert kept, f"{moment[0]}: {why}"


def test_the_power_cut_is_one(farm, image, picture, tmp_path):
    """Without syncing the same story must not survive, or the test above would prove nothing."""
    found = sorted(Path("/usr/lib").glob("*/libeatmydata.so"))
    assert found, "libeatmydata is not installed: run scripts/setup --test"
    farm.environ["LD_PRELOAD"] = str(found[0])
    with mounted(image, tmp_path / "disk") as disk:
        story = Story(farm, image, disk, picture)
        story.tell()
        farm.stop(story.master)
    del farm.environ["LD_PRELOAD"]
    assert [moment[0] for moment in story.moments if survived(farm, *moment, tmp_path)[0]] == []
