# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's own behaviour in real Blenders: it comes and goes without a trace, says what is wrong, keeps its
settings in the .blend, and runs a service until a signal. The farm behind it is a stub (support/stub_native.py); the
tests with a real farm are test_headless.py and gui/."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest

from support.addon import StubbedAddon
from support.paths import ADDON


@pytest.fixture
def run(any_blender, tmp_path):
    """Runs Python text in a Blender with the add-on and the stub; returns what it said."""
    return StubbedAddon(any_blender, tmp_path)


def test_it_comes_and_goes_without_a_trace(run):
    run("""
import gc
def traces():
    kept = [n for n in dir(bpy.types) if "netrender" in n.lower()]
    engines = [p.__name__ for p in bpy.types.Panel.__subclasses__()
               if "NET_RENDER" in getattr(p, "COMPAT_ENGINES", ())]
    handlers = [h for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)
                for h in getattr(bpy.app.handlers, name) if "netrender" in h.__module__]
    timer = bpy.app.timers.is_registered(netrender_rs.runtime.session.timer.tick)
    properties = hasattr(bpy.types.Scene, "netrender") or hasattr(bpy.types.WindowManager, "netrender")
    return kept, engines, handlers, timer, properties

assert "RENDER_PT_format" in traces()[1] and "RENDER_PT_output" in traces()[1]
for _ in range(3):
    netrender_rs.unregister()
    assert traces() == ([], [], [], False, False), traces()
    netrender_rs.register()
bpy.ops.netrender.start_master()
netrender_rs.unregister()
import netrender_native
assert netrender_native.calls == ["start master", "stop master"], netrender_native.calls
""")


def test_without_the_compiled_module_it_registers_and_says_so(run):
    run.without_native()
    run("""
assert "netrender_native" in netrender_rs.native.problem()
for name in ("send_job", "send_frame", "get_frame", "find_master", "start_master", "start_slave", "cancel_job"):
    said = refused(getattr(bpy.ops.netrender, name))
    assert "compiled part" in said or "poll() failed" in said, said
netrender_rs.unregister()
netrender_rs.register()
""")


def wheel(folder, tag, content):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"netrender_rs-0.1.0-cp310-abi3-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("netrender_native.py", content)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the wheels' names are Linux ones")
def test_the_bundled_wheel_is_found(run):
    stub = (run.modules / "netrender_native.py").read_text()
    (run.modules / "netrender_native.py").unlink()
    shutil.copytree(ADDON, run.folder / "installed" / "netrender_rs")
    run.environ["ADDON_FOLDER"] = str(run.folder / "installed")
    wheels = run.folder / "installed" / "netrender_rs" / "wheels"

    # Given a wheel for another system only: the reason names both
    wheel(wheels, "win_amd64", "")
    (run.modules / "netrender_native.py").write_text('raise ImportError("not here")')
    run("""assert "made for win_amd64" in netrender_rs.native.problem(), netrender_rs.native.problem()""")

    # Given one for this system too: it is unpacked and used
    (run.modules / "netrender_native.py").unlink()
    wheel(wheels, f"manylinux_2_28_{os.uname().machine}", stub)
    # The test's own Python may have the real module installed: that one may be found first.
    said = run("""
import netrender_native
print("FOUND", netrender_native.__file__, bool(netrender_rs.native.problem()))
netrender_rs.unregister()
assert not any("netrender_rs" in p and "0.1.0-" in p for p in sys.path)
netrender_rs.register()
assert not netrender_rs.native.problem()
""")
    found = next(line for line in said.splitlines() if line.startswith("FOUND"))
    assert found.endswith("False")
    assert "datafiles" in found or "site-packages" in found


