# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of the repository that tests read from."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
SCENES = TESTS / "scenes"
STORIES = TESTS / "gui"
ADDONS = ROOT / "addon"
ADDON = ADDONS / "netrender_rs"
