# SPDX-License-Identifier: GPL-3.0-or-later
"""Import graph of a folder of Python files, read with `ast`.

Imports inside functions and under `if TYPE_CHECKING` are arrows too: a circle that is put off is
still one. A package's `__init__` is depended on only by who takes something that it defines itself.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from graph import Graph


class Package:
    def __init__(self, name: str, folder: Path):
        """`folder` is a package (its own name is the first part of its modules' names), or holds
        modules to import by their bare names."""
        self.graph = Graph(name)
        self.folder = folder
        top = folder.parent if (folder / "__init__.py").exists() else folder
        self.files = {self._dotted(file, top): file for file in sorted(folder.rglob("*.py"))}
        # A script's own folder is on its path: its neighbours are found by bare names.
        self.neighbours = {(file.parent, file.stem): file for file in self.files.values()}
        for dotted, file in self.files.items():
            self.graph.files.add(file)
            try:
                tree = ast.parse(file.read_bytes(), str(file))
            except SyntaxError as error:
                self.graph.problems.append(f"{file}:{error.lineno}: {error.msg}")
                continue
            package = dotted if file.stem == "__init__" else dotted.rpartition(".")[0]
            for names, line in self._imports(tree, package, file):
                self._draw(file, names, line)

    @staticmethod
    def _dotted(file: Path, top: Path) -> str:
        parts = file.relative_to(top).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _imports(self, tree: ast.AST, package: str, file: Path) -> Iterator[tuple[list[str], int]]:
        """For each import the names it may mean, the most exact one first."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield [alias.name], node.lineno
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield [f"{base}.{alias.name}", base], node.lineno

    def _draw(self, file: Path, names: list[str], line: int) -> None:
        for name in names:
            target = self.files.get(name) or self.neighbours.get((file.parent, name))
            if target:
                self.graph.add(file, target, line)
                return


def graph(name: str, folder: Path) -> Graph:
    return Package(name, folder).graph
