"""The farm's engine room: everything Blender's panels and the `netrender` command do happens in
here.

Nothing in this module touches Blender. Every call that waits (network, disk) releases the
interpreter lock; `snapshot()` never waits and may be called from a draw function's timer. A Rust
panic arrives as a Python exception, never as the end of Blender.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, final

__version__: str

# ------------------------------------------------------------------------------------------- errors

class NetrenderError(Exception):
    """What went wrong, where, and what to do next, in the user's words. Base of the others."""

class UsageError(NetrenderError):
    """A value that cannot be right: an empty frame range, an unsafe path, a missing file."""

class NoMasterError(NetrenderError):
    """No master was found, or the address given does not answer as one."""

class ServiceError(NetrenderError):
    """A service could not start: the port is taken, the folder is not writable or is in use."""

class RefusedError(NetrenderError):
    """The master understood and refused: an unknown job, a file it cannot believe."""

# --------------------------------------------------------------------------------------- plain data
#
# Shapes of the dictionaries that calls take and return. For type checkers: the module itself has no
# such names. tests/addon/test_contract.py compares them with what the module returns.

JobState = Literal["active", "paused", "finished", "failed", "canceled", "deleted"]
TaskState = Literal["waiting", "leased", "sharing", "done", "failed"]
SlaveState = Literal["ready", "lost", "gone"]
Split = Literal["off", "auto", "samples", "tiles"]
Simulations = Literal["as_is", "bake", "in_order"]
Unit = Literal["samples", "lines"]
SlaveSetting = Literal["name", "tags", "threads", "hang_timeout_s", "cache_limit_gb", "upload_interval_s"]

class JobRow(TypedDict):
    """A job in a list."""

    id: int
    name: str
    category: str
    priority: int  # 0 to 100, higher goes first
    state: JobState
    status: Literal["Queued", "Baking", "Rendering", "Paused", "Finished", "Failed", "Canceled"]  # for people
    frames: str  # in the artist's notation, such as "1-10,15"
    total: int  # frames
    done: int
    failed: int
    rendering: int
    why: str  # why it waits; "" when that needs no words
    left_s: float | None  # estimated seconds until it is finished
    created_ms: int  # since 1970
    edits: int  # number of its last edit
    scripts: bool  # the scene needs its own Python

class SlaveRow(TypedDict):
    """A slave in a list."""

    id: int
    name: str
    state: SlaveState
    status: str  # for people
    paused: bool
    draining: bool  # it ends, at once or after what it has
    blender: tuple[int, int, int]  # (3, 4, 1)
    job: int | None
    frame: int | None
    progress: str  # in Blender's words, such as "Sample 12/64"
    threads: int
    engines: list[str]  # Blender's ids
    info: dict[str, Any]  # SlaveInfo of the HTTP interface
    edits: int  # number of the last edit of its settings
    pending: list[SlaveSetting]  # that are not in use yet

class SettingInfo(TypedDict):
    """Range, unit, default and wording of a slave's setting."""

    setting: SlaveSetting
    label: str  # in lower case
    help: str  # one or two sentences
    unit: str  # "" for a count or a text
    min: float  # a number, characters of a text, or tags
    max: float
    default: float | None  # None: the machine gives it
    limits: str  # error for a value out of range

class SpeedRow(TypedDict):
    """How fast a slave was last with shares of a job's frames."""

    slave: int
    samples_per_s: float  # of the whole picture; lines, where frames are cut into these
    kilosamples_per_s: float  # samples of pixels; pixels, where frames are cut into lines

class TaskError(TypedDict):
    kind: str  # a FailureKind of the HTTP interface, such as "render_failed"
    message: str  # ends with the log's last lines

class TaskRow(TypedDict):
    """A frame of a job."""

    frame: int
    state: TaskState
    slave: int | None  # that has it, made it or failed it last
    attempts: int
    error: TaskError | None  # of the last attempt
    seconds: float | None  # Blender's time
    film: str | None  # digest of the EXR
    film_bytes: int | None
    preview: bool  # there is a JPEG
    outputs: int  # files of the scene's File Output nodes
    samples: tuple[int, int] | None  # of a frame that slaves share: (in it, all)
    unit: Unit  # counted as `samples`
    finishing: bool  # all samples are there; denoising and compositing are left
    slaves: list[int]  # that render shares of it
    efficiency: float | None  # 0 to 1: the part of their time that they rendered

class JobDetail(JobRow):
    """A job with its frames."""

    spec: dict[str, Any]  # JobSpec of the HTTP interface
    blacklist: list[int]  # slaves that must not render it
    speeds: list[SpeedRow]
    tasks: list[TaskRow]  # in order of frames

