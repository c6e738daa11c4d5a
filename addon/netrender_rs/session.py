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
import time
import traceback

import bpy

from . import closer, native, status, thumbs, writing
from .background import Background
from .languages import rpt_
from .mirror import STOPPED, Mirror

INTERVAL_S = 0.25  # while something moves
IDLE_INTERVAL_S = 1.0
FILLING_INTERVAL_S = 0.05  # while there are rows of the lists that did not fit into one turn
SHARE_OF_TIME = 0.05  # the timer takes no more of Blender's time than this
LONGEST_PAUSE_S = 2.0  # a turn is long, too, when the machine is busy with other things


class Transfer:
    """A native transfer with the folder that must go when it is over."""

    def __init__(self, handle, label, temporary="", on_end=None):
        self.handle = handle
        self.label = label
        self._temporary = temporary
        self._on_end = on_end
        self.hears_esc = False  # while an operator waits for it
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

    def __init__(self, kind, farm=None):
        self.kind = kind
        self.farm = farm  # a master's lists
        self.handle = None
        self.snapshot = STOPPED
        self.error = ""
        self.phase = ""  # "", "starting", "stopping"
        self.more = False  # rows of the lists that did not fit into the last turn

    def running(self):
        return self.handle is not None

    def start(self, handle):
        """Blocks until the service runs. Raises native errors. May be called on a thread."""
        self.handle, self.error, self.phase = handle, "", "starting"
        try:
            handle.start()
            if self.farm is None:  # lists belong to the main thread: read() follows
                self._look(handle)
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

    def _look(self, handle):
        if self.farm is None:
            self.snapshot = handle.snapshot()
        else:
            self.more = self.farm.read(handle)
            self.snapshot = self.farm.head

    def read(self):
        handle = self.handle
        if handle is None:
            if self.farm is not None:
                self.farm.close()
        elif self.phase != "starting":
            self._look(handle)
            if self.snapshot["state"] == "failed" and self.phase != "stopping":
                self.error = self.snapshot["error"] or "The service ended by itself"
        return self.snapshot


client_farm = Mirror()  # the master that this Blender sends to
master_farm = Mirror()  # the one it is
master = Service("master", master_farm)
slave = Service("slave")
transfers = []  # those under way, oldest first
notice = ""  # one sentence about the last thing that went wrong out of sight
report = None  # what the files of the job sent or checked last look like; see Transfer.snapshot() in the .pyi
last_job = 0
last_file = ""

_client = None
_client_address = None
_client_started = False
_wanted_address = None
_master_client = None  # to the master in this Blender: (address, native Client)
_errands = []  # Background calls nobody waits for, such as stopping a client
_own_jobs = set()  # (address given, number) of jobs sent from here that are not over
_notes = []  # (icon of a report, sentence) about those that are over now
_folders = {}  # (address, job) -> where its frames were put
_seen = None
_select_job = 0  # sent just now: to be selected in the list as soon as it is there


def client_for(address):
    """The native Client for an address: the one that already watches it, else a new one that does not watch
    yet.
    """
    global _client, _client_address, _client_started
    if _client is None or address != _client_address:
        drop_client()
        _client = native.module().Client(address)
        _client_address = address
        _client_started = False
    return _client


def drop_client():
    global _client, _client_address, _client_started
    if _client is not None and _client_started:
        _errands.append(Background(_client.stop))
    _client, _client_address, _client_started = None, None, False
    client_farm.close()
    closer.forget(), thumbs.forget()


def client_of_master():
    """A native Client for the master in this Blender. Raises RuntimeError when there is none."""
    global _master_client
    url = master.snapshot.get("url") if master.running() else ""
    if not url:
        raise RuntimeError(rpt_("The master in this Blender is not running. Press Start Service"))
    if _master_client is None or _master_client[0] != url:
        _master_client = (url, native.module().Client(url))
    return _master_client[1]


def client_at(farm):
    """A native Client for a farm whose lists are known."""
    return client_of_master() if farm is master_farm else client_for(_client_address or "")


def watch(address):
    """Called while a client panel is drawn: the timer shall watch this master. Starts nothing by itself."""
    global _wanted_address
    _wanted_address = address


def client_snapshot():
    """What is known of the master, without the lists."""
    return client_farm.head


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
        _own_jobs.add((_client_address, last_job))
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
    """0 to 1: how far the slave's frame is."""
    return share_done(slave.snapshot.get("progress"))


def share_done(progress):
    """0 to 1, out of words such as "Sample 12/64"."""
    found = re.search(r"(\d+)\s*/\s*(\d+)", progress or "")
    return min(1.0, int(found[1]) / max(1, int(found[2]))) if found else 0.0


def private_folder():
    """A new empty folder only this user can read."""
    return tempfile.mkdtemp(prefix="netrender-")


def remove_folder(path):
    if path:
        shutil.rmtree(path, ignore_errors=True)


def pickup_folder(farm, job):
    """Where frames of a job land that the artist looks at. Goes when Blender quits, as its Render Result
    does.
    """
    address = farm.address() or _client_address or "farm"
    name = "".join(c if c.isalnum() else "_" for c in address)
    path = os.path.join(bpy.app.tempdir, "netrender", name, f"job_{job}")
    os.makedirs(path, exist_ok=True)
    return path


