# SPDX-License-Identifier: GPL-3.0-or-later
"""Every word of the add-on's face has a translation in every language, and every translation has such a word. The
words are collected where Blender has them (classes, properties) and, for what draw functions and operators say, from
the sources.
"""

import ast
import json
import runpy
import string

import pytest

from support.addon import StubbedAddon
from support.paths import ADDONS

SOURCES = ADDONS / "netrender_rs"
TEXT_KEYWORDS = {"text", "heading", "placeholder"}
TRANSLATED = {"iface_", "rpt_"}
NAMED = {"label", "kind", "PHASES"}  # what is translated where it is drawn
# What rows and snapshots of the farm say in few words; its sentences are shown as they come.
FARM_WORDS = {
    "Queued", "Baking", "Rendering", "Paused", "Finished", "Failed", "Canceled",
    "Ready", "Starting", "Stopped", "Stopping", "Paused: gets no work",
    "Lost: not heard of for longer than the slave timeout",
}  # fmt: skip

# As in English: names, units, and words that are German by now.
SAME = {
    "de": {
        "AMD", "Apple", "Auto", "CPU", "CUDA", "Client", "Cycles", "EEVEE", "Engine", "HIP", "Info", "Intel", "Job",
        "Jobs", "Master", "Metal", "NVIDIA", "Name", "OptiX", "Port", "Slave", "Slaves",
        "Tags", "Threads", "Workbench", "oneAPI", "{}/s", "Job {}: {}", "{} JPEGs in {}",
    },
}  # fmt: skip

COLLECT = """
import json

found = set()

def add(context, words):
    if words:
        found.add((context or "*", words))

def subclasses(kind):
    for cls in kind.__subclasses__():
        yield cls
        yield from subclasses(cls)

kinds = (bpy.types.Panel, bpy.types.Menu, bpy.types.UIList, bpy.types.Operator, bpy.types.PropertyGroup,
         bpy.types.AddonPreferences, bpy.types.RenderEngine)
for kind in kinds:
    for cls in subclasses(kind):
        if not cls.__module__.startswith("netrender_rs") or not cls.is_registered:
            continue
        rna = cls.bl_rna
        if kind is bpy.types.Operator:
            package, name = cls.bl_idname.split(".")
            rna = getattr(getattr(bpy.ops, package), name).get_rna_type()
            add(rna.translation_context, rna.name)
            add("*", rna.description)
        else:
            add("*", getattr(cls, "bl_label", ""))
        own = {name for c in cls.__mro__ if c.__module__.startswith("netrender_rs")
               for name in c.__dict__.get("__annotations__", ())}
        properties = {prop.identifier: prop for prop in rna.properties}  # by name one gets PropertyGroup's own `name`
        for prop in (properties[name] for name in sorted(own)):
            if prop.name != prop.identifier:
                add(prop.translation_context, prop.name)
            add("*", prop.description)
            for item in getattr(prop, "enum_items", ()):
                add(prop.translation_context, item.name)
                add("*", item.description)
print("FOUND" + json.dumps(sorted(found)))
"""

SPEAK = """
from bpy.app import translations
view = bpy.context.preferences.view
german = next((name for name in translations.locales if name in ("de", "de_DE")), None)
buttons = lambda: (translations.pgettext("Send Job", "Operator"), translations.pgettext("Not connected to a master"))
assert buttons() == ("Send Job", "Not connected to a master"), buttons()
assert german or not bpy.app.build_options.international
if german:
    view.language = german
    view.use_translate_interface = view.use_translate_tooltips = True
    assert buttons() == ("Job senden", "Nicht mit einem Master verbunden"), buttons()
    assert netrender_rs.panels.client.transfer_words({"bytes_total": 0, "phase": "tracing"}) == \
        "Dateien der Szene werden aufgelistet"
    assert netrender_rs.operators.slaves.rpt_("{} is not paused").format("a") == "a ist nicht angehalten"
netrender_rs.unregister()
assert buttons() == ("Send Job", "Not connected to a master"), buttons()
netrender_rs.register()
print("SPOKEN" if german else "NO GERMAN HERE")
"""


def literals(node):
    """The texts an expression can be: `"A"`, or both of `"A" if x else "B"`."""
    if isinstance(node, ast.IfExp):
        return literals(node.body) | literals(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def words_of_source(path):
    """{(context, words)} that draw functions and operators say."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in TRANSLATED:
                found |= {("*", words) for words in literals(node.args[0])}
            if name == "start" and len(node.args) > 1:  # of a transfer: its label is drawn
                found |= {("*", words) for words in literals(node.args[1])}
            if isinstance(function, ast.Attribute):
                context = "Operator" if name == "operator" else "*"
                for keyword in node.keywords:
                    if keyword.arg in TEXT_KEYWORDS:
                        found |= {(context, words) for words in literals(keyword.value)}
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in NAMED:
            values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
            found |= {("*", words) for value in values for words in literals(value)}
    return {(context, words) for context, words in found if words}


def words_of_sources():
    files = [p for p in SOURCES.rglob("*.py") if p.parent.name not in ("worker", "trace", "languages")]
    return {("*", words) for words in FARM_WORDS} | set().union(*map(words_of_source, files))


def fields(words):
    return sorted(field for _, field, _, _ in string.Formatter().parse(words) if field is not None)


def messages(language):
    """{(context, English): translation} of a module of languages/, which needs no bpy."""
    path = SOURCES / "languages" / f"{language}.py"
    given = runpy.run_path(str(path))
    contexts = {"*": "WORDS", "Operator": "BUTTONS"}
    return {
        (context, english): words
        for context, name in contexts.items()
        for english, words in given[name].items()
    }


@pytest.fixture
def run(any_blender, tmp_path):
    return StubbedAddon(any_blender, tmp_path)


@pytest.mark.parametrize("language", SAME)
def test_every_word_is_translated_and_no_translation_is_left_over(run, language):
    (line,) = (line for line in run(COLLECT).splitlines() if line.startswith("FOUND"))
    of_classes = {tuple(pair) for pair in json.loads(line[len("FOUND") :])}
    assert len(of_classes) > 100
    wanted = of_classes | words_of_sources()
    translated = messages(language)

    same = {pair for pair in wanted if pair[1] in SAME[language]}
    assert sorted(wanted - same - translated.keys()) == [], "not translated"
    assert sorted(translated.keys() - wanted) == [], "nothing says this any more"
    assert SAME[language] - {words for _, words in wanted} == set(), "nothing says this any more"
    assert sorted(same & translated.keys()) == [], "both translated and kept"


@pytest.mark.parametrize("language", SAME)
def test_translations_are_filled_in_like_the_english_words(language):
    for (context, english), words in messages(language).items():
        assert words not in ("", english), (context, english)
        assert fields(words) == fields(english), (context, english, words)
        assert words == words.strip()
        assert words.endswith(".") == english.endswith("."), (english, words)


def test_a_german_blender_says_it_in_german_until_the_add_on_goes(run):
    said = run(SPEAK)
    assert "SPOKEN" in said or run.blender.is_python  # the module bpy is built without languages
