"""The farm's engine room: everything Blender's panels and the `netrender` command do happens in here.

Nothing in this module touches Blender. Every call that waits (network, disk) releases the interpreter lock;
`snapshot()` never waits and may be called from a draw function's timer. A Rust panic arrives as a Python
exception, never as the end of Blender.
"""

from collections.abc import Sequence
from typing import Any, final

__version__: str

class NetrenderError(Exception):
    """What went wrong, where and what to do next, in the user's words. Base of the others."""

class UsageError(NetrenderError):
    """A value that cannot be right: an empty frame range, an unsafe path, a missing file."""

class NoMasterError(NetrenderError):
    """No master was found, or the address given does not answer as one."""

class ServiceError(NetrenderError):
    """A service could not start: the port is taken, the folder is not writable or is in use."""

class RefusedError(NetrenderError):
    """The master understood and said no: an unknown job, a file it cannot believe."""

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
    ) -> None:
        """`data`: the working folder, made if missing. `host` empty: all interfaces. `port` 0: any free one.
        `allow_scripts`: slaves run the Python that scenes bring along, for jobs that need it."""

    def start(self) -> None:
        """Returns once the master answers requests. Raises ServiceError."""

    def stop(self) -> None:
        """Returns once everything is on disk and the port is free. Safe to call twice."""

    def snapshot(self) -> dict[str, Any]:
        """{"state": "stopped"|"running"|"busy" (starting or stopping), "url", "port", "name", "data", "error": str|None,
        "jobs": [job], "slaves": [slave]}; job and slave as in Client.snapshot()."""

    def changes(self, anew: bool = False, limit: int = 100) -> dict[str, Any]:
        """As Client.changes(), with "url", "port", "data" and "error" of snapshot()."""

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
        cache_limit_gb: float = 50.0,
        hang_timeout_s: float = 600.0,
        upload_interval_s: int = 8,
        clear_on_exit: bool = False,
    ) -> None:
        """`blender`: a Blender, or a Python with the bpy module. `master` empty: the first one heard.
        `threads` 0: as many as the machine has. `device`: "auto" (a GPU if Blender can use one), "cpu", "cuda",
        "optix", "hip", "metal" or "oneapi"; one that is not there is a ServiceError at the start. `console`: Blender's output also to this process' stdout.
        `cache_limit_gb`: how much the files kept for jobs may weigh, in 10^9 bytes. `hang_timeout_s`: how long
        a Blender may print nothing and use no processor time before it is killed and the frame tried again;
        0: for ever. `upload_interval_s`: how long samples of a frame rendered with others shall take before they
        are sent, 1 to 3600: a crash costs no more. `clear_on_exit`: remove jobs' files when it stops; frames not handed in stay.
        Raises UsageError."""

    def start(self) -> None:
        """Starts looking for work in the background; raises ServiceError for what can be known at once."""

    def stop(self) -> None:
        """Ends its Blender processes as a group; unfinished frames go back to the master's queue."""

    def snapshot(self) -> dict[str, Any]:
        """{"state": "stopped"|"starting"|"looking"|"idle"|"rendering"|"reconnecting"|"failed",
        "message": str, "master": str, "name", "blender": "3.4.1", "job": int|None, "frame": int|None,
        "progress": str, "rendered": int, "failed": int, "error": str|None}"""

@final
class Transfer:
    """A submission or a download on its way."""

    def snapshot(self) -> dict[str, Any]:
        """{"state": "running"|"done"|"failed"|"canceled",
        "phase": "connecting"|"tracing"|"checking"|"sending"|"receiving"|"queueing", "bytes_done": int (of the files,
        sent or found to be there), "bytes_total": int, "bytes_per_s": float, "seconds": float (since the first byte), "bytes_sent": int (over the network),
        "seconds_left": float|None, "reading": str (the file), "waiting": str (what for), "job": int|None,
        "files": [str], "error": str|None, "report": None|{"files": int, "bytes": int, "problem_count": int,
        "problems": [finding], "notes": [finding] (the first hundred of each), "largest": [{"path", "bytes"}]}}

        finding: {"kind": "missing"|"unreadable"|"unsaved_image"|"collision"|"odd_size"|"scripts"|"outside"|"note",
        "path", "user", "why"}"""

    def wait(self, timeout_s: float) -> bool:
        """True once it is over, whatever the end; False when the time ran out first."""

    def cancel(self) -> None: ...

