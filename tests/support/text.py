# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts out of what programs print."""

import re


def found(pattern, text, flags=0) -> re.Match[str]:
    """The first match; fails with the text when there is none."""
    match = re.search(pattern, text, flags)
    assert match, f"no {pattern!r} in: {text[-2000:]}"
    return match
