# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, disk and start of a master with a long history. The history is shorter than the
benchmark's and the program is not optimised; the bounds are those of a million frames all the same.
"""

from bench import restart
from support.farm import PROGRAM


def test_a_long_history_costs_little(quiet):
    figures = restart.measure(frames=50_000, starts=3, program=PROGRAM)
    assert figures["first_answer_s"] < 3
    assert 0 < figures["memory_mb"] < 400
    assert figures["disk_bytes_per_frame"] < 200
