# SPDX-License-Identifier: GPL-3.0-or-later
"""A minute of chaos: nothing is lost, twice, wrong or left running. `scripts/chaos` has longer ones."""

import subprocess
import sys
from pathlib import Path

from conftest import STRICT
from processes import PROGRAM

CHAOS = Path(__file__).resolve().parent / "chaos"
PATIENCE_S = 600


def test_a_minute_of_chaos():
    assert PROGRAM.exists(), f"{PROGRAM} is not built: run scripts/setup --test"
    options = ["--minutes", "1", "--seed", "20", *(["--strict"] if STRICT else [])]
    done = subprocess.run(
        [sys.executable, CHAOS, *options], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