@final
class Client:
    """Sends jobs, watches the farm, fetches frames."""

    def __init__(self, master: str = "") -> None:
        """`master`: "host", "host:port" or a URL; empty: $NETRENDER_MASTER, else the first one heard."""

    def start(self) -> None:
        """Starts watching the farm in the background, so that snapshot() has something to say."""

    def stop(self) -> None: ...
    def snapshot(self) -> dict[str, Any]:
        """{"state": "stopped"|"looking"|"connected"|"reconnecting", "message": str, "master": str, "name": str,
        "revision": int (grows when anything changed), "jobs": [job], "slaves": [slave]}

        job: {"id", "name", "category", "priority", "state": "active"|"paused"|"finished"|"failed"|"canceled",
        "status": "Queued"|"Rendering"|"Paused"|"Finished"|"Failed"|"Canceled", "frames": "1-10", "total", "done",
        "failed", "rendering", "why": str, "left_s": float|None, "created_ms"}
        slave: {"id", "name", "state": "ready"|"lost"|"gone", "status": str, "paused": bool, "draining": bool,
        "blender": [3, 4, 1], "job", "frame", "progress", "threads", "engines": [str]}"""

    def changes(self, anew: bool = False, limit: int = 100) -> dict[str, Any]:
        """As snapshot(), but of the lists only what changed since the last call: rows that are new or differ in "jobs"
        and "slaves", at most `limit` of each, numbers of those that are not there any more in "gone_jobs" and "gone_slaves", and
        "more": True when there is more at once. `anew`: from the beginning. For one reader alone."""

    def submit(self, request: dict[str, Any]) -> Transfer:
        """Sends a job: a background Blender lists the scene's files, each is looked at, what the master lacks is sent, and
        the job is queued. request: {"name", "blend": path of the copy to send, "source": the .blend's own path
        (place and basename on the slaves), "program": a Blender or a Python with bpy, "scene"=None (the one that was
        open), "engine"=None (the scene's), "frames"=None (the scene's range) or "1-10,15", "category"="",
        "priority"=50, "chunk"=1, "tags"=[], "split"="off" ("auto", "samples", "tiles"), "mixed"=False (slaves with different Blender
        builds or devices may share a frame), "added"=[files and folders to send along],
        "unsaved_images"=[names of painted images that are in no file], "send_anyway"=False}. Raises UsageError at
        once for what is plainly wrong. Fails with the report when something would go wrong, unless "send_anyway"."""

    def check(self, request: dict[str, Any]) -> Transfer:
        """Lists and looks at the files as submit() does, and sends nothing. Needs no master. The report is in the
        transfer's snapshot."""

    def fetch(self, job: int, frames: str, what: str, output: str) -> Transfer:
        """Downloads finished frames ("" = all) as "exr" or "jpg" into the folder `output`."""

    def job(self, job: int) -> dict[str, Any]:
        """One job with its frames: adds "tasks": [{"frame", "state": "waiting"|"leased"|"done"|"failed",
        "slave", "attempts", "error": {"kind", "message"}|None, "seconds", "samples": None|[in it, all],
        "unit": "samples"|"lines" (what is counted there)}]"""

    def frame(self, job: int, frame: int) -> dict[str, Any]:
        """One frame: {"job_state": as in snapshot(), "task": as in job(), "attempts": [...], "shares": [...]}"""

    def fetch_unfinished(self, job: int, frame: int, path: str) -> Transfer:
        """Downloads what there is of a frame whose samples still come, with all passes, to the file `path`. Fails while
        there is nothing."""

    def glance(self, job: int) -> dict[str, Any]:
        """What a job's row does not say, short however many frames it has: {"id", "blacklist": [slave's number], "errors":
        [{"frame", "slave", "message"}] (the first ones), "split": "off"|"auto"|"samples"|"tiles", "split_note",
        "samples": int (of a frame; 0: can't be shared), "unit": "samples"|"lines", "sharing": [{"frame", "samples": [in it, all], "slaves": [number], "efficiency":
        float|None}] (the first ones), "speeds": [{"slave", "samples_per_s", "kilosamples_per_s"}]}"""

    def cover(self, job: int, side: int = 256) -> tuple[int, int, bytes] | None:
        """The last picture of a job, its longer side `side` pixels at most: width, height and RGBA, the lowest row first.
        None: there is none yet."""

    def edit(self, job: int, settings: dict[str, Any]) -> None:
        """Changes some of "priority", "name", "category", "chunk", "tags"."""

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

    def order(self, slave: int, verb: str) -> None:
        """Tells a slave to "pause", "resume", "drain" (end what it has, then stop) or "stop"."""

    def hand_over(self, job: int, frames: str = "") -> None:
        """Frames that slaves render together end with the samples they have; "" = all that have any, and the job
        pauses if there are others. Raises RefusedError when there is nothing to hand over."""

    def more(self, job: int, samples: int, frames: str = "") -> None:
        """Finished frames that slaves rendered together get so many more samples, or at least those they lack; "" = all
        that can. Raises RefusedError where the frame would not be the one that all samples at once make."""

def discover(timeout_s: float = 0.3) -> list[dict[str, Any]]:
    """Masters heard on UDP 8000 within the time: [{"id", "name", "url", "host", "port", "protocol", "version"}]"""

def frames(text: str) -> list[int]:
    """The frame numbers that "1-10,15,20-30x2" means, in order, each once. Raises UsageError."""

def unfold(film: str, width: int, height: int, folder: str) -> list[dict[str, Any]]:
    """Writes the passes of a multilayer EXR file into a folder that is there and empty: [{"layer", "view": str|None, "pass",
    "channels": a letter each, "file": path of 32-bit floats of this machine, the bottom row first, a pixel's channels
    together}]. Raises NetrenderError where the file is not a film of this size."""

def end_threads() -> None:
    """Ends the threads behind all handles, and whatever still runs on them; stop services and cancel transfers first.
    The next call that needs threads starts new ones."""

def main(argv: Sequence[str]) -> int:
    """The `netrender` command; argv without the program's name. Returns the exit code."""

def console_script() -> int:
    """Entry point of the installed `netrender` command: main() on sys.argv."""
