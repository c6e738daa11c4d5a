# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks how modules and crates depend on each other.

- `circles`: no module imports itself by way of others, in any crate, in the add-on, in what tests
  and scripts share, and in the web monitor.
- `layers`: crates depend only on what `[workspace.metadata.layers]` in Cargo.toml allows.
- `table`: how many files, floors and arrows each has.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import javascript_imports
import layers
import python_imports
import rust_imports
from graph import Graph

REPOSITORY = Path(__file__).resolve().parents[3]
PYTHON = ("addon/*", "tests/chaos", "tests/support", "bench", "scripts/lib", "scripts/lib/*")


def graphs(root: Path) -> Iterator[Graph]:
    for package in layers.metadata(root, resolve=False)["packages"]:
        for target in package["targets"]:
            if target["kind"] != ["custom-build"]:
                name = f"{package['name']} ({target['kind'][0]} {target['name']})"
                yield rust_imports.graph(name, Path(target["src_path"]))
    for pattern in PYTHON:
        for folder in sorted(root.glob(pattern)):
            if any(folder.glob("*.py")):
                yield python_imports.graph(str(folder.relative_to(root)), folder)
    for page in sorted(root.glob("rust/**/web/index.html")):
        yield javascript_imports.graph(str(page.parent.relative_to(root)), page.parent)


def circles(root: Path) -> list[str]:
    return [problem for graph in graphs(root) for problem in (*graph.problems, *graph.describe(root))]


def table(root: Path) -> list[str]:
    print("| tree | files | floors | arrows | circles |\n|-|-|-|-|-|")
    for graph in graphs(root):
        arrows = sum(len(targets) for targets in graph.arrows.values())
        sizes = [len(knot) for knot in graph.knots()]
        knots = f"{len(sizes)}, of {', '.join(map(str, sizes))} files" if sizes else "0"
        print(f"| {graph.name} | {len(graph.files)} | {graph.floors()} | {arrows} | {knots} |")
    return []


def main() -> int:
    checks = {"circles": circles, "layers": layers.problems, "table": table}
    parser = argparse.ArgumentParser(prog="structure", description=__doc__)
    parser.add_argument("check", choices=checks)
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository (default: this one)")
    arguments = parser.parse_args()
    problems = checks[arguments.check](arguments.root.resolve())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
