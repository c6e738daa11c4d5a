# SPDX-License-Identifier: GPL-3.0-or-later
"""Slaves whose data folders are copies of each other, and with them the key by which a master knows a slave."""

import os
import shutil
import signal

from support.api import MasterApi
from support.fake_blender import FakeBlender
from support.farm import wait_until


def test_two_slaves_with_one_key_both_work_and_a_killed_one_is_known_again(farm, tmp_path):
    fake = FakeBlender(tmp_path, farm)
    master = farm.master("--slave-timeout", "8")
    api = MasterApi(master.url)
    # Given a slave's folder that was copied while it did not run
    first = farm.slave(master, fake, name="one")
    farm.stop(first)
    shutil.copytree(first.data, tmp_path / "two-data")
    # When both run
    one, two = farm.slave(master, fake, name="one"), farm.slave(master, fake, name="two")
    blend = fake.build(tmp_path / "scene.blend", "1-4", seconds=1.0)
    farm.submit(master, fake, blend, "--wait")

    # Then they are two, and each rendered frames once
    ready = {slave["name"]: slave["id"] for slave in api.slaves() if slave["state"] == "ready"}
    assert set(ready) == {"one", "two"}
    assert (one.data / "slave.key").read_text() != (two.data / "slave.key").read_text()
    assert fake.renders() == 4
    assert len({row[3] for row in fake.ledger.read() if row[0] == "began"}) == 2, "two Blenders"
    assert one.lines("takes a new key") + two.lines("takes a new key")

    # And one that was killed is the same slave again at once, although it could not say goodbye
    farm.kill(two)
    key = (two.data / "slave.key").read_text()
    again = farm.slave(master, fake, name="two", wait=False)
    wait_until(lambda: again.lines("registered"), 30, "the killed slave is back")
    assert not again.lines("takes a new key")
    assert (two.data / "slave.key").read_text() == key
    assert {s["name"]: s["id"] for s in api.slaves() if s["state"] == "ready"} == ready


def test_a_slave_whose_machine_lost_its_power_is_known_again(farm, tmp_path):
    """Its connection still stands at the master, for nobody closed it."""
    fake = FakeBlender(tmp_path, farm)
    master = farm.master("--slave-timeout", "8")
    api = MasterApi(master.url)
    # Given a slave that is stopped: its connection stands, and nothing comes through
    first = farm.slave(master, fake, name="one")
    (slave,) = api.slaves()
    os.kill(first.popen.pid, signal.SIGSTOP)
    # When it runs again, elsewhere as far as the master can see
    shutil.copytree(first.data, tmp_path / "again-data")
    again = farm.slave(master, fake, name="again", wait=False)
    wait_until(lambda: again.lines("registered"), 60, "it is back")

    # Then it is the same slave
    assert not again.lines("takes a new key")
    assert [known["id"] for known in api.slaves()] == [slave["id"]]
    farm.kill(first)
