# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of truth: scripts/truth."""
