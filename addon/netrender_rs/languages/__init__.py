# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's words in other languages than English, one module for each. Blender's own translations come first: what
it has a word for looks as everywhere in Blender. Not translated are what the compiled part and the farm say, and logs.
"""

from bpy.app import translations

from . import de

# Before 4.1 Blender has no switch of its own for reports.
rpt_ = getattr(translations, "pgettext_rpt", translations.pgettext_tip)

# By language alone: Blender looks there for de_DE, as it was named up to 4.x, and for de.
LANGUAGES = {"de": de}


def messages(language):
    """{(context, English): translation}, as Blender takes it."""
    return {
        **{("*", english): words for english, words in language.WORDS.items()},
        **{("Operator", english): words for english, words in language.BUTTONS.items()},
    }


def register():
    translations.register(__package__, {locale: messages(words) for locale, words in LANGUAGES.items()})


def unregister():
    translations.unregister(__package__)
