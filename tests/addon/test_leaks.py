# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling, working and disabling leaves nothing behind in Blender. `scripts/bench leaks` does it a hundred times."""

import json

from support.leaks import count


def assert_nothing_left(told):
    print(json.dumps(told, indent=1))
    grown = {key: (n, told["after"][key]) for key, n in told["before"].items() if told["after"][key] > n}
    assert not grown, f"(before, after): {grown}; threads: {told['threads']}"


def test_without_windows(farm, blender_module):
    assert_nothing_left(count(farm, blender_module, 3))


def test_with_windows(farm, blender_program, screen):
    assert_nothing_left(count(farm, blender_program, 3, screen))
