# SPDX-License-Identifier: GPL-3.0-or-later
"""Import graph of a folder of JavaScript modules, read with tree-sitter; its syntax is checked on
the way."""

from pathlib import Path

import tree_sitter_javascript
from graph import Graph
from tree_sitter import Language, Parser, Query, QueryCursor

LANGUAGE = Language(tree_sitter_javascript.language())
PARSER = Parser(LANGUAGE)
IMPORTS = Query(
    LANGUAGE,
    """
    (import_statement source: (string (string_fragment) @from))
    (export_statement source: (string (string_fragment) @from))
    (call_expression function: (import) arguments: (arguments (string (string_fragment) @from)))
    """,
)


def graph(name: str, folder: Path) -> Graph:
    graph = Graph(name)
    for file in sorted(folder.rglob("*.js")):
        graph.files.add(file)
        tree = PARSER.parse(file.read_bytes())
        if tree.root_node.has_error:
            graph.problems.append(f"{file}: not JavaScript")
        for node in QueryCursor(IMPORTS).captures(tree.root_node).get("from", []):
            wanted = (node.text or b"").decode()
            target = (file.parent / wanted).resolve()
            line = node.start_point[0] + 1
            if target.is_file():
                graph.add(file, target, line)
            else:
                graph.problems.append(f"{file}:{line}: there is no {wanted}")
    return graph
