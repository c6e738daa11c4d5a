# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's Blender without what its user added: nothing of the slave's own changes a pixel.

What lives here: handlers of other people's scripts, preferences that change pixels, Python that a
scene runs in spite of `-Y`. What does not: the environment, which the Rust side cleans before
Blender starts (`worker/process.rs`), and devices, which are the slave's own by right. Blender's
factory start-up is no way to this: it would lose engines that come as add-ons.
"""

import bpy

# Packages of Blender's own handlers. Cycles updates old files by one.
OWN_PACKAGES = {"cycles", "bl_ui", "bl_operators", "bl_pkg"}

# Factory values, alike from 3.4 to 5.0, of preferences that a render can show. RNA's defaults are
# no source for them: 3.4's differ from what a factory Blender has.
FACTORY = {
    "system": {
        "anisotropic_filter": "FILTER_2",
        "gl_texture_limit": "CLAMP_OFF",
        "gl_clip_alpha": 0.004,
        "light_ambient": (0.0, 0.0, 0.0),
        "use_gpu_subdivision": True,
        # A cache on the slave's disk knows strips by name and time only.
        "use_sequencer_disk_cache": False,
        "use_studio_light_edit": False,
        "viewport_aa": "8",
    },
    "experimental": dict.fromkeys((
        "enable_eevee_next", "use_all_linked_data_direct", "use_cycles_debug", "use_eevee_debug",
        "use_experimental_compositors", "use_full_frame_compositor", "use_geometry_nodes_lists",
        "use_grease_pencil_version3", "use_new_curves_tools", "use_new_point_cloud_type",
        "use_new_volume_nodes", "use_override_templates", "use_realtime_compositor",
        "use_sculpt_texture_paint", "use_undo_legacy", "use_viewport_debug",
    ), False),
}  # fmt: skip


def package_of(module):
    """The add-on that a module belongs to: the first name, or all three of an extension."""
    parts = (module or "").split(".")
    return ".".join(parts[:3] if parts[0] == "bl_ext" else parts[:1])


def package_of_engine(engine):
    """The add-on that a render engine comes from; "" for one of Blender's own."""
    waiting = [bpy.types.RenderEngine]
    while waiting:
        for found in waiting.pop().__subclasses__():
            if getattr(found, "bl_idname", "") == engine:
                return package_of(found.__module__)
            waiting.append(found)
    return ""


def handler_lists():
    """[(name, list)] of Blender's handlers."""
    handlers = bpy.app.handlers
    named = ((name, getattr(handlers, name)) for name in dir(handlers) if not name.startswith("_"))
    return [(name, found) for name, found in named if isinstance(found, list)]


class Handlers:
    """Blender's handlers, without those of the slave's user."""

    def __init__(self, ours):
        """`ours` are the worker's functions. All others there are now are the start-up's."""
        self._ours = ours
        self._of_start = [(name, list(found)) for name, found in handler_lists()]

    def clean(self, engine):
        """Leaves the worker's handlers, Blender's own, and those of the add-on that `engine` comes
        from, which may not work without them.
        """
        packages = {*OWN_PACKAGES, package_of_engine(engine) or "cycles"}

        def stays(handler):
            return handler in self._ours or package_of(getattr(handler, "__module__", "")) in packages

        lists = dict(handler_lists())
        for name, of_start in self._of_start:
            # Those of an engine that an earlier load had no use for come back.
            lists[name][:] = [handler for handler in of_start if stays(handler)]


def reset_preferences():
    """Gives preferences that change pixels their factory values, in memory only."""
    preferences = bpy.context.preferences
    for group, values in FACTORY.items():
        owner = getattr(preferences, group)
        for name, value in values.items():
            if not hasattr(owner, name):
                continue
            try:
                setattr(owner, name, value)
            except (AttributeError, TypeError) as error:  # of a Blender that knows it differently
                print(f"preference {group}.{name}: {error}")


def disarm_scripts():
    """Takes the Python out of the open file that `-Y` does not: style modules of Freestyle, in
    every scene and view layer, linked ones too.
    """
    for scene in bpy.data.scenes:
        for layer in scene.view_layers:
            for module in layer.freestyle_settings.modules:
                if module.script is None:
                    continue
                print(f"Scene '{scene.name}', layer '{layer.name}': '{module.script.name}' is not run")
                module.use = False
                module.script = None
