# SPDX-License-Identifier: GPL-3.0-or-later
"""Import graph of the modules of a Rust crate, read with tree-sitter.

A file depends on the file that *defines* what it names, in `use` declarations, in paths in the code
and in the arguments of macros; re-exports are followed. Three things are no arrows:
- `mod child;`, and `pub use child::Name` of which the parent makes no other use: a façade only says
  what there is;
- code under `#[cfg(test)]`, which may look anywhere;
- a `macro_rules!` used without a path, because its scope is the text below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tree_sitter_rust
from graph import Graph
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_rust.language()))
ITEMS = {
    *("struct_item", "enum_item", "union_item", "function_item", "const_item", "static_item"),
    *("type_item", "trait_item", "macro_definition"),
}
PATHS = {"scoped_identifier", "scoped_type_identifier"}
NAMES = {"identifier", "type_identifier", "self", "super", "crate", "metavariable"}
Segments = tuple[str, ...]


@dataclass
class Use:
    """One name that a `use` brings in; `alias` is `*` for a glob."""

    alias: str
    path: Segments
    line: int
    is_public: bool


@dataclass
class Module:
    path: Segments
    file: Path
    folder: Path  # where files of child modules are
    parent: Module | None = None
    children: dict[str, Module] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)
    uses: list[Use] = field(default_factory=list)
    paths: list[tuple[Segments, int]] = field(default_factory=list)
    words: set[str] = field(default_factory=set)  # types and functions named outside `use`

    def root(self) -> Module:
        return self.parent.root() if self.parent else self

    def is_within(self, other: Module) -> bool:
        return self.path[: len(other.path)] == other.path


def text(node: Node | None) -> str:
    return (node.text or b"").decode() if node else ""


def line_of(node: Node) -> int:
    return node.start_point[0] + 1


def segments(node: Node | None) -> Segments | None:
    """`a::b::C` as a tuple; None for a path through a type, such as `<T as Trait>::new`."""
    if node is None:
        return ()
    if node.type in NAMES:
        return (text(node).removeprefix("r#"),)
    if node.type in PATHS:
        before = segments(node.child_by_field_name("path"))
        last = segments(node.child_by_field_name("name"))
        return None if before is None or last is None else before + last
    return None


def used(node: Node, before: Segments) -> Iterator[tuple[str, Segments]]:
    """The names that the tree of a `use` brings in, each with its whole path."""
    if node.type == "use_list":
        for child in node.named_children:
            yield from used(child, before)
    elif node.type == "scoped_use_list":
        inner = node.child_by_field_name("list")
        if inner:
            yield from used(inner, before + (segments(node.child_by_field_name("path")) or ()))
    elif node.type == "use_as_clause":
        yield (
            text(node.child_by_field_name("alias")),
            before + (segments(node.child_by_field_name("path")) or ()),
        )
    elif node.type == "use_wildcard":
        yield "*", before + ((segments(node.named_children[0]) if node.named_children else None) or ())
    elif path := segments(node):
        path = before + (path if path != ("self",) or not before else ())
        yield path[-1], path


def is_test(attributes: list[Node]) -> bool:
    return any("cfg(test" in text(node) or "cfg(all(test" in text(node) for node in attributes)


def path_attribute(attributes: list[Node]) -> str | None:
    for node in attributes:
        before, equals, value = text(node).partition("=")
        if equals and before.strip(" #[") == "path":
            return value.strip(' "]')
    return None


class Crate:
    """The module tree of one target (library, program, test, example)."""

    def __init__(self, name: str, root_file: Path):
        self.graph = Graph(name)
        self.modules: list[Module] = []
        self.root = Module((), root_file, root_file.parent)
        self._read(self.root)
        for module in self.modules:
            self._draw(module)

    # -- reading

    def _read(self, module: Module) -> None:
        tree = PARSER.parse(module.file.read_bytes())
        self.modules.append(module)
        self.graph.files.add(module.file)
        self._items(tree.root_node, module)

    def _items(self, node: Node, module: Module) -> None:
        """Reads the children of `node`, each with the attributes before it."""
        attributes: list[Node] = []
        for child in node.children:
            if child.type in ("attribute_item", "line_comment", "block_comment"):
                if child.type == "attribute_item":
                    attributes.append(child)
                continue
            if not is_test(attributes):
                self._item(child, attributes, module)
            attributes = []

    def _item(self, node: Node, attributes: list[Node], module: Module) -> None:
        if node.type == "mod_item":
            self._module(node, attributes, module)
            return
        if node.type == "use_declaration":
            argument = node.child_by_field_name("argument")
            is_public = any(child.type == "visibility_modifier" for child in node.children)
            for alias, path in used(argument, ()) if argument else ():
                module.uses.append(Use(alias, path, line_of(node), is_public))
            return
        if node.type in ITEMS and node.parent and node.parent.type in ("source_file", "declaration_list"):
            module.items.add(text(node.child_by_field_name("name")))
        if node.type == "token_tree":
            self._tokens(node, module)
            return
        if node.type in PATHS and (path := segments(node)):
            module.paths.append((path, line_of(node)))
            module.words.add(path[0])
            return
        called = node.child_by_field_name("function") if node.type == "call_expression" else None
        if node.type == "type_identifier" or (called and called.type == "identifier"):
            module.words.add(text(called or node))
        self._items(node, module)

    def _module(self, node: Node, attributes: list[Node], module: Module) -> None:
        name = text(node.child_by_field_name("name")).removeprefix("r#")
        body = node.child_by_field_name("body")
        child = Module((*module.path, name), module.file, module.folder / name, module)
        module.children[name] = child
        if body:
            self.modules.append(child)
            self._items(body, child)
            return
        named = path_attribute(attributes)
        candidates = (
            [module.file.parent / named]
            if named
            else [
                module.folder / f"{name}.rs",
                module.folder / name / "mod.rs",
            ]
        )
        child.file = next((file for file in candidates if file.exists()), module.file)
        if child.file == module.file:
            self.graph.problems.append(f"{module.file}:{line_of(node)}: no file for `mod {name}`")
            return
        if named or child.file.name == "mod.rs":
            child.folder = child.file.parent
        self._read(child)

    def _tokens(self, tree: Node, module: Module) -> None:
        """Finds the paths among the raw tokens of a macro's arguments."""
        path: list[str] = []
        line = 0
        joined = False
        for token in [*leaves(tree), None]:
            kind = token.type if token else ""
            if token and kind in NAMES and (joined or not path):
                path.append(text(token))
                line = line or line_of(token)
                joined = False
            elif token and kind == "::" and path:
                joined = True
            else:
                if path:
                    module.words.add(path[0])
                    if len(path) > 1:
                        module.paths.append((tuple(path), line))
                begins = token is not None and kind in NAMES
                path, line, joined = (
                    ([text(token)] if begins else []),
                    (line_of(token) if begins else 0),
                    False,
                )

    # -- resolving

    def _draw(self, module: Module) -> None:
        for use in module.uses:
            target = self._resolve(module, use.path)
            if target is None or (isinstance(target, Module) and use.alias != "*"):
                continue  # another crate's, or a module, of which each use is a path of its own
            target = target if isinstance(target, Module) else target[0]
            is_facade = use.is_public and target.is_within(module)
            if not is_facade or use.alias in module.words:
                self.graph.add(module.file, target.file, use.line)
        for path, line in module.paths:
            target = self._resolve(module, path)
            if target is not None:
                target = target if isinstance(target, Module) else target[0]
                self.graph.add(module.file, target.file, line)

    def _resolve(self, module: Module, path: Segments, depth: int = 0) -> Module | tuple[Module, str] | None:
        """The module that `path` names as seen from `module`, or the module that defines the item
        it names, with the item's name. None for what other crates have."""
        if not path or depth > 20:
            return None
        first, rest = path[0], path[1:]
        here: Module | tuple[Module, str] | None
        if first in ("crate", "$crate"):
            here = module.root()
        elif first == "self":
            here = module
        elif first == "super":
            here = module.parent
        else:
            here = self._lookup(module, first, depth)
        while rest and isinstance(here, Module):
            name, rest = rest[0], rest[1:]
            # What a macro makes is not seen here: such an item counts as its module's own.
            here = here.parent if name == "super" else self._lookup(here, name, depth) or (here, name)
        return here

    def _lookup(self, module: Module, name: str, depth: int) -> Module | tuple[Module, str] | None:
        if name in module.children:
            return module.children[name]
        if name in module.items:
            return module, name
        for use in module.uses:
            if use.alias == name and use.path != (name,):
                return self._resolve(module, use.path, depth + 1)
        for use in module.uses:
            if use.alias == "*":
                source = self._resolve(module, use.path, depth + 1)
                found = (
                    self._lookup(source, name, depth + 1)
                    if isinstance(source, Module) and depth < 20
                    else None
                )
                if found:
                    return found
        return None


def leaves(node: Node) -> Iterator[Node]:
    for child in node.children:
        if child.type == "token_tree":
            yield from leaves(child)
        else:
            yield child


def graph(name: str, root_file: Path) -> Graph:
    return Crate(name, root_file).graph