class AttemptRow(TypedDict):
    """One try at a frame."""

    slave: int
    slave_name: str
    at_ms: int | None  # when it ended, or began while it is under way
    seconds: float | None  # Blender's time, if it succeeded
    ok: bool | None  # None while it is under way
    error: TaskError | None
    has_log: bool

class ShareRow(TypedDict):
    """Some samples or lines of a frame."""

    slave: int | None
    offset: int  # the first
    samples: int  # how many
    state: Literal["free", "leased", "done", "merged"]
    seconds: float | None  # Blender's time

class Finding(TypedDict):
    """Something to know before a job is sent."""

    kind: str
    severity: Literal["wrong", "may_differ", "info"]
    where: str  # file, folder or datablock; may be ""
    message: str
    hint: str  # what to do

class FrameDetail(TypedDict):
    """One frame of a job."""

    job_state: JobState
    task: TaskRow
    attempts: list[AttemptRow]  # oldest first
    shares: list[ShareRow]  # in order of samples
    warnings: list[Finding]  # of the job: why the frame may differ from the artist's own

class FrameError(TypedDict):
    """The last error of a frame."""

    frame: int
    slave: int | None
    message: str

class SharedFrame(TypedDict):
    """A frame that several slaves render now."""

    frame: int
    samples: tuple[int, int]  # (in it, all)
    slaves: list[int]
    efficiency: float | None  # 0 to 1: the part of their time that they rendered

class JobSummary(TypedDict):
    """Details of a job that its row lacks; short however many frames it has."""

    id: int
    blacklist: list[int]  # slaves that must not render it
    errors: list[FrameError]  # the first ones
    split: Split
    split_note: str  # how frames are shared and why, for people
    samples: int  # of a frame; 0: it cannot be shared
    unit: Unit  # counted as `samples`
    sharing: list[SharedFrame]  # the first ones
    speeds: list[SpeedRow]
    warnings: list[Finding]  # why frames may differ from the artist's own

class FarmHead(TypedDict):
    """What a Client knows of the farm besides its lists."""

    state: Literal["stopped", "looking", "connected", "reconnecting"]
    message: str
    master: str  # its URL
    name: str
    revision: int  # grows when anything changed

class FarmSnapshot(FarmHead):
    jobs: list[JobRow]
    slaves: list[SlaveRow]

class ListChanges(TypedDict):
    """Rows that changed since the last call."""

    jobs: list[JobRow]  # new, or different
    slaves: list[SlaveRow]
    gone_jobs: list[int]
    gone_slaves: list[int]
    more: bool  # there is more at once

class FarmChanges(FarmHead, ListChanges): ...

class MasterHead(TypedDict):
    """What a Master says of itself besides its lists."""

    state: Literal["stopped", "running", "busy"]  # busy: it starts or stops
    url: str
    port: int
    name: str
    data: str  # its working folder
    error: str | None

class MasterSnapshot(MasterHead):
    jobs: list[JobRow]
    slaves: list[SlaveRow]

class MasterChanges(MasterHead, ListChanges): ...

class SlaveSnapshot(TypedDict):
    state: Literal["stopped", "starting", "looking", "idle", "rendering", "reconnecting", "failed"]
    message: str
    master: str
    name: str
    blender: str  # "3.4.1"
    job: int | None
    frame: int | None
    progress: str  # in Blender's words
    rendered: int  # frames handed in
    failed: int
    error: str | None

class Row(TypedDict):
    """A finding as a row of a list."""

    kind: str  # missing, simulation, library ...
    path: str  # file, folder or datablock; may be ""
    user: str  # the datablock that needs it; may be ""
    why: str

class Heading(TypedDict):
    """A kind among the findings."""

    kind: str
    severity: Literal["wrong", "may_differ", "info"]
    heading: str
    count: int

class FileSize(TypedDict):
    path: str
    bytes: int

class Report(TypedDict):
    """The files of a job and what would go wrong with it."""

    verdict: Literal["ok", "may_differ", "wrong"]
    findings: list[Finding]  # the first hundred
    headings: list[Heading]
    files: int
    bytes: int
    problem_count: int
    problems: list[Row]  # the first hundred that make the picture wrong
    notes: list[Row]  # the first hundred others
    largest: list[FileSize]

class TransferSnapshot(TypedDict):
    state: Literal["running", "done", "failed", "canceled"]
    phase: Literal["connecting", "tracing", "checking", "sending", "receiving", "queueing"]
    bytes_done: int  # of the files: sent, or found to be there
    bytes_total: int
    bytes_per_s: float
    seconds: float  # since the first byte
    bytes_sent: int  # over the network
    seconds_left: float | None
    reading: str  # the file
    waiting: str  # what it waits for; "" when it does not
    report: Report | None
    job: int | None
    files: list[str]  # written so far
    error: str | None
    no_master: bool  # no master answered as one

