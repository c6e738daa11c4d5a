# SPDX-License-Identifier: GPL-3.0-or-later
"""Translations of the add-on, one module for each language. Blender's own come first: a word that
Blender has looks as everywhere in Blender. Sentences of the compiled module and of the farm, and
logs, are not translated.
"""

from bpy.app import translations

from . import de

# Before 4.1 Blender has no switch of its own for reports.
rpt_ = getattr(translations, "pgettext_rpt", translations.pgettext_tip)

# By language alone: Blender looks there for de_DE, as it was named up to 4.x, and for de.
LANGUAGES = {"de": de}


def messages(language) -> dict[tuple[str, str], str]:
    """{(context, English): translation}, as Blender takes it."""
    return {
        **{("*", english): words for english, words in language.WORDS.items()},
        **{("Operator", english): words for english, words in language.BUTTONS.items()},
    }


def register() -> None:
    translations.register(__package__, {locale: messages(words) for locale, words in LANGUAGES.items()})


def unregister() -> None:
    translations.unregister(__package__)
