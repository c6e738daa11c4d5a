# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender that has started and forks for each script that it is given. A script finds Blender
as it is right after its start, and no test waits for a start. The half inside Blender is
zygote_in_blender.py."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from support.paths import TESTS

IN_BLENDER = TESTS / "support" / "zygote_in_blender.py"


class Zygote:
    """The process of a Blender that waits for scripts. Ends with this process, or when it is closed."""

    # A fork has only the thread that forked, which is safe where the system's libraries allow for it.
    is_possible = sys.platform == "linux"

    def __init__(self, command_of, environ):
        """`command_of(script, argument)` is what starts this Blender with a script."""
        read, write = os.pipe()
        with os.fdopen(write, "wb"):
            self.process = subprocess.Popen(
                command_of(IN_BLENDER, write),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[write],
                env=environ,
                start_new_session=True,
            )
        assert self.process.stdin
        self.requests = self.process.stdin
        self.answers = os.fdopen(read)

    def run(self, script, arguments, patience_s):
        """The exit code of a script, and what it printed."""
        with tempfile.TemporaryDirectory(prefix="netrender-zygote-") as folder:
            log = Path(folder) / "log"
            request = {"script": str(script), "arguments": [*map(str, arguments)], "log": str(log)}
            self.requests.write(json.dumps(request).encode() + b"\n")
            self.requests.flush()
            answered, _, _ = select.select([self.answers], [], [], patience_s)
            answer = self.answers.readline() if answered else ""
            if not answer:
                self.kill()
            printed = log.read_text(errors="replace") if log.exists() else ""
        assert answer, f"{script} did not end within {patience_s} s, or Blender died:\n{printed}"
        return int(answer), printed

    def kill(self):
        """Ends it with the script that runs in it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.close()

    def close(self):
        self.requests.close()
        self.process.wait()
        self.answers.close()