class FoundMaster(TypedDict):
    """A master that was heard."""

    id: str  # the farm's
    name: str
    url: str
    host: str
    port: int
    protocol: int
    version: str

# "pass" is a word of Python's own, hence the other form.
UnfoldedPass = TypedDict(
    "UnfoldedPass",
    {
        "layer": str,
        "view": str | None,
        "pass": str,
        "channels": str,  # a letter each
        "file": Path,  # 32-bit floats of this machine, bottom row first, a pixel's channels together
    },
)

class RequiredOfJob(TypedDict):
    name: str
    blend: str  # path of the copy to send
    source: str  # the .blend's own path: place and basename on the slaves
    program: str  # a Blender, or a Python with bpy, that lists the scene's files

class JobRequest(RequiredOfJob, total=False):
    """A job to be sent."""

    scene: str | None  # None: the one that was open
    engine: str | None  # None: the scene's
    frames: str | None  # such as "1-10,15"; None: the scene's range
    category: str  # ""
    priority: int  # 50
    chunk: int  # 1: frames that a slave takes at a time
    tags: list[str]  # a slave must have all of them
    split: Split  # "off"
    mixed: bool  # False: slaves with different Blender builds or devices may not share a frame
    simulations: Simulations  # "as_is"
    added: list[str]  # files and folders to send along
    unsaved_images: list[str]  # names of painted images that are in no file
    send_anyway: bool  # False: nothing is sent when something would go wrong

class JobSettings(TypedDict, total=False):
    """Settings of a job that can be changed."""

    priority: int
    name: str
    category: str
    chunk: int
    tags: list[str]

# ------------------------------------------------------------------------------------------ handles

@final
class Master:
    """Keeps jobs and hands out work. Threads of its own; stops with `stop()` or when collected."""

    def __init__(
        self,
        data: str,
        *,
        host: str = "",
        port: int = 8000,
        name: str = "",
        broadcast: bool = True,
        clear_on_exit: bool = False,
        slave_timeout_s: float = 60.0,
        allow_scripts: bool = False,
        allow_host: Sequence[str] = (),
    ) -> None:
        """`data`: the working folder, made if missing. `host` empty: all interfaces. `port` 0: any
        free one. `allow_scripts`: slaves run the Python that scenes bring along, for jobs that need
        it. `allow_host`: names that the master answers to besides the machine's own and all IP
        addresses.
        """

    def start(self) -> None:
        """Returns once the master answers requests. Raises ServiceError."""

    def stop(self) -> None:
        """Returns once everything is on disk and the port is free. Safe to call twice."""

    def snapshot(self) -> MasterSnapshot: ...
    def changes(self, anew: bool = False, limit: int = 100) -> MasterChanges:
        """As Client.changes()."""

@final
class Slave:
    """Renders for a master with warm Blender processes."""

    def __init__(
        self,
        data: str,
        blender: str,
        *,
        master: str = "",
        name: str = "",
        threads: int = 0,
        device: str = "auto",
        tags: Sequence[str] = (),
        console: bool = False,
        cache_limit_gb: float | None = None,
        hang_timeout_s: float | None = None,
        upload_interval_s: int | None = None,
        clear_on_exit: bool = False,
    ) -> None:
        """`blender`: a Blender, or a Python with the bpy module. `master` empty: the first one
        heard. `threads` 0: as many as the machine has. `device`: "auto" (a GPU if Blender can use
        one), "cpu", "cuda", "optix", "hip", "metal" or "oneapi"; one that is not there is a
        ServiceError at the start. `console`: Blender's output also to this process' stdout.
        `slave_settings()` says what `cache_limit_gb`, `hang_timeout_s` and `upload_interval_s`
        mean, with their ranges and defaults; None is the default. `clear_on_exit`: remove jobs'
        files when it stops; frames not handed in stay. Raises UsageError.
        """

    def start(self) -> None:
        """Starts looking for work in the background; raises ServiceError for what can be known at
        once.
        """

    def stop(self) -> None:
        """Ends its Blender processes as a group; unfinished frames go back to the master's queue."""

    def snapshot(self) -> SlaveSnapshot: ...

@final
class Transfer:
    """A submission or a download on its way."""

    def snapshot(self) -> TransferSnapshot: ...
    def wait(self, timeout_s: float) -> bool:
        """True once it is over, whatever the end; False when the time ran out first."""

    def cancel(self) -> None: ...

