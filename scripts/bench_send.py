# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the same noise by cp, by curl into nginx (WebDAV) and as a netrender job, in turns; medians and ratios."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NETRENDER, BLENDER, GIBIBYTES, TURNS = sys.argv[1:]
NETRENDER = Path(NETRENDER).absolute()
SIZE = int(float(GIBIBYTES) * (1 << 30))
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


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.big, self.scene = folder / "noise.bin", folder / "scene.blend"
        (folder / "dav" / "incoming").mkdir(parents=True)
        for path in (folder, folder / "dav", folder / "dav" / "incoming"):
            path.chmod(0o777)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
        with self.big.open("wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        self.environ = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "NO_COLOR": "1"}
        python = "python" in Path(BLENDER).name
        make = (
            [BLENDER, "-c", MAKE_SCENE]
            if python
            else [BLENDER, "-b", "--factory-startup", "--python-expr", MAKE_SCENE, "--"]
        )
        subprocess.run([*make, str(self.scene)], check=True, capture_output=True)
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
            master = subprocess.Popen(
                [str(w) for w in (NETRENDER, "master", *options)], stdout=output, stderr=output
            )
        try:
            while b"listening" not in log.read_bytes():
                assert master.poll() is None, log.read_text()
                time.sleep(0.02)
            said = self.folder / "client.log"
            command = [
                NETRENDER,
                "submit",
                self.scene,
                "--add",
                self.big,
                "--master",
                "127.0.0.1:8918",
                "--blender",
                BLENDER,
            ]
            with said.open("wb") as output:
                _, memory = run(command, stdout=output, stderr=output, env=self.environ)
            self.memory = max(self.memory, memory)
            return float(re.search(r"network, in ([\d.]+) s", said.read_text())[1])
        finally:
            master.terminate()
            master.wait()

    def clean(self):
        for name in ("copy.bin", "dav/sent.bin"):
            (self.folder / name).unlink(missing_ok=True)
        for name in ("master", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        os.sync()

    def turns(self):
        names = ["cp", "curl", "cp_synced", "curl_synced", "netrender"]
        seconds = {name: [] for name in names}
        for turn in range(int(TURNS) + 1):
            for name in names[turn % 5 :] + names[: turn % 5]:
                self.clean()
                took = getattr(self, name)()
                if turn:  # the first one warms up what all of them use
                    seconds[name].append(took)
                    print(f"turn {turn}: {name:11} {SIZE / took / 1e6:7.0f} MB/s", flush=True)
        self.clean()
        return {name: statistics.median(all_) for name, all_ in seconds.items()}


def main():
    # Not in /tmp, which may be memory: what is measured here writes to a disk.
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "target") as folder:
        bench = Bench(Path(folder))
        nginx = subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"])
        try:
            time.sleep(0.5)
            medians = bench.turns()
        finally:
            nginx.terminate()
            nginx.wait()
    for name, median in medians.items():
        print(f"{name:11} median {SIZE / median / 1e6:7.0f} MB/s")
    for other in [name for name in medians if name != "netrender"]:
        print(f"netrender / {other}: {medians[other] / medians['netrender']:.2f}")
    print(f"netrender's client: at most {bench.memory / 1e6:.0f} MB of memory")


main()
