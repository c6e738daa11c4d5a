# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's own Python, which slaves do not run: what Blender itself would run of it while it
loads and renders the file, and whether a frame can depend on it.

What lives here: every way by which a .blend brings Python to run. What does not: switching these
off on a slave (the worker). The ways are
- drivers of the type Scripted Expression, beyond plain arithmetic,
- texts with *Register*, which run when the file is loaded; their handlers and functions for drivers
  come by these,
- style modules of Freestyle, which Blender runs whatever its option `-Y` says.
OSL is no Python, texts that are not registered are run by hand only, and what an add-on does in the
artist's Blender is not in the file.
"""

import ast

import bpy
from netrender_trace_findings import INFO, finding, title
from netrender_trace_shown import changes

# What a text may do while it loads if it is to change panels and buttons only.
PANELS = set("Panel Operator Menu UIList Header PropertyGroup object".split())
MODULES = set(
    """__future__ bl_ui bpy bpy_extras bpy_types collections copy dataclasses enum functools itertools json
    math mathutils os random re rigify rna_prop_ui string sys textwrap time traceback typing""".split()
)
HARMLESS_CALLS = set(
    """TypeVar append bool dict extend float format frozenset int items join keys len list namedtuple print
    range register_class register_classes_factory reversed set sorted str tuple unregister_class""".split()
)


def scripts(shown):
    """(reasons why frames need the scene's own Python, findings about Python that none needs)"""
    reasons, findings = [], []
    for block, what in (*drivers(), *texts(), *style_modules(shown)):
        if block is None or shown.shows(block):
            reasons.append(what)
        else:
            findings.append(unneeded(title(block), f"{what}, and no frame of this scene depends on it"))
    for text in bpy.data.texts:
        if is_registered(text) and draws_panels_only(text.as_string()):
            message = (
                f"Text '{text.name_full}' is Python that only makes panels and buttons: slaves do without it"
            )
            findings.append(unneeded(title(text), message))
    return reasons, findings


def unneeded(where, message):
    return finding("scripts", INFO, where, message, "Nothing has to be done.")


def drivers():
    """Yields (datablock, why it needs Python) for each driver."""
    collections = [p.identifier for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"]
    for block in (b for name in collections for b in getattr(bpy.data, name)):
        for holder in (block, getattr(block, "node_tree", None)):
            animation = getattr(holder, "animation_data", None)
            for curve in animation.drivers if animation else ():
                driver = curve.driver
                is_python = (
                    driver.type == "SCRIPTED" and driver.expression and not driver.is_simple_expression
                )
                if is_python and not curve.mute:
                    what = f"{type(block).__name__} '{block.name_full}': the driver of {curve.data_path}"
                    yield block, f"{what} [{curve.array_index}] is Python: {driver.expression}"


def texts():
    """Yields (None, why it needs Python) for each text that a frame may depend on."""
    for text in bpy.data.texts:
        if is_registered(text) and not draws_panels_only(text.as_string()):
            yield None, f"Text '{text.name_full}' is Python that runs when the file is loaded"


def is_registered(text):
    return text.use_module and text.name.lower().endswith(".py")  # Blender runs no others


def style_modules(shown):
    """Yields (scene, why it needs Python) for each style module of Freestyle."""
    for scene in bpy.data.scenes:
        draws = scene.render.use_freestyle or changes(scene, "use_freestyle")
        for layer in scene.view_layers:
            settings = layer.freestyle_settings
            if not draws or settings.mode != "SCRIPT":
                continue
            for module in settings.modules:
                if module.use and module.script is not None:
                    where = f"Scene '{scene.name_full}', view layer '{layer.name}'"
                    yield scene, f"{where}: Freestyle's style module '{module.script.name}' is Python"


# --------------------------------------------------------------------------- texts that draw panels


def draws_panels_only(source):
    """True for Python that, while it loads, does nothing but register panels and operators, as the
    user interface of a Rigify rig does. What these do once somebody clicks changes no frame.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False  # Blender's own Python may know it
    return Loading(tree).is_harmless(tree.body)


class Loading:
    """The statements of a text that run when it is loaded, those of functions it calls included."""

    def __init__(self, tree):
        self._functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        self._classes = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
        self._entered = set()

    def is_harmless(self, body):
        return all(map(self._statement, body))

    def _statement(self, node):
        if isinstance(node, (ast.FunctionDef, ast.Pass, ast.Global, ast.Return)):
            decorated = getattr(node, "decorator_list", ())
            return not decorated and self._value(getattr(node, "value", None))
        if isinstance(node, ast.Import):
            return all(name.name.partition(".")[0] in MODULES for name in node.names)
        if isinstance(node, ast.ImportFrom):
            return (node.module or "").partition(".")[0] in MODULES
        if isinstance(node, ast.ClassDef):
            return self._class(node)
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return all(map(is_own, targets)) and self._value(node.value)
        if isinstance(node, ast.Expr):
            return self._value(node.value)
        if isinstance(node, (ast.If, ast.While)):
            return self._value(node.test) and self.is_harmless([*node.body, *node.orelse])
        if isinstance(node, ast.For):
            return self._value(node.iter) and self.is_harmless([*node.body, *node.orelse])
        if isinstance(node, ast.Try):
            handlers = [line for handler in node.handlers for line in handler.body]
            return self.is_harmless([*node.body, *handlers, *node.orelse, *node.finalbody])
        return False

    def _class(self, node):
        """True for a panel, an operator and the like: its methods run when somebody uses it."""
        bases = {name_of(base) for base in node.bases}
        if node.keywords or node.decorator_list or not bases <= PANELS | self._classes:
            return False
        return all(
            isinstance(n, (ast.FunctionDef, ast.Pass))
            or (isinstance(n, (ast.Assign, ast.AnnAssign, ast.Expr)) and self._value(n.value))
            for n in node.body
        )

    def _value(self, node):
        """True if an expression only reads and makes plain values."""
        if node is None:
            return True
        for part in ast.walk(node):
            if isinstance(part, (ast.Await, ast.Yield, ast.YieldFrom)):
                return False
            if isinstance(part, ast.Attribute) and part.attr in ("handlers", "timers", "driver_namespace"):
                return False
            if isinstance(part, ast.Call) and not self._call(part):
                return False
        return True

    def _call(self, call):
        name = name_of(call.func)
        if isinstance(call.func, ast.Name) and name in self._functions:
            if name not in self._entered:
                self._entered.add(name)
                return self.is_harmless(self._functions[name].body)
            return True
        return name in HARMLESS_CALLS or name.endswith("Property")  # as bpy.props.IntProperty(...)


def is_own(target):
    """True for a variable of the text, and for a property of the window manager, which no frame reads."""
    if isinstance(target, ast.Attribute):
        return ast.unparse(target.value) == "bpy.types.WindowManager"
    return isinstance(target, (ast.Name, ast.Tuple))


def name_of(node):
    """The last name of a.b.c; "" for anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
