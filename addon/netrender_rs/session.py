# SPDX-License-Identifier: GPL-3.0-or-later
"""What lives as long as this Blender: the native handles, their last snapshots, and the one timer that
reads them.

Threading rules. Rust threads do the work and fill snapshots. Python threads (`Background`) only wait for
calls that take time, and never touch bpy. bpy is touched by the main thread alone: by operators, by draw
functions (which read what is here and ask for more with `watch()`, but start nothing), and by `tick()`,
which copies snapshots into WindowManager properties and redraws the Properties editors only when something
people can see has changed. Nothing in here is saved, and nothing in here knows panels or operators.
"""

import atexit
import os
import re
import shutil
import tempfile
import threading
import time
import traceback

import bpy

from . import native

INTERVAL_S = 0.25  # while something moves
IDLE_INTERVAL_S = 1.0
SHARE_OF_TIME = 0.05  # the timer never takes more of Blender's time than this

STOPPED = {
    "state": "stopped",
    "message": "",
    "master": "",
    "name": "",
    "error": None,
    "jobs": [],
    "slaves": [],
}


class Background:
    """A call that waits, in a thread of its own. Has the same face as Transfer below."""

    def __init__(self, call, *arguments):
        self.result = None
        self.error = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(call, *arguments), daemon=True)
        self._thread.start()

    def _run(self, call, *arguments):
        try:
            self.result = call(*arguments)
        except Exception as error:  # whatever it is, the artist reads it in the panel instead of losing it
            self.error = str(error) or type(error).__name__
        finally:
            self._done.set()

    def over(self):
        return self._done.is_set()

    def wait(self):
        # Short waits, so that Ctrl-C still reaches a script.
        while not self._done.wait(0.1):
            pass

    def cancel(self):
        """Calls on the network end by themselves; whoever started this looks away."""

    def state(self):
        if not self.over():
            return "running"
        return "failed" if self.error else "done"


class Transfer:
    """A native transfer with the folder that must go when it is over."""

    def __init__(self, handle, label, temporary="", on_end=None):
        self.handle = handle
        self.label = label
        self._temporary = temporary
        self._on_end = on_end
        self.snapshot = handle.snapshot()

    def read(self):
        """The snapshot, fresh while the transfer runs. The first call that sees its end also tidies up."""
        global report
        if self._temporary is not None:
            self.snapshot = self.handle.snapshot()
            if self.snapshot.get("report"):
                report = self.snapshot["report"]
            if self.snapshot["state"] != "running":
                remove_folder(self._temporary)
                self._temporary = None
                if self in transfers:
                    transfers.remove(self)
                if self._on_end is not None:
                    self._on_end(self.snapshot)
        return self.snapshot

    def over(self):
        return self.read()["state"] != "running"

    def wait(self):
        while not self.handle.wait(0.2):
            pass
        self.read()

    def cancel(self):
        self.handle.cancel()

    def state(self):
        return self.read()["state"]

    @property
    def error(self):
        return self.snapshot["error"] or ""

    def fraction(self):
        total = self.snapshot["bytes_total"]
        return min(1.0, self.snapshot["bytes_done"] / total) if total else 0.0


class Service:
    """A master or a slave in this Blender. `phase` bridges the time in which native starts or stops."""

    def __init__(self, kind):
        self.kind = kind
        self.handle = None
        self.snapshot = STOPPED
        self.error = ""
        self.phase = ""  # "", "starting", "stopping"

    def running(self):
        return self.handle is not None

    def start(self, handle):
        """Blocks until the service runs. Raises native errors. May be called on a thread."""
        self.handle, self.error, self.phase = handle, "", "starting"
        try:
            handle.start()
            self.snapshot = handle.snapshot()
        except Exception as error:
            self.handle, self.snapshot, self.error = None, STOPPED, str(error)
            raise
        finally:
            self.phase = ""

    def stop(self):
        """Blocks until the service is gone. Safe to call when there is none. May be called on a thread."""
        handle = self.handle
        if handle is None:
            return
        self.phase = "stopping"
        try:
            handle.stop()
        finally:
            self.handle, self.snapshot, self.phase = None, STOPPED, ""

    def read(self):
        handle = self.handle
        if handle is not None and self.phase != "starting":
            self.snapshot = handle.snapshot()
            if self.snapshot["state"] == "failed" and self.phase != "stopping":
                self.error = self.snapshot["error"] or "The service ended by itself"
        return self.snapshot


master = Service("master")
slave = Service("slave")
transfers = []  # those under way, oldest first
notice = ""  # one sentence about the last thing that went wrong out of sight
report = None  # what the files of the job sent or checked last look like; see Transfer.snapshot() in the .pyi
last_job = 0
last_file = ""

_client = None
_client_address = None
_client_started = False
_client_snapshot = STOPPED
_wanted_address = None
_errands = []  # Background calls nobody waits for, such as stopping a client
_seen = None
_select_job = 0  # sent just now: to be selected in the list as soon as it is there


def client_for(address):
    """The native Client for an address: the one that already watches it, else a new one that does not watch
    yet.
    """
    global _client, _client_address, _client_started, _client_snapshot
    if _client is None or address != _client_address:
        drop_client()
        _client = native.module().Client(address)
        _client_address = address
        _client_started = False
        _client_snapshot = STOPPED
    return _client


def drop_client():
    global _client, _client_address, _client_started, _client_snapshot
    if _client is not None and _client_started:
        _errands.append(Background(_client.stop))
    _client, _client_address, _client_started, _client_snapshot = None, None, False, STOPPED


def watch(address):
    """Called while a client panel is drawn: the timer shall watch this master. Starts nothing by itself."""
    global _wanted_address
    _wanted_address = address


