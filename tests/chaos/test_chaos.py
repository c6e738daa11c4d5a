# SPDX-License-Identifier: GPL-3.0-or-later
"""A minute of chaos: nothing is lost, twice, wrong or left running. `scripts/chaos` has longer ones."""

import subprocess
import sys

from support.farm import PROGRAM
from support.paths import TESTS

PATIENCE_S = 600


def test_a_minute_of_chaos(strict, slow):
    assert PROGRAM.exists(), f"{PROGRAM} is not built: run scripts/setup --test"
    options = ["--minutes", "1", "--seed", "20", *(["--strict"] if strict else [])]
    command = [sys.executable, "-m", "chaos", *options]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