def test_settings_live_in_the_blend(run, tmp_path):
    blend = tmp_path / "master.blend"
    run(
        """
s = scene.netrender
s.mode = "MASTER"
s.master.port, s.master.host, s.master.name, s.master.broadcast = 9001, "10.0.0.1", "Studio", False
s.slave.threads_mode, s.slave.threads, s.slave.tags = "FIXED", 6, "gpu, big"
s.job.priority, s.job.category = 70, "films"
wm.netrender.last_job = 12
bpy.ops.wm.save_as_mainfile(filepath=arguments[0])
""",
        blend,
    )
    run(
        """
bpy.ops.wm.open_mainfile(filepath=arguments[0])
s = bpy.context.scene.netrender
assert (s.mode, s.master.port, s.master.host, s.master.name, s.master.broadcast) == (
    "MASTER", 9001, "10.0.0.1", "Studio", False)
assert (s.slave.threads_mode, s.slave.threads, s.slave.tags) == ("FIXED", 6, "gpu, big")
assert (s.job.priority, s.job.category) == (70, "films")
assert bpy.context.window_manager.netrender.last_job == 0
slave = netrender_rs.runtime.new_slave(bpy.context.scene)
assert slave.keywords["threads"] == 6 and slave.keywords["tags"] == ["gpu", "big"]
assert slave.arguments[0] == (bpy.app.binary_path or sys.executable)
home = os.path.join(os.environ["XDG_DATA_HOME"], "netrender")
assert slave.data == os.path.join(home, "slave")

# What the environment names comes first; a folder of both services is an old name
os.environ["NETRENDER_PORT"], os.environ["NETRENDER_MASTER_DATA"] = "9100", "/tmp/elsewhere"
master = netrender_rs.runtime.new_master(bpy.context.scene)
assert (master.keywords["port"], master.data) == (9100, "/tmp/elsewhere")
assert netrender_rs.runtime.new_slave(bpy.context.scene).data == os.path.join(home, "slave")
os.environ["NETRENDER_DATA"] = "/tmp/old"
assert netrender_rs.runtime.new_master(bpy.context.scene).data == "/tmp/elsewhere"
assert netrender_rs.runtime.new_slave(bpy.context.scene).data == "/tmp/old"
os.environ["NETRENDER_MASTER_PORT"], os.environ["NETRENDER_SLAVE_DATA"] = "9200", "/tmp/slave"
master = netrender_rs.runtime.new_master(bpy.context.scene)
assert (master.keywords["port"], master.data) == (9200, "/tmp/elsewhere")
assert netrender_rs.runtime.new_slave(bpy.context.scene).data == "/tmp/slave"
""",
        blend,
    )


def test_send_job_hands_over_a_copy_and_leaves_the_session_alone(run, tmp_path):
    blend = tmp_path / "shots" / "a.blend"
    blend.parent.mkdir()
    run(
        """
import netrender_native as native
assert "Save the .blend file first" in refused(bpy.ops.netrender.send_job) or bpy.app.version < (3, 5)
scene.frame_start, scene.frame_end, scene.frame_current = 3, 9, 5
scene.render.resolution_x, scene.render.resolution_y = 80, 60
bpy.ops.wm.save_as_mainfile(filepath=arguments[0])
scene.render.engine = "NET_RENDER"
scene.frame_end = 12
saved = os.stat(arguments[0]).st_mtime_ns
assert bpy.ops.netrender.send_job() == {"FINISHED"}
assert wm.netrender.last_job == 1
request = native.requests[0]
assert request["source"] == bpy.data.filepath == arguments[0]
assert os.path.basename(request["blend"]) == "a.blend" and request["blend"] != arguments[0]
assert not os.path.exists(os.path.dirname(request["blend"])), "the copy stays behind"
assert request["frames"] is None and request["engine"] == "CYCLES" and request["name"] == "a"
assert request["scene"] == scene.name and request["send_anyway"] is False
assert request["program"] == (bpy.app.binary_path or sys.executable)
assert os.stat(arguments[0]).st_mtime_ns == saved, "the artist's file was written"

assert bpy.ops.netrender.send_frame() == {"FINISHED"}
assert native.requests[1]["frames"] == "5" and wm.netrender.last_job == 2
scene.netrender.job.frames = "1-10,15"
bpy.ops.netrender.send_job()
assert native.requests[2]["frames"] == "1-10,15"

bpy.ops.netrender.cancel_job(job=1)
assert native.jobs[0]["state"] == "canceled"
assert "There is no job 99" in refused(bpy.ops.netrender.cancel_job, job=99)
bpy.ops.netrender.find_master()
assert scene.netrender.client.master == "http://127.0.0.1:8000"
""",
        blend,
    )


