# SPDX-License-Identifier: GPL-3.0-or-later
"""What a master weighs and how long it takes to come back with a long history. A smaller one than the benchmark's,
and a program without optimisation: the bounds are those of a million frames all the same."""

import re
import subprocess
import sys

from processes import PROGRAM, ROOT


def test_a_long_history_costs_little():
    command = [sys.executable, ROOT / "scripts" / "bench_restart.py", PROGRAM, "50000", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    print(done.stdout)

    def figure(pattern):
        return float(re.search(pattern, done.stdout).group(1))

    assert figure(r"first answer: ([\d.]+) s") < 3
    assert figure(r"memory: (\d+) MB") < 400
    assert figure(r"disk: (\d+) bytes a frame") < 200
