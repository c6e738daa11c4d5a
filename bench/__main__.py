# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one of the measuring programs. The last line it prints is a JSON object with the figures."""

import argparse
import ast
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench import build

HERE = Path(__file__).resolve().parent
NAMES = ("merge", "monitor", "restart", "send", "split", "stalls", "leaks", "long-frame", "refine")


def file_of(name: str) -> Path:
    return HERE / f"{name.replace('-', '_')}.py"


def summary(name: str) -> str:
    """The first sentence of its docstring."""
    text = ast.get_docstring(ast.parse(file_of(name).read_text())) or ""
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def rounded(figures: Any) -> Any:
    """The same with three digits after the point."""
    if isinstance(figures, dict):
        return {name: rounded(figure) for name, figure in figures.items()}
    if isinstance(figures, list):
        return [rounded(figure) for figure in figures]
    return round(figures, 3) if isinstance(figures, float) else figures


def main() -> None:
    listed = "\n".join(f"  {name:10}  {summary(name)}" for name in NAMES)
    if len(sys.argv) == 1:
        print(f"usage: scripts/bench NAME [--short] [--help]\n\n{listed}")
        return
    name = sys.argv[1]
    if name not in NAMES:
        sys.exit(f"bench: there is no {name}. There are:\n{listed}")
    # Before the imports: what they take from the tests' support reads it.
    os.environ["NETRENDER_TEST_PROGRAM"] = str(build.PROGRAM)
    module = importlib.import_module(f"bench.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"scripts/bench {name}", description=summary(name))
    parser.add_argument("--short", action="store_true", help="a small load, to see that it works")
    for option, default in module.DEFAULTS.items():
        short = f"; {module.SHORT[option]} with --short" if option in module.SHORT else ""
        parser.add_argument(f"--{option}", type=type(default), help=f"default: {default or 'none'}{short}")
    given = vars(parser.parse_args(sys.argv[2:]))
    is_short = given.pop("short")
    options = module.DEFAULTS | (module.SHORT if is_short else {})
    options |= {option: value for option, value in given.items() if value is not None}
    began = time.monotonic()
    figures = module.measure(**options)
    about = {"bench": name, "short": is_short, "options": options, "took_s": time.monotonic() - began}
    sys.stdout.flush()
    print(json.dumps(rounded({**about, **figures})))


if __name__ == "__main__":
    main()