def test_what_would_go_wrong_is_named_before_sending(run, tmp_path):
    run(
        """
import netrender_native as native
bpy.ops.wm.save_as_mainfile(filepath=arguments[0])
painted = bpy.data.images.new("Face", 4, 4)
painted.use_fake_user = True
painted.pixels[0] = 0.5
painted.update()
finding = {"kind": "missing", "path": "/textures/gone.png", "user": "image gone", "why": "No such file"}
native.problems.append(finding)
assert "gone.png" in refused(bpy.ops.netrender.send_job)
assert native.requests[0]["unsaved_images"] == ["Face"]
assert wm.netrender.last_job == 0
assert bpy.ops.netrender.check_files() == {"FINISHED"}
from netrender_rs.runtime import session
assert session.transfers.problem_count() == 1
wm.netrender.show_findings(session.transfers.report)
assert [(f.name, f.is_problem) for f in wm.netrender.findings] == [("/textures/gone.png", True)]
assert wm.netrender.findings[0].heading == "Missing files"
assert bpy.ops.netrender.send_job(send_anyway=True) == {"FINISHED"}
assert wm.netrender.last_job == 1
for camera in [o for o in bpy.data.objects if o.type == "CAMERA"]:
    bpy.data.objects.remove(camera)
assert "no camera" in refused(bpy.ops.netrender.send_job)
""",
        tmp_path / "a.blend",
    )


def test_files_added_by_hand_are_kept_with_the_scene(run, tmp_path):
    run(
        """
folder = os.path.dirname(arguments[0])
bpy.ops.wm.save_as_mainfile(filepath=arguments[0])
job = scene.netrender.job
bpy.ops.netrender.add_files(directory=folder, files=[{"name": "a.usd"}, {"name": "b.usd"}])
bpy.ops.netrender.add_files(directory=folder, files=[{"name": "a.usd"}])
bpy.ops.netrender.add_files(directory=folder, relative_path=False)
assert [item.path for item in job.extra] == ["//a.usd", "//b.usd", folder], [i.path for i in job.extra]
job.extra_index = 1
bpy.ops.netrender.remove_file()
bpy.ops.wm.save_as_mainfile(filepath=arguments[0])
bpy.ops.wm.open_mainfile(filepath=arguments[0])
assert [item.path for item in bpy.context.scene.netrender.job.extra] == ["//a.usd", folder]
""",
        tmp_path / "a.blend",
    )


SERVE = """
scene.render.engine = "NET_RENDER"
scene.render.filepath = os.environ["PICTURES"]
scene.frame_start, scene.frame_end = 1, 3
scene.netrender.mode = os.environ["MODE"]
bpy.ops.render.render(animation=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("mode", "line"), [("MASTER", "listens on http"), ("SLAVE", "works for")])
def test_the_engine_serves_until_a_signal(run, mode, line, number):
    pictures = run.folder / "pictures"
    run.environ.update(PICTURES=f"{pictures}/####", MODE=mode)
    process, log = run.serve(SERVE, until=line)
    process.send_signal(number)
    try:
        assert process.wait(10) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert "stopped" in log.read_text()
    assert not pictures.exists()


@pytest.mark.parametrize(
    ("mode", "fail", "code", "words"),
    [("MASTER", "1", 1, "did not start: Port 8000 is taken"), ("CLIENT", "", 2, "is set to Client")],
)
def test_an_engine_that_cannot_serve_says_why_and_writes_nothing(run, mode, fail, code, words):
    pictures = run.folder / "pictures"
    run.environ.update(PICTURES=f"{pictures}/####", MODE=mode, STUB_FAIL=fail)
    done = subprocess.run(
        run.blender.command(run.script(SERVE)),
        env=run.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert not pictures.exists()
