# SPDX-License-Identifier: GPL-3.0-or-later
"""Farms that are gone afterwards, of optimised programs."""

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from bench import build
from support.farm import FarmEnv


@contextlib.contextmanager
def new_farm() -> Generator[FarmEnv]:
    """A farm in a folder of its own, which is on a disk: /tmp may be memory."""
    build.program()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build.TARGET) as folder:
        farm = FarmEnv(Path(folder))
        try:
            yield farm
        finally:
            farm.close()