@final
class Client:
    """Sends jobs, watches the farm, fetches frames."""

    def __init__(self, master: str = "") -> None:
        """`master`: "host", "host:port" or a URL; empty: $NETRENDER_MASTER, else the first one
        heard.
        """

    def start(self) -> None:
        """Starts watching the farm in the background, so that snapshot() has something to say."""

    def stop(self) -> None: ...
    def snapshot(self) -> FarmSnapshot: ...
    def changes(self, anew: bool = False, limit: int = 100) -> FarmChanges:
        """As snapshot(), but of the lists only what changed since the last call, at most `limit`
        rows of each. `anew`: from the beginning. For one reader alone.
        """

    def submit(self, request: JobRequest) -> Transfer:
        """Sends a job: a background Blender lists the scene's files, each is looked at, what the
        master lacks is sent, and the job is queued. Raises UsageError at once for what is plainly
        wrong. Fails with the report when something would go wrong, unless "send_anyway".
        """

    def check(self, request: JobRequest) -> Transfer:
        """Lists and looks at the files as submit() does, and sends nothing. Needs no master. The
        report is in the transfer's snapshot.
        """

    def fetch(self, job: int, frames: str, what: Literal["exr", "jpg", "outputs"], output: str) -> Transfer:
        """Downloads finished frames ("" = all) as "exr" or "jpg" into the folder `output`."""

    def job(self, job: int) -> JobDetail: ...
    def frame(self, job: int, frame: int) -> FrameDetail: ...
    def fetch_unfinished(self, job: int, frame: int, path: str) -> Transfer:
        """Downloads what there is of a frame whose samples still come, with all passes, to the file
        `path`. Fails while there is nothing.
        """

    def job_summary(self, job: int) -> JobSummary:
        """Details of a job that its row lacks."""

    def thumbnail(self, job: int, side: int = 256) -> tuple[int, int, bytes] | None:
        """The last picture of a job, its longer side `side` pixels at most: width, height and RGBA,
        the lowest row first. None: there is none yet.
        """

    def edit(self, job: int, settings: JobSettings) -> None: ...
    def cancel(self, job: int) -> None: ...
    def cancel_all(self) -> None:
        """Every job of the farm that is not over, whoever sent it."""

    def pause(self, job: int) -> None: ...
    def resume(self, job: int) -> None: ...
    def requeue(self, job: int, frames: str = "") -> None:
        """Renders these frames again, done or failed; "" = those that failed."""

    def delete(self, job: int) -> None:
        """Removes a job with all its files from the farm."""

    def blacklist(self, job: int, slave: int, listed: bool = True) -> None:
        """Keeps a slave from a job, or lets it have it again."""

    def order(self, slave: int, verb: Literal["pause", "resume", "drain", "stop"]) -> None:
        """Tells a slave to "pause", "resume", "drain" (end what it has, then stop) or "stop"."""

    def hand_over(self, job: int, frames: str = "") -> None:
        """Frames that slaves render together end with the samples they have; "" = all that have
        any, and the job pauses if there are others. Raises RefusedError when there is nothing to
        hand over.
        """

    def more(self, job: int, samples: int, frames: str = "") -> None:
        """Finished frames that slaves rendered together get so many more samples, or at least those
        they lack; "" = all that can. Raises RefusedError where the frame would not be the one that
        all samples at once make.
        """

def discover(timeout_s: float = 0.3) -> list[FoundMaster]:
    """Masters heard on UDP 8000 within the time."""

def frames(text: str) -> list[int]:
    """The frame numbers that "1-10,15,20-30x2" means, in order, each once. Raises UsageError."""

def unfold(film: str, width: int, height: int, folder: str) -> list[UnfoldedPass]:
    """Writes the passes of a multilayer EXR file into a folder that is there and empty. Raises
    NetrenderError where the file is not a film of this size.
    """

def words(film: str) -> dict[str, str]:
    """The engine's texts in a film's header: how to read Cryptomattes, and its own figures. Raises
    NetrenderError where the file is no film.
    """

def data_folder(service: str) -> Path | None:
    """The folder where a "master" or a "slave" keeps its files when none is named. None where even
    the home folder is unknown.
    """

def slave_settings() -> list[SettingInfo]:
    """Ranges, units, defaults and meanings of a slave's settings."""

def end_threads() -> None:
    """Ends the threads behind all handles, and whatever still runs on them; stop services and
    cancel transfers first. The next call that needs threads starts new ones.
    """

def main(argv: Sequence[str]) -> int:
    """The `netrender` command; argv without the program's name. Returns the exit code."""

def console_script() -> int:
    """Entry point of the installed `netrender` command: main() on sys.argv."""
