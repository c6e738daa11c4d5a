# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents name only what exists: files, folders, modules, crates, scripts, links and their
anchors. And the architecture stays short enough to be read.
"""

import re
import subprocess

import pytest

from support.paths import ROOT

FILES = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()
FILES = [file for file in FILES if (ROOT / file).is_file()]
FOLDERS = {"/".join(file.split("/")[:depth]) for file in FILES for depth in range(1, file.count("/") + 1)}
# The changelog speaks of the past.
DOCUMENTS = sorted(file for file in FILES if file.endswith(".md") and file != "CHANGELOG.md")
# Made at run time: the master's and the slave's folders, the clone's environment.
MADE = {"blobs/", "pieces/", "spool/", "cache/", "dist/", ".venv/", "target/"}
SOURCE = re.compile(r"[\w./*-]+\.(?:rs|py|pyi|js|toml|md|yml|yaml|css|html)")
TOP = ("rust/", "addon/", "tests/", "bench/", "scripts/", "docs/", ".github/")
ARCHITECTURE_WORDS = 2500


def text(document):
    return (ROOT / document).read_text()


def prose(document):
    """The text without fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text(document), flags=re.MULTILINE | re.DOTALL)


def exists(name):
    """True if this is the path, or the end of the path, of a file or folder."""
    name = name.rstrip("/")
    if "*" in name:
        return any(ROOT.glob(name))
    return any(path == name or path.endswith("/" + name) for path in (*FILES, *FOLDERS))


def module_exists(name):
    """True if something like `core::model::task` or `film::merge::Coverage` is a module, or a word in one."""
    crate, *parts = name.split("::")
    folder = f"rust/{crate}/src"
    if folder not in FOLDERS:
        return True
    *modules, last = parts
    for ways in ((*modules, last), tuple(modules)):
        at = "/".join((folder, *ways))
        found = [path for path in (f"{at}.rs", f"{at}/mod.rs", f"{at}/lib.rs") if path in FILES]
        if found:
            return ways == tuple(parts) or re.search(rf"\b{last}\b", text(found[0])) is not None
    return False


def anchors(document):
    """GitHub's anchors of the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document):
    folder = (ROOT / document).parent
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (folder / path).resolve() if path else ROOT / document
        is_known = there.exists() and (not anchor or anchor in anchors(there.relative_to(ROOT)))
        if not is_known:
            missing.append(target)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_file_folder_and_module_exists(document):
    missing = []
    for span in re.findall(r"`([^`\n]+)`", prose(document)):
        word = span.split()[0]
        is_path = word.startswith(TOP) or SOURCE.fullmatch(word) or re.fullmatch(r"[\w./-]+/", word)
        if is_path and not word.startswith("/") and word not in MADE and not exists(word):
            missing.append(word)
        if re.fullmatch(r"[a-z]+(::\w+)+", word) and not module_exists(word):
            missing.append(word)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_can_be_run(document):
    words = text(document)
    scripts = set(re.findall(r"(?<![\w/])scripts/[\w.-]+\b", words))
    crates = set(re.findall(r"cargo \w+ -p (netrender-\w+)", words))
    tests = set(re.findall(r"(?<![\w/])tests/[\w/.-]+\.py", words))
    known = {file.split("/")[1] for file in FILES if re.fullmatch(r"rust/\w+/Cargo.toml", file)}
    missing = {name for name in scripts | tests if not exists(name)}
    missing |= {crate for crate in crates if crate.removeprefix("netrender-") not in known}
    assert missing == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_benchmark_exists(document):
    names = set(re.findall(r"scripts/bench ([a-z][\w-]*)", text(document)))
    assert {name for name in names if f"bench/{name.replace('-', '_')}.py" not in FILES} == set()


def test_the_architecture_is_short():
    assert len(text("docs/architecture.md").split()) <= ARCHITECTURE_WORDS


def test_every_dependency_has_its_reason():
    named = set(re.findall(r"[\w-]+", text("docs/dependencies.md")))
    used = set()
    for manifest in (file for file in FILES if re.fullmatch(r"rust/\w+/Cargo.toml", file)):
        section = ""
        for line in text(manifest).splitlines():
            section = line if line.startswith("[") else section
            if "dependencies" in section and (found := re.match(r"([\w-]+)(?:\.workspace)? = ", line)):
                used.add(found[1])
    assert {crate for crate in used if not crate.startswith("netrender-")} - named == set()
