# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a frame that slaves render together when one of them dies, comes late, is slow or of another kind."""

import calendar
import contextlib
import os
import re
import signal
import threading
import time

import pytest

from support.api import FakeSlave, MasterApi
from support.farm import wait_until
from support.sharing import submit

TIME = re.compile(r"^(\S+)Z .*rendered job=\d+ frame=\d+.* seconds=([\d.]+) samples=(\d+)\+(\d+)", re.M)


def parts(slave):
    """[(when it was rendered, seconds, first sample, samples)] of a slave's shares, by its log; times in seconds."""
    found = []
    for stamp, seconds, offset, samples in TIME.findall(slave.text()):
        day, clock = stamp.split("T")
        whole, fraction = clock.split(".")
        moment = calendar.timegm(time.strptime(f"{day} {whole}", "%Y-%m-%d %H:%M:%S")) + float(
            f"0.{fraction}"
        )
        found.append((moment, float(seconds), int(offset), int(samples)))
    return found


def ranges(slave):
    """[(first sample, the one after the last)] of a slave's shares."""
    return [(offset, offset + count) for _, _, offset, count in parts(slave)]


def samples(api, job):
    (task,) = api.job(job)["tasks"]
    return (task["samples"] or [0])[0]


def blender_of(farm, slave):
    """The process id of a slave's worker, which leads a group of its own."""
    number = re.findall(r"blender started pid=(\d+)", slave.text())[-1]
    assert int(number) in farm.running()
    return int(number)


class Slowed:
    """Lets a process run a third of the time, as a machine with other work does."""

    def __init__(self, pid, on_s=0.05, off_s=0.1):
        self.pid, self.on_s, self.off_s = pid, on_s, off_s
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.over.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGSTOP)
                self.over.wait(self.off_s)
                os.killpg(self.pid, signal.SIGCONT)
            self.over.wait(self.on_s)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGCONT)


def test_a_slave_killed_in_mid_frame_costs_one_upload_interval(
    farm, blender_program, tmp_path, record_property
):
    interval = 2
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-1", "samples=8000", "size=96x54")
    master = farm.master("--slave-timeout", "2")
    api = MasterApi(master.url)
    options = ("--threads", "1", "--upload-interval", interval)
    lost, other = (farm.slave(master, blender_program, *options, name=name) for name in ("anna", "ben"))
    job = submit(farm, master, blender_program, blend, "--split", "samples")
    # Given two slaves that know their speed, and one of them killed in the midst of a share
    wait_until(lambda: len(parts(lost)) >= 4 and len(parts(other)) >= 4, 60, "both are in full swing")
    began = parts(lost)[-1][0]
    wait_until(lambda: time.time() > began + interval / 2, 10, "the midst of it")
    farm.kill(lost)
    api.wait(job)
    # Then at no moment would its end have cost more than an interval: of what it had rendered one share was on its way
    # at the most, and none had more samples than it had been able to render in that time.
    twice = [
        min(end, other_end) - max(offset, other_offset)
        for offset, end in ranges(lost)
        for other_offset, other_end in ranges(other)
        if max(offset, other_offset) < min(end, other_end)
    ]
    sizes = [count for *_, count in parts(lost)]
    speeds = [count / seconds for _, seconds, _, count in parts(lost)]
    record_property("rendered twice, samples", sum(twice))
    record_property("shares, seconds", [seconds for _, seconds, *_ in parts(lost)])
    assert sum(twice) <= max(sizes)
    for number in range(3, len(sizes)):  # before that its speed may be unknown: one is leased ahead
        assert sizes[number] <= 1.01 * interval * max(speeds[: number - 1])
    everything = sorted({*ranges(lost), *ranges(other)})
    assert (everything[0][0], everything[-1][1]) == (0, 8000)


def test_a_slave_that_comes_late_helps_at_once(farm, blender_program, tmp_path, record_property):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-1", "samples=40000", "size=96x54")
    master = farm.master()
    api = MasterApi(master.url)
    farm.slave(master, blender_program, "--threads", "1", name="anna")
    job = submit(farm, master, blender_program, blend, "--split", "samples")
    wait_until(lambda: samples(api, job) > 0, 60, "the first samples")
    late = farm.slave(master, blender_program, "--threads", "1", name="ben")
    began = time.monotonic()
    wait_until(lambda: late.lines("lease granted"), 3, "a share for the late one")
    record_property("ready to share, seconds", f"{time.monotonic() - began:.3f}")
    wait_until(lambda: parts(late), 60, "it is rendered")
    farm.cli("cancel", job, "--master", master.url)


def test_no_slave_waits_long_for_a_slow_one(farm, blender_program, tmp_path, record_property):
    # Given three slaves of which one has a third of its processor
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-1", "samples=12000", "size=96x54")
    master = farm.master()
    api = MasterApi(master.url)
    slaves = [
        farm.slave(master, blender_program, "--threads", "1", "--upload-interval", "2", name=name)
        for name in ("anna", "ben", "carl")
    ]
    with Slowed(blender_of(farm, slaves[2])):
        job = submit(farm, master, blender_program, blend, "--split", "samples")
        api.wait(job)
    # Then it did less than the others, and the last share of each ends within two of the longest of the last shares. (A
    # slave has one in hand and one leased ahead.)
    done = [sum(count for *_, count in parts(slave)) for slave in slaves]
    record_property("samples of each", done)
    assert done[2] < min(done[:2])
    ends = [parts(slave)[-1][0] for slave in slaves]
    lengths = [max(seconds for _, seconds, *_ in parts(slave)[-2:]) for slave in slaves]
    record_property("idle at the end, seconds", f"{max(ends) - min(ends):.2f}")
    record_property("last shares, seconds", [f"{length:.2f}" for length in lengths])
    assert max(ends) - min(ends) <= 2 * max(max(lengths), 1.0)


def test_a_slave_with_another_blender_keeps_away_from_a_frame_that_is_begun(farm, blender_program, tmp_path):
    blend = blender_program.build(tmp_path / "shot.blend", "frames=1-1", "samples=40000", "size=96x54")
    master = farm.master()
    api = MasterApi(master.url)
    farm.slave(master, blender_program, "--threads", "1", name="anna")
    job = submit(farm, master, blender_program, blend, "--split", "samples")
    wait_until(lambda: samples(api, job) > 0, 60, "it is begun")
    major, minor, patch = blender_program.version
    odd = FakeSlave(api, "odd", (major, minor, patch + 1))
    (status,) = (slave["status"] for slave in api.slaves() if slave["name"] == "odd")
    assert f"frame 1 was begun with Blender {major}.{minor}.{patch}" in status
    listed = farm.cli("slaves", "--master", master.url).out
    assert re.search(r"anna +\S+ +CPU ", listed), listed
    farm.cli("cancel", job, "--master", master.url)
    odd.leave()


@pytest.mark.parametrize("device", ["cuda", "metal"])
def test_a_device_that_is_not_there_is_said_at_the_start(farm, blender_program, tmp_path, device):
    folder = tmp_path / "slave"
    options = ["--data", folder, "--blender", blender_program.path, "--device", device]
    refused = farm.cli("slave", "--master", "127.0.0.1:1", *options, code=1)
    assert f"no {device} device" in refused.err
    assert "it has cpu" in refused.err
    assert farm.running() == {}
