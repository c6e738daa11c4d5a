# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python module is what its .pyi says: the same names, the same methods, no more and no less."""

import ast

import netrender_native as native
from processes import ROOT

STUB = ast.parse((ROOT / "rust" / "py" / "netrender_native.pyi").read_text(encoding="utf-8"))


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_module_and_stub_have_the_same_names():
    stub = {node.name for node in STUB.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    # maturin's package holds the compiled module beside the names it re-exports.
    assert public(dir(native)) - {"netrender_native"} == stub


def test_classes_have_the_methods_of_the_stub():
    for node in STUB.body:
        if isinstance(node, ast.ClassDef) and not node.name.endswith("Error"):
            methods = public(method.name for method in node.body if isinstance(method, ast.FunctionDef))
            assert public(dir(getattr(native, node.name))) == methods, node.name


def test_every_error_is_a_netrender_error():
    for name in public(dir(native)):
        if name.endswith("Error"):
            assert issubclass(getattr(native, name), native.NetrenderError), name
