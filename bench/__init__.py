# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that measure: `scripts/bench` lists and runs them, README.md says how to read their
figures."""