def remember_folder(farm, job, folder):
    _folders[farm is master_farm, job] = folder


def folder_of(farm, job):
    """Where frames of a job were put last; "" when none was picked up."""
    return _folders.get((farm is master_farm, job), "")


def tick():
    """The one timer. Returns the seconds until its next turn."""
    began = time.perf_counter()
    try:
        more, busy = writing.run(read_all)
    except Exception as error:  # a timer that raises is never called again
        say(f"{type(error).__name__}: {error}. Please report this")
        traceback.print_exc()
        more = busy = False
    spent = time.perf_counter() - began
    pause = FILLING_INTERVAL_S if more else INTERVAL_S if busy else IDLE_INTERVAL_S
    return max(pause, min(spent / SHARE_OF_TIME, LONGEST_PAUSE_S))


def read_all():
    """Reads every snapshot, shows what changed; True while something moves."""
    global _seen, _select_job, notice
    more = read_client()
    for transfer in list(transfers):
        transfer.read()
    master.read(), slave.read()
    for farm in (client_farm, master_farm):
        for job, priority in farm.ripe_wishes():
            do_errand(client_at(farm).edit, job, {"priority": priority})
    for errand in [e for e in _errands if e.over()]:
        _errands.remove(errand)
        closer.look_again()
        if errand.error:
            notice = errand.error
    state = bpy.context.window_manager.netrender
    look_closer(state)
    seen = (
        [t.snapshot for t in transfers],
        (master.phase, master.error, master_farm.head, master_farm.version),
        (slave.phase, slave.error, slave.snapshot),
        (client_farm.head, client_farm.version),
        (notice, last_job, last_file),
        report,
        (closer.version, thumbs.version),
    )
    if seen != _seen:
        _seen = seen
        show_farms(state)
        state.show_findings(report)
        redraw()
    status.show(transfers)
    say_notes()
    more = more or master.more
    return more, bool(
        transfers or _errands or _wanted_address is not None or master.running() or slave.running()
    )


def read_client():
    """Takes the watched master's changes over. True when there are more at once."""
    global _client_started
    wanted = _wanted_address
    if wanted is None or native.problem() or not may_look_around(wanted):
        return False
    try:
        client = client_for(wanted)
        if not _client_started:
            client.start()
            _client_started = True
        return client_farm.read(client)
    except Exception as error:
        client_farm.head = dict(STOPPED, message=str(error))
        return False


def show_farms(state):
    global _select_job
    news = client_farm.take_news()
    note_ends(news)
    state.client_farm.show(client_farm, news, _select_job)
    if _select_job in client_farm.jobs:
        _select_job = 0
    state.master_farm.show(master_farm, master_farm.take_news())


def note_ends(news):
    """Of jobs that were sent from here; others have people of their own."""
    for number in news.jobs:
        own = (_client_address, number)
        job = client_farm.jobs.get(number)
        if own not in _own_jobs or job is None or job["state"] not in ("finished", "failed", "canceled"):
            continue
        _own_jobs.discard(own)
        if job["state"] == "finished":
            words = rpt_("Job {} ({}) is finished: {} frames").format(number, job["name"], job["done"])
            _notes.append(("INFO", words))
        elif job["state"] == "failed":
            words = rpt_("Job {} ({}) failed: {} of {} frames")
            words = words.format(number, job["name"], job["failed"], job["total"])
            _notes.append(("WARNING", words))


def say_notes():
    windows = bpy.context.window_manager.windows
    if not _notes or not windows:
        return
    kind, sentence = _notes.pop(0)  # one a turn: each stays for some seconds
    with bpy.context.temp_override(window=windows[0]):
        bpy.ops.netrender.note("INVOKE_DEFAULT", kind=kind, sentence=sentence)


def look_closer(state):
    """What rows do not say: of the job selected where a panel was drawn, and pictures of rows that were."""
    farm, rows = (
        (master_farm, state.master_farm) if closer.wants_master() else (client_farm, state.client_farm)
    )
    if not farm.is_connected():
        return
    job = rows.selected_job()
    client = client_at(farm)
    closer.turn(client, farm, job.number if job is not None else 0)
    thumbs.turn(client, farm, farm is master_farm)


def redraw():
    """Where the panels are, and nothing around them: drawing is what costs Blender most."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PROPERTIES" and area.spaces.active.context == "RENDER":
                for region in area.regions:
                    if region.type == "WINDOW":
                        region.tag_redraw()


@bpy.app.handlers.persistent
def after_load(*_):
    global _seen
    _seen = None  # the properties may be new ones: fill them again
    status.forget()
    client_farm.forget(), master_farm.forget()
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
    global _seen, _master_client, notice, report
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if after_load in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(after_load)
    stop_everything()
    status.show([])
    atexit.unregister(stop_everything)
    _seen, _master_client, notice, report = None, None, "", None
    _own_jobs.clear(), _notes.clear(), _folders.clear()
    master.error = slave.error = ""
