# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs checks one after another, prints a line for each, and the output of those that failed."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
STRUCTURE = [sys.executable, "scripts/lib/structure"]
Command = list[str]


class Unchecked(Exception):
    """The check could not be done. Its text says why."""


@dataclass
class Check:
    name: str
    what: str
    run: Command | Callable[[], subprocess.CompletedProcess[str]]
    # The command that mends what `run` finds, if there is one; it is run in its place.
    fix: Command | None = None


def execute(command: Command) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "CARGO_TERM_COLOR": "never"}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def tool(name: str, *arguments: str) -> Command:
    return [str(BIN / name), *arguments]


def cargo_deny(*arguments: str) -> Command:
    return [(ROOT / ".venv/setup/cargo-deny.path").read_text().strip(), "--all-features", *arguments]


def shell_scripts() -> list[str]:
    files = [
        file for folder in (".ci", "scripts") for file in sorted((ROOT / folder).rglob("*")) if file.is_file()
    ]
    return [str(file.relative_to(ROOT)) for file in files if is_shell(file.read_bytes())]


def is_shell(content: bytes) -> bool:
    first = content.split(b"\n", 1)[0]
    return first.startswith(b"#!") and first.rstrip().endswith(b"sh")


def advisories() -> subprocess.CompletedProcess[str]:
    """Looks with the newest database; if it cannot be fetched, with the copy of an earlier time."""
    is_newest = execute(cargo_deny("fetch", "db")).returncode == 0
    done = execute(cargo_deny("--offline", "check", "advisories"))
    if not done.stdout.rstrip().endswith(("advisories ok", "advisories FAILED")):
        raise Unchecked(
            "known vulnerabilities were NOT looked for: the advisory database could not be fetched"
        )
    if not is_newest:
        print("        advisories: an older database is used, because a newer one could not be fetched")
    return done


def checks() -> list[Check]:
    ruff_format, ruff_check = tool("ruff", "format"), tool("ruff", "check", "--quiet")
    clippy = ["cargo", "clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]
    return [
        Check(
            "rustfmt", "Rust is formatted", ["cargo", "fmt", "--all", "--check"], ["cargo", "fmt", "--all"]
        ),
        Check(
            "ruff-format",
            "Python is formatted",
            [*ruff_format, "--quiet", "--diff"],
            [*ruff_format, "--quiet"],
        ),
        Check("clippy", "lints of Rust", clippy),
        Check("ruff", "lints of Python", ruff_check, [*ruff_check, "--fix"]),
        Check("types", "types of Python, by pyrefly", tool("pyrefly", "check", "--summary=none")),
        Check("shellcheck", "lints of shell scripts", tool("shellcheck", "-x", *shell_scripts())),
        Check("typos", "spelling", tool("typos", "--format", "brief")),
        Check("circles", "no module imports itself by way of others", [*STRUCTURE, "circles"]),
        Check("layers", "which crate depends on which", [*STRUCTURE, "layers"]),
        Check(
            "licences",
            "licences, sources and duplicates of dependencies, by cargo-deny",
            cargo_deny("check", "--hide-inclusion-graph", "licenses", "bans", "sources"),
        ),
        Check("advisories", "known vulnerabilities of dependencies, by cargo-deny", advisories),
    ]


def main() -> int:
    known = checks()
    listed = "\n".join(f"  {check.name:12} {check.what}" for check in known)
    parser = argparse.ArgumentParser(
        prog="scripts/check",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"checks:\n{listed}",
    )
    parser.add_argument("names", nargs="*", metavar="CHECK", help="which ones (default: all)")
    parser.add_argument("--fix", action="store_true", help="apply the formatters")
    parser.add_argument(
        "--require-advisories", action="store_true", help="fail if the advisory database cannot be had"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {check.name for check in known}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; checks:\n{listed}")

    passed = failed = skipped = 0
    for check in known:
        if arguments.names and check.name not in arguments.names:
            continue
        began = time.monotonic()
        output = ""
        try:
            if isinstance(check.run, list):
                done = execute(check.fix if arguments.fix and check.fix else check.run)
            else:
                done = check.run()
            output = done.stdout
            outcome = "FAILED" if done.returncode else "ok"
        except Unchecked as why:
            output = f"{why}\n"
            outcome = "FAILED" if arguments.require_advisories else "SKIPPED"
        except OSError as error:
            output = f"{error}\n"
            outcome = "FAILED"
        print(f"{outcome:7} {time.monotonic() - began:6.1f} s  {check.name}", flush=True)
        if outcome != "ok":
            print(output, flush=True)
        passed += outcome == "ok"
        failed += outcome == "FAILED"
        skipped += outcome == "SKIPPED"
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
