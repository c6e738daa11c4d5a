# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on's lists can do to jobs and slaves, called as scripts call it, in a Blender with a real master."""

import pytest

from support.addon import copy_native_module
from support.api import FakeSlave, MasterApi
from support.paths import ADDONS

BEGIN = """
import bpy, sys, time
sys.path.insert(0, "@ADDON@")
import netrender_rs, netrender_native
from netrender_rs.runtime import session
netrender_rs.register()
wm, scene, ops = bpy.context.window_manager, bpy.context.scene, bpy.ops.netrender
arguments = sys.argv[sys.argv.index("--") + 1:]

def refused(call, **keywords):
    try:
        call(**keywords)
    except RuntimeError as error:
        return str(error)
    raise AssertionError("was not refused")
"""

CLIENT = """
address = arguments[0]
scene.netrender.client.master = address
farm = netrender_native.Client(address)

ops.pause_job(job=1)
assert farm.job(1)["state"] == "paused"
ops.resume_job(job=1)
assert farm.job(1)["state"] == "active"
ops.set_priority(job=1, priority=80)
assert farm.job(1)["priority"] == 80
ops.cancel_job(job=1)
assert farm.job(1)["state"] == "canceled"
ops.requeue_job(job=1)
assert farm.job(1)["state"] == "active"
ops.blacklist_slave(job=1, slave=1)
assert farm.job(1)["blacklist"] == [1] and farm.job_summary(1)["blacklist"] == [1]
ops.unblacklist_slave(job=1, slave=1)
assert farm.job(1)["blacklist"] == []
ops.cancel_all()
assert [farm.job(number)["state"] for number in (1, 2, 3)] == ["canceled"] * 3
ops.delete_job(job=3)
assert "no job 3" in refused(ops.pause_job, job=3)

# Without a number: the one selected in the list; without a list: the one sent last; else it is said
assert "No job is selected" in refused(ops.requeue_job)
assert "No slave is selected" in refused(ops.pause_slave)
assert "was picked up" in refused(ops.open_folder, job=1)
assert "Not connected" in refused(ops.open_monitor) or bpy.app.version < (3, 5)
session.client_farm.watch(address)
while not session.client_farm.lists.is_connected():
    session.client_farm.read()
    time.sleep(0.05)
session.show(wm.netrender)
rows = wm.netrender.client_farm
assert [(row.number, row.name, row.state) for row in rows.jobs] == [
    (1, "one", "canceled"), (2, "two", "canceled")], [row.name for row in rows.jobs]
rows.job_index = 0
ops.requeue_job()
assert [farm.job(number)["state"] for number in (1, 2)] == ["active", "canceled"]
assert rows.selected_slave().name == "anna"
ops.pause_slave()
ops.resume_slave()
ops.pause_slave(slave=1)
while not rows.selected_slave().paused:
    session.client_farm.read()
    session.show(wm.netrender)
    time.sleep(0.05)

# The field in the panel: the last of many values is sent once it stands still
rows.priority = 70
rows.priority = 71
assert rows.priority == 71
while farm.job(1)["priority"] != 71:
    session.read_all()
    time.sleep(0.05)

# A picture becomes an icon, whatever its shape
for number, (width, height) in enumerate([(48, 27), (27, 48), (1, 192)]):
    session.thumbnails.load((False, number), width, height, bytes([10, 20, 30, 255]) * width * height)
    preview = session.thumbnails.previews[str((False, number))]
    assert tuple(preview.image_size) == (width, height)
    assert set(preview.image_pixels) == {int.from_bytes(bytes([10, 20, 30, 255]), "little", signed=True)}
    assert len(set(preview.icon_pixels)) == 2, "a picture in the middle of nothing"
netrender_rs.unregister()
assert session.thumbnails.previews is None
"""

MASTER = """
master = scene.netrender.master
master.folder, master.port, master.host, master.broadcast = arguments[0], 0, "127.0.0.1", False
scene.netrender.mode = "MASTER"
assert "not running" in refused(ops.pause_job, job=1)
ops.start_master()
farm = netrender_native.Client(session.master.read()["url"])
session.show(wm.netrender)
rows = wm.netrender.master_farm
assert [row.number for row in rows.jobs] == [1, 2, 3]
assert rows.selected_job().number == 3, "the newest is not selected"
ops.pause_job()
assert farm.job(3)["state"] == "paused"
rows.job_index = 1
ops.delete_job()
while [row.number for row in rows.jobs] != [1, 3]:
    session.master.read()
    session.show(wm.netrender)
    time.sleep(0.05)
ops.cancel_all()
assert [farm.job(number)["state"] for number in (1, 3)] == ["canceled"] * 2
netrender_rs.unregister()
"""


@pytest.fixture
def run(any_blender, farm):
    """Runs Python text in a Blender with the add-on and the compiled module, and nothing else of the tests' Python."""
    modules = copy_native_module(farm.folder / "modules")

    def run(text, *arguments):
        script = farm.folder / "script.py"
        script.write_text(BEGIN.replace("@ADDON@", str(ADDONS)) + text)
        done = farm.run(any_blender.command(script, *arguments), PYTHONPATH=str(modules))
        assert done.code == 0, done.out + done.err

    return run


def with_jobs(master):
    """Three jobs that nobody renders, and a slave that asks for nothing."""
    api = MasterApi(master.url)
    manifest = api.put_blend(b"BLENDER of a test")
    for name in ("one", "two", "three"):
        assert api.submit(manifest, name=name).status == 201
    FakeSlave(api, "anna")


def test_a_clients_buttons(farm, run):
    master = farm.master()
    with_jobs(master)
    run(CLIENT, master.url)


def test_a_masters_buttons(farm, run):
    master = farm.master()
    with_jobs(master)
    farm.stop(master)
    run(MASTER, master.data)
