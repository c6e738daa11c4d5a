# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's files on their way to the master, beside `cp` and `curl -T` into nginx, in turns.
Medians.

The files are noise, so nothing can be compressed or found twice. On Debian as root, nginx and curl
are installed.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench import build
from support import text
from support.blender import find_any

DEFAULTS = {"gibibytes": 2.0, "turns": 5}
SHORT = {"gibibytes": 0.25, "turns": 1}
PROGRAMS = {"nginx": "nginx-light", "curl": "curl"}  # each with its package on Debian
NGINX = """
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    client_body_temp_path {folder}/dav/incoming;
    access_log off;
    server {{
        listen 127.0.0.1:8917;
        root {folder}/dav;
        client_max_body_size 0;
        location / {{ dav_methods PUT; }}
    }}
}}
"""
MAKE_SCENE = "import bpy, sys; bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])"


def run(command, **keywords):
    """Seconds, and the peak of its memory in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), **keywords)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return seconds, usage.ru_maxrss * 1024


def install_peers():
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not missing:
        return
    assert os.geteuid() == 0, f"not installed: {missing}"
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    subprocess.run(install, check=True, **quiet)


class Bench:
    def __init__(self, folder, size):
        self.folder, self.size = folder, size
        self.blender = find_any()
        self.big, self.scene = folder / "noise.bin", folder / "scene.blend"
        (folder / "dav" / "incoming").mkdir(parents=True)
        for path in (folder, folder / "dav", folder / "dav" / "incoming"):
            path.chmod(0o777)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
        with self.big.open("wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        self.environ = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "NO_COLOR": "1"}
        script = folder / "scene.py"
        script.write_text(MAKE_SCENE)
        self.blender.run(script, self.scene)
        self.memory = 0

    def cp(self):
        return run(["cp", self.big, self.folder / "copy.bin"])[0]

    def curl(self):
        return run(["curl", "-s", "-T", self.big, "http://127.0.0.1:8917/sent.bin"])[0]

    def cp_synced(self):
        """With what netrender promises: on the disk when it is done."""
        return self.cp() + run(["sync", self.folder / "copy.bin"])[0]

    def curl_synced(self):
        return self.curl() + run(["sync", self.folder / "dav" / "sent.bin"])[0]

    def netrender(self):
        """From the first byte read to the job in the queue, everything on disk."""
        data = self.folder / "master"
        options = ["--data", data, "--host", "127.0.0.1", "--port", "8918", "--no-broadcast"]
        log = self.folder / "master.log"
        with log.open("wb") as output:
            command = [build.PROGRAM, "master", *options]
            master = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output)
        try:
            while b"listening" not in log.read_bytes():
                assert master.poll() is None, log.read_text()
                time.sleep(0.02)
            said = self.folder / "client.log"
            command = [build.PROGRAM, "submit", self.scene, "--add", self.big]
            command += ["--master", "127.0.0.1:8918", "--blender", self.blender.path]
            with said.open("wb") as output:
                _, memory = run(command, stdout=output, stderr=output, env=self.environ)
            self.memory = max(self.memory, memory)
            return float(text.found(r"network, in ([\d.]+) s", said.read_text())[1])
        finally:
            master.terminate()
            master.wait()

    def clean(self):
        for name in ("copy.bin", "dav/sent.bin"):
            (self.folder / name).unlink(missing_ok=True)
        for name in ("master", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        os.sync()

    def turns(self, count):
        names = ["cp", "curl", "cp_synced", "curl_synced", "netrender"]
        seconds = {name: [] for name in names}
        for turn in range(count + 1):
            for name in names[turn % 5 :] + names[: turn % 5]:
                self.clean()
                took = getattr(self, name)()
                if turn:  # the first one warms up what all of them use
                    seconds[name].append(took)
                    print(f"turn {turn}: {name:11} {self.size / took / 1e6:7.0f} MB/s", flush=True)
        self.clean()
        return {name: statistics.median(all_) for name, all_ in seconds.items()}


def measure(gibibytes, turns):
    build.program()
    install_peers()
    size = int(gibibytes * 1024) << 20
    # Not in /tmp, which may be memory: what is measured here writes to a disk.
    with tempfile.TemporaryDirectory(dir=build.TARGET) as folder:
        bench = Bench(Path(folder), size)
        nginx = subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"])
        try:
            time.sleep(0.5)
            medians = bench.turns(turns)
        finally:
            nginx.terminate()
            nginx.wait()
    speeds = {name: size / median / 1e6 for name, median in medians.items()}
    for name, speed in speeds.items():
        print(f"{name:11} median {speed:7.0f} MB/s")
    ratios = {name: medians[name] / medians["netrender"] for name in medians if name != "netrender"}
    for other, ratio in ratios.items():
        print(f"netrender / {other}: {ratio:.2f}")
    print(f"netrender's client: at most {bench.memory / 1e6:.0f} MB of memory")
    return {"mb_per_s": speeds, "netrender_by": ratios, "client_memory_mb": bench.memory / 1e6}
