# SPDX-License-Identifier: GPL-3.0-or-later
"""What the farm says of what it did: timeline, story, failures, figures; and that a killed master still knows."""

import itertools
import time

from support.api import MasterApi
from support.farm import wait_until


def test_what_happened_is_told_and_outlives_the_master(farm, fake, tmp_path):
    began = time.time() * 1000
    blend = fake.build(tmp_path / "shot.blend", "1-3", seconds=0.1)
    master = farm.master()
    slave = farm.slave(master, fake, name="anna")
    job = farm.submit(master, fake, blend, "--wait")
    api = MasterApi(master.url)
    broken = api.submit(api.put_blend(b"garbage", "garbage.blend"), blender=list(fake.version[:2])).json()[
        "job"
    ]
    assert api.wait(broken)["state"] == "failed"
    farm.cli("set", job, "--priority", "70", "--master", master.url)
    farm.kill(master)
    master = farm.master(data=master.data, port=master.url.rsplit(":", 1)[1])
    farm.await_line(slave, "registered(.|\n)*registered")
    api = MasterApi(master.url)

    # Who rendered what when, one at a time, in the order in which they were handed in: small frames overtake each other
    spans = api.get("api/v1/timeline").json()
    assert sorted((s["frame"], s["ok"]) for s in spans if s["job"] == job) == [
        (1, True),
        (2, True),
        (3, True),
    ]
    failed = [s for s in spans if s["job"] != job]
    assert len(failed) == 3, "three attempts"
    assert not any(s["ok"] for s in failed)
    for one, next_one in itertools.pairwise(spans):
        assert began <= one["from_ms"] <= one["to_ms"] <= next_one["from_ms"] <= next_one["to_ms"]
    assert api.get(f"api/v1/timeline?to_ms={began:.0f}").json() == []
    assert api.get("api/v1/timeline?slave=9").json() == []

    # The story in sentences, newest first
    told = api.get("api/v1/history").json()
    texts = [one["text"] for one in reversed(told)]
    for earlier, later in (
        ("Slave anna came", f"Job {job} (shot) was sent, frames 1-3"),
        (f"Job {job} (shot) was sent, frames 1-3", f"Job {job} (shot) is finished"),
        (f"Job {job} (shot) is finished", f"Job {job} (shot) was edited: priority 70"),
    ):
        assert texts.index(earlier) < texts.index(later), texts
    assert len(api.get("api/v1/history?limit=2").json()) == 2

    # Failures, with what explains them
    errors = api.get("api/v1/errors").json()
    assert len(errors) == 3
    assert "garbage.blend" in errors[0]["detail"]
    assert (errors[0]["kind"], errors[0]["frame"], errors[0]["slave"]) == ("failure", 1, 1)

    # Figures
    stats = api.get("api/v1/stats").json()
    assert stats["frames_per_hour"] == 3
    assert stats["errors_24h"] == 3
    assert 0 < stats["utilisation"] < 1
    assert (stats["queue_frames"], stats["slaves_busy"]) == (0, 0)
    assert 0 < stats["disk"]["free_bytes"] < stats["disk"]["total_bytes"]
    assert stats["disk"]["films_bytes"] == sum(task["film_bytes"] for task in api.job(job)["tasks"])
    assert stats["disk"]["pieces_bytes"] > blend.stat().st_size / 10
    farm.stop(slave)
    wait_until(
        lambda: api.get("api/v1/history?limit=1").json()[0]["text"] == "Slave anna stopped", 10, "told"
    )
    refused = api.call("GET", "api/v1/history?limit=many")
    assert (refused.status, refused.error()["code"]) == (400, "bad_request")
