# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender that has started: runs scripts, each in a fork of this process.

A line of stdin is a request, {"script", "arguments", "log"}. The answer is a line with the script's
exit code, written to the file descriptor that the last argument of the command line names. A fork
lacks the threads that were started before it: a script that needs one of them, as writing an
OpenEXR file does, never ends.
"""

import json
import os
import runpy
import sys
import traceback

if "bpy" not in sys.modules:
    import bpy  # noqa: F401


def run(script, arguments, log):
    """Does what Blender does with a script, and ends this process."""
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = [script, "--", *arguments]
        runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # nobody needs all memory to be freed first


def serve(answers):
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, file=answers, flush=True)


serve(os.fdopen(int(sys.argv[-1]), "w"))
