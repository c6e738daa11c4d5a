# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo itself: `demo_farm.py NETRENDER BLENDER OUTPUT`. Real processes, real sockets, real
frames, then checks."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

FIRST, LAST = 1, 16
SLAVES = ("slave-1", "slave-2")
PATIENCE_S = 120
HERE = Path(__file__).resolve().parent


class DemoError(Exception):
    """What went wrong, in a sentence."""


class Farm:
    """The processes of the demo. Leaving the `with` block ends every one of them, whatever
    happened."""

    def __init__(self, program, blender, output):
        self.program, self.blender, self.output = program, blender, output
        self.url = ""
        self._running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave half of the farm behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for _name, process, _log in reversed(self._running):
            process.terminate()
        for _name, process, _log in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def start(self, name, *arguments):
        log = self.output / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [self.program, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone; we end the others in order
            )
        self._running.append((name, process, log))
        return log

    def check_alive(self):
        for name, process, log in self._running:
            if process.poll() is not None:
                raise DemoError(f"{name} ended with code {process.returncode}:\n{tail(log)}")

    def wait_for(self, what, look):
        until = time.monotonic() + PATIENCE_S
        while not (found := look()):
            self.check_alive()
            if time.monotonic() > until:
                raise DemoError(f"{what} did not happen within {PATIENCE_S} s; see the logs in {self.output}")
            time.sleep(0.05)
        return found

    def start_master(self):
        data = self.output / "master"
        log = self.start(
            "master",
            "master",
            "--data",
            data,
            "--host",
            "127.0.0.1",
            "--port",
            0,
            "--no-broadcast",
            "--name",
            "demo",
        )
        self.url = self.url_of(log)

    def url_of(self, log):
        """The address that a master writes into its log."""
        pattern = re.compile(r"listening on (http://[^\s\"]+)")
        return self.wait_for(
            "the master's start", lambda: pattern.search(log.read_text(errors="replace"))
        ).group(1)

    def start_slaves(self):
        threads = max(1, (os.cpu_count() or 2) // len(SLAVES))
        for name in SLAVES:
            data = self.output / name
            self.start(
                name, "slave", "--master", self.url, "--data", data, "--name", name,
                "--blender", self.blender, "--threads", threads,
            )  # fmt: skip
        self.wait_for("both slaves' arrival", lambda: len(self.get("api/v1/farm")["slaves"]) == len(SLAVES))

    def get(self, path):
        # A proxy in the environment is no way to this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/{path}", timeout=10) as answer:
            return json.load(answer)

    def submit(self, blend, frames):
        command = [
            self.program, "submit", blend, "--master", self.url, "--blender", self.blender,
            "--split", "off", "--wait", "--output", frames,
        ]  # fmt: skip
        code = subprocess.run(command, stdin=subprocess.DEVNULL).returncode
        if code != 0:
            raise DemoError(f"netrender submit ended with code {code}; see the logs in {self.output}")

    def who_rendered(self):
        """Frames by slave's name, as the master has it."""
        view = self.get("api/v1/farm")
        names = {slave["id"]: slave["name"] for slave in view["slaves"]}
        tasks = self.get(f"api/v1/jobs/{view['jobs'][-1]['id']}")["tasks"]
        return {name: [t["frame"] for t in tasks if t["slave"] == number] for number, name in names.items()}


def tail(log, lines=20):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def build_scene(blender, blend, log):
    script = HERE / "demo_scene.py"
    arguments = ["--", blend, str(FIRST), str(LAST)]
    is_python = Path(blender).name.startswith("python")
    start = (
        [blender, script]
        if is_python
        else [blender, "-b", "-noaudio", "--factory-startup", "--python-exit-code", "1", "--python", script]
    )
    with log.open("wb") as file:
        code = subprocess.run([*start, *arguments], stdout=file, stderr=subprocess.STDOUT).returncode
    if code != 0 or not blend.exists():
        raise DemoError(f"Blender could not build the scene:\n{tail(log)}")


def check_frames(folder):
    """Every frame exists, decodes with the reference OpenEXR library, has a picture in it, and no
    two are the same."""
    import OpenEXR  # not before set-up has brought it

    files = {int(re.findall(r"(-?\d+)\.exr$", path.name)[0]): path for path in folder.rglob("*.exr")}
    missing = sorted(set(range(FIRST, LAST + 1)) - set(files))
    if missing:
        raise DemoError(f"frames {missing} are missing in {folder}")
    seen = {}
    for number, path in sorted(files.items()):
        try:
            with OpenEXR.File(str(path), separate_channels=True) as film:
                channels = {name: c.pixels for part in film.parts for name, c in part.channels.items()}
        except Exception as error:
            raise DemoError(f"{path} does not decode: {error}") from error
        colors = [
            pixels
            for name, pixels in channels.items()
            if name.endswith(("Combined.R", "Combined.G", "Combined.B"))
        ]
        if not colors:
            raise DemoError(f"{path} has no Combined pass, only {sorted(channels)}")
        height, width = colors[0].shape
        if (width, height) != (160, 90):
            raise DemoError(f"{path} is {width} x {height}, not 160 x 90")
        if max(float(c.std()) for c in colors) < 0.01:
            raise DemoError(f"{path} is blank")
        same = seen.setdefault(b"".join(c.tobytes() for c in colors), number)
        if same != number:
            raise DemoError(f"{path} is the same picture as frame {same}: nothing moves")
    return len(files)


def run(program, blender, output):
    output = Path(output).resolve()
    if (output / "scene.blend").exists() or not output.exists():
        shutil.rmtree(output, ignore_errors=True)  # an earlier demo
    elif any(output.iterdir()):
        raise DemoError(f"{output} holds files that are not the demo's; move them away")
    output.mkdir(parents=True, exist_ok=True)
    blend, frames = output / "scene.blend", output / "frames"
    timer = Timer()
    build_scene(blender, blend, output / "scene.log")
    timer.say(f"scene built: {blend}")
    with Farm(str(Path(program).resolve()), blender, output) as farm:
        farm.start_master()
        timer.say(f"master started; monitor: {farm.url}")
        farm.start_slaves()
        timer.say("two slaves started: " + ", ".join(SLAVES))
        farm.submit(blend, frames)
        timer.say(f"job sent, rendered and fetched: frames {FIRST}-{LAST}")
        farm.check_alive()
        shares = farm.who_rendered()
    for name in SLAVES:
        if not shares.get(name):
            raise DemoError(f"{name} rendered nothing: {shares}")
    count = check_frames(frames)
    timer.say(f"{count} frames checked: all there, all decode, none blank, no two alike")
    timer.say(", ".join(f"{name} rendered {len(done)}" for name, done in sorted(shares.items())))
    print(f"demo: done in {timer.total():.1f} s. Frames: {frames}", flush=True)


class Timer:
    def __init__(self):
        self.began = self.last = time.monotonic()

    def say(self, text):
        now = time.monotonic()
        print(f"demo: {text} ({now - self.last:.1f} s)", flush=True)
        self.last = now

    def total(self):
        return time.monotonic() - self.began


def main():
    def stop(number, _frame):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        run(*sys.argv[1:])
    except DemoError as error:
        print(f"demo: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