def client_snapshot():
    return _client_snapshot


def may_look_around(address):
    """Blender 4.2+ asks add-ons to stay silent while Allow Online Access is off, unless the user names a
    place.
    """
    return bool(address) or getattr(bpy.app, "online_access", True)


def do_errand(call, *arguments):
    """A call whose failure is worth a sentence in the panel, and whose success shows by itself."""
    _errands.append(Background(call, *arguments))


def remember_job(snapshot):
    global last_job, notice, _select_job
    if snapshot["state"] == "done" and snapshot["job"] is not None:
        last_job, notice = snapshot["job"], ""
        _select_job = last_job
    elif snapshot["state"] == "failed":
        # The list of problems has a place of its own in the panel.
        notice = "" if problems() else snapshot["error"] or ""
    write_state()


def remember_check(snapshot):
    global notice
    notice = (snapshot["error"] or "") if snapshot["state"] == "failed" else ""


def problems():
    """How many things would go wrong with the job looked at last."""
    return report["problem_count"] if report else 0


def forget_report():
    """Another look is about to begin."""
    global report, notice
    report, notice = None, ""


def remember_file(path):
    global last_file
    last_file = path
    write_state()


def say(sentence):
    global notice
    notice = sentence


def write_state():
    """Copies into WindowManager what scripts read there. A file load may hand out a fresh one, hence a
    function.
    """
    state = bpy.context.window_manager.netrender
    state.last_job = last_job
    state.last_file = last_file


def sending():
    """0 to 1: how far the oldest transfer is."""
    return transfers[0].fraction() if transfers else 0.0


def rendering():
    """0 to 1: how far the slave's frame is, out of words such as "Sample 12/64"."""
    found = re.search(r"(\d+)\s*/\s*(\d+)", slave.snapshot.get("progress") or "")
    return min(1.0, int(found[1]) / max(1, int(found[2]))) if found else 0.0


def private_folder():
    """A new empty folder only this user can read."""
    return tempfile.mkdtemp(prefix="netrender-")


def remove_folder(path):
    if path:
        shutil.rmtree(path, ignore_errors=True)


def pickup_folder(job):
    """Where frames of a job land that the artist looks at. Goes when Blender quits, as its Render Result
    does.
    """
    farm = "".join(
        c if c.isalnum() else "_" for c in _client_snapshot.get("master") or _client_address or "farm"
    )
    path = os.path.join(bpy.app.tempdir, "netrender", farm, f"job_{job}")
    os.makedirs(path, exist_ok=True)
    return path


def tick():
    """The one timer. Returns the seconds until its next turn."""
    began = time.perf_counter()
    try:
        busy = read_all()
    except Exception as error:  # a timer that raises is never called again
        say(f"{type(error).__name__}: {error}. Please report this")
        traceback.print_exc()
        busy = False
    spent = time.perf_counter() - began
    return max(INTERVAL_S if busy else IDLE_INTERVAL_S, spent / SHARE_OF_TIME)


def read_all():
    """Reads every snapshot, shows what changed; True while something moves."""
    global _seen, _select_job, _client_started, _client_snapshot, notice
    wanted = _wanted_address
    if wanted is not None and not native.problem() and may_look_around(wanted):
        try:
            client = client_for(wanted)
            if not _client_started:
                client.start()
                _client_started = True
            _client_snapshot = client.snapshot()
        except Exception as error:
            _client_snapshot = dict(STOPPED, message=str(error))
    for transfer in list(transfers):
        transfer.read()
    for errand in [e for e in _errands if e.over()]:
        _errands.remove(errand)
        if errand.error:
            notice = errand.error
    seen = (
        [t.snapshot for t in transfers],
        (master.phase, master.error, master.read()),
        (slave.phase, slave.error, slave.read()),
        _client_snapshot.get("revision"),
        {k: v for k, v in _client_snapshot.items() if k not in ("jobs", "slaves")},
        (notice, last_job, last_file),
        report,
    )
    if seen != _seen:
        _seen = seen
        state = bpy.context.window_manager.netrender
        state.client_farm.show(_client_snapshot, _select_job)
        if any(job["id"] == _select_job for job in _client_snapshot["jobs"]):
            _select_job = 0
        state.master_farm.show(master.snapshot)
        state.show_findings(report)
        redraw()
    return bool(transfers or _errands or _wanted_address is not None or master.running() or slave.running())


def redraw():
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PROPERTIES":
                area.tag_redraw()


@bpy.app.handlers.persistent
def after_load(*_):
    global _seen
    _seen = None  # the properties may be new ones: fill them again
    write_state()


def stop_everything():
    """Ends threads and processes of ours. Safe to call twice, and at the end of the process."""
    global _wanted_address
    _wanted_address = None
    for transfer in list(transfers):
        transfer.cancel()
        remove_folder(transfer._temporary)
    transfers.clear()
    drop_client()
    for service in (slave, master):
        try:
            service.stop()
        except Exception as error:  # the others must still be stopped
            print(f"netrender: the {service.kind} did not stop cleanly: {error}")
    for errand in _errands:
        errand.wait()
    _errands.clear()


def register():
    atexit.register(stop_everything)
    bpy.app.handlers.load_post.append(after_load)
    if not bpy.app.background:  # timers never fire there
        bpy.app.timers.register(tick, first_interval=INTERVAL_S, persistent=True)


def unregister():
    global _seen, notice, report
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if after_load in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(after_load)
    stop_everything()
    atexit.unregister(stop_everything)
    _seen, notice, report = None, "", None
    master.error = slave.error = ""
