# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for a job: what that costs, and what the frames that come are called."""

import time

from support.api import FakeSlave, MasterApi
from support.fake_blender import film
from support.farm import PROGRAM, wait_until
from support.tcp_relay import TcpRelay

LOOK = "0" * 64


def test_waiting_costs_little_however_many_frames_there_are(farm, fake, tmp_path, record_property):
    # Given a job of 100,000 frames, of which some are done
    blend = fake.build(tmp_path / "a.blend", "1-100000")
    master = farm.master()
    api = MasterApi(master.url)
    job = farm.submit(master, fake, blend)
    slave = FakeSlave(api)
    for frame in (1, 2, 3, 50_000):
        assert slave.hand_in(job, frame, film(LOOK, frame)).status == 200

    # When somebody asks how far it is, then the answer is short, and says which frames are done if that is asked
    short = api.get(f"api/v1/jobs/{job}/progress")
    seen = short.json()
    assert (seen["done"], seen["total"], seen["done_frames"]) == (4, 100_000, None)
    assert api.get(f"api/v1/jobs/{job}/progress?frames=true").json()["done_frames"] == "1-3,50000"
    brief = api.get(f"api/v1/jobs/{job}/summary")
    assert (brief.json()["errors"], brief.json()["warnings"]) == ([], [])
    assert max(len(short.body), len(brief.body)) < 1000
    for path in ("progress", "summary"):
        assert api.call("GET", f"api/v1/jobs/99/{path}").status == 404

    # And a client that waits for another one of that length reads no more, and gets its frames at once
    with TcpRelay(master.url) as line:
        command = [PROGRAM, "submit", blend, "--master", line.url, "--blender", fake.path, "--split", "off"]
        client = farm.spawn("client", [*command, "--wait", "--output", tmp_path / "films"])
        farm.await_line(client, "0 of 100000 frames done")
        before, began = line.down, time.monotonic()
        wait_until(lambda: line.down > before + 1500, 20, "it looks several times")
        a_second = (line.down - before) / (time.monotonic() - began)
        record_property("waiting_bytes_per_s", round(a_second))
        assert a_second < 5000
        (other,) = {row["id"] for row in api.jobs()} - {job}
        assert slave.hand_in(other, 70_000, film(LOOK, 1)).status == 200
        wait_until((tmp_path / "films" / "70000.exr").exists, 10, "the frame is fetched")
        assert line.down - before < 30_000
        farm.kill(client)


def test_frames_are_called_as_blender_calls_them(farm, fake, tmp_path):
    blend = fake.build(tmp_path / "a.blend", "-5--4,7", seconds=0.01)
    master = farm.master()
    farm.slave(master, fake)
    films = tmp_path / "films"
    farm.submit(master, fake, blend, "--wait", "--output", films)
    assert sorted(path.name for path in films.iterdir()) == ["-0004.exr", "-0005.exr", "0007.exr"]
