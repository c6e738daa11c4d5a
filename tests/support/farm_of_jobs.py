# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm with fake Blenders that render in no time, and jobs for it, for pages to show."""

import json

from support import fake_blender
from support.api import FakeSlave, MasterApi

TEXTURE = b"wood" * 1000


class FarmOfJobs:
    def __init__(self, env, slaves=2, master=None):
        self.env = env
        self.blender = fake_blender.FakeBlender(env.folder, env)
        self.master = master or env.master(name="Barn farm")
        self.api = MasterApi(self.master.url)
        self.slaves = [
            env.slave(self.master, self.blender, "--threads", 1, name=f"render-{n + 1}")
            for n in range(slaves)
        ]

    @property
    def url(self):
        return self.master.url

    def submit(self, name="shot", frames="1-6", seconds=0, seed=None, more=(), **spec):
        """Queues a job whose frames take this long each; its number. `more`: files it names besides, there or not."""
        blend = fake_blender.scene(frames, seed or name, ("wood.png", TEXTURE), 1000, seconds)
        pieces = self.api.put_pieces(blend, TEXTURE)
        assets = [
            {"source": f"/{place}", "place": place, "digest": digest, "bytes": len(content), "pieces": 1}
            for place, digest, content in zip(
                ("shots/shot.blend", "shots/wood.png"), pieces, (blend, TEXTURE), strict=True
            )
        ]
        manifest = {"version": 2, "blend": assets[0]["place"], "assets": [*assets, *more], "paths": []}
        answer = self.api.submit(
            self.api.put_blob(json.dumps(manifest).encode()),
            name=name,
            frames=frames,
            blender=fake_blender.VERSION[:2],
            width=fake_blender.WIDTH,
            height=fake_blender.HEIGHT,
            **spec,
        )
        return answer.json()["job"]


def state(farm, job):
    return farm.api.job(job)["state"]


def fail(farm, job, message, log):
    """All attempts of frame 1, by a slave that then goes."""
    slave = FakeSlave(farm.api, blender=fake_blender.VERSION)
    digest = farm.api.put_blob(log)
    for _ in range(farm.api.get("api/v1/info").json()["retry"]["attempts"]):
        error = {"kind": "render_failed", "message": message}
        lease = slave.lease()["lease"]
        body = {"slave": slave.id, "lease": lease, "job": job, "frame": 1, "error": error, "log": digest}
        assert farm.api.call("POST", "api/v1/failures", body).status == 204
        slave.held = []
    slave.leave()
