# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine's defaults, in the add-on's preferences."""

import bpy
from bpy.props import StringProperty

# "netrender_rs"; the name of an extension begins with its repository.
ADDON = __name__.rpartition(".props.")[0]


class NETRENDER_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = ADDON

    folder: StringProperty(
        name="Working Folder",
        description="Masters and slaves of this machine keep their files in folders below this one. "
        "Empty: a folder of your user account",
        subtype="DIR_PATH",
    )
    master: StringProperty(
        name="Master", description="The master used when a scene names none. Empty: the first one heard"
    )

    def draw(self, _context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "master")
        layout.prop(self, "folder")


def preferences() -> NETRENDER_AP_preferences | None:
    """The add-on's preferences; None where it was registered by hand, as tests do."""
    addon = bpy.context.preferences.addons.get(ADDON)
    return addon.preferences if addon is not None else None


register, unregister = bpy.utils.register_classes_factory((NETRENDER_AP_preferences,))
