# SPDX-License-Identifier: GPL-3.0-or-later
"""Every text of the web monitor is in its dictionaries, and nothing else is."""

import json
import re

import pytest

from support.farm import ROOT

PAGE = ROOT / "rust" / "master" / "web"
TEXT = r'"(?:[^"\\]|\\.)*"'
# People's words for states come from the master; units are put together in format.js.
FROM_ELSEWHERE = {"Queued", "Baking", "{n} min", "{n} h", "{n} d"}


def texts():
    """What is given to t() and plural(), both branches of a choice between two texts included."""
    found = set()
    for path in [*PAGE.glob("*.js"), *PAGE.glob("pages/*.js"), *PAGE.glob("parts/*.js")]:
        source = path.read_text()
        for call in re.finditer(r"\b(?:t|plural)\(", source):
            depth, at = 1, call.end()
            while depth:
                if source[at] == '"':
                    text = re.compile(TEXT).match(source, at).group()
                    # Compared with, not shown: `state === "ready" ? ...`
                    if depth == 1 and not re.search(r"===\s*$", source[:at]):
                        found.add(json.loads(text))
                    at += len(text)
                    continue
                depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(source[at], 0)
                at += 1
    return found


@pytest.mark.parametrize("language", sorted(PAGE.glob("lang/*.js")), ids=lambda path: path.stem)
def test_every_text_has_its_translation(language):
    translated = {
        json.loads(english): json.loads(other)
        for english, other in re.findall(rf"^  ({TEXT}): ({TEXT}),$", language.read_text(), re.MULTILINE)
    }
    wanted = texts() | FROM_ELSEWHERE
    assert wanted - set(translated) == set()
    assert set(translated) - wanted == set()
    blanks = re.compile(r"\{\w+\}")
    for english, other in translated.items():
        assert sorted(blanks.findall(english)) == sorted(blanks.findall(other)), english
