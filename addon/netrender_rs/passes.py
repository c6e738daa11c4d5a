# SPDX-License-Identifier: GPL-3.0-or-later
"""Announces the passes of the engine that slaves render with to Blender, as if Network Render had
them: only an announced pass has a socket in the compositor and gets its pixels when a film is loaded.

Cycles' add-on announces its passes itself. EEVEE and Workbench are compiled into Blender; their
passes are listed here.
"""

from collections.abc import Iterable, Iterator

import bpy

Pass = tuple[str, str, str]  # name, channels (a letter each), kind

# Property of a view layer, name up to 4.5 and from 5.0 on, channels, kind. In the order of
# EEVEE_render_update_passes.
EEVEE = (
    ("use_pass_z", "Depth", "Depth", "Z", "VALUE"),
    ("use_pass_mist", "Mist", "Mist", "Z", "VALUE"),
    ("use_pass_normal", "Normal", "Normal", "XYZ", "VECTOR"),
    ("use_pass_shadow", "Shadow", "Shadow", "RGB", "COLOR"),
    ("use_pass_ambient_occlusion", "AO", "Ambient Occlusion", "RGB", "COLOR"),
    ("use_pass_emit", "Emit", "Emission", "RGB", "COLOR"),
    ("use_pass_environment", "Env", "Environment", "RGB", "COLOR"),
    ("use_pass_diffuse_direct", "DiffDir", "Diffuse Direct", "RGB", "COLOR"),
    ("use_pass_diffuse_color", "DiffCol", "Diffuse Color", "RGB", "COLOR"),
    ("use_pass_glossy_direct", "GlossDir", "Glossy Direct", "RGB", "COLOR"),
    ("use_pass_glossy_color", "GlossCol", "Glossy Color", "RGB", "COLOR"),
)
EEVEE_NEXT = (
    ("use_pass_position", "Position", "Position", "XYZ", "VECTOR"),
    ("use_pass_vector", "Vector", "Vector", "XYZW", "VECTOR"),
)
# The same, of the view layer's own settings for EEVEE.
EEVEE_OWN = (
    ("use_pass_volume_direct", "VolumeDir", "Volume Direct", "RGB", "COLOR"),
    ("use_pass_bloom", "BloomCol", "BloomCol", "RGB", "COLOR"),
    ("use_pass_transparent", "Transp", "Transparent", "RGBA", "COLOR"),
)


def announce(
    engine: bpy.types.RenderEngine, scene: bpy.types.Scene, layer: bpy.types.ViewLayer, name: str
) -> None:
    """Announces the passes that the engine `name` renders of a view layer."""
    if name == "CYCLES":
        try:
            from cycles import engine as cycles
        except ImportError:  # its add-on is off here: the picture comes all the same
            announce_all(engine, scene, layer, [("Combined", "RGBA", "COLOR")])
        else:
            cycles.register_passes(engine, scene, layer)
        return
    announce_all(engine, scene, layer, list(compiled_in(layer, name)))


def announce_all(engine, scene, layer, passes: Iterable[Pass]) -> None:
    for name, channels, kind in passes:
        engine.register_pass(scene, layer, name, len(channels), channels, kind)


def compiled_in(layer, engine: str) -> Iterator[Pass]:
    """Yields the passes of EEVEE or Workbench."""
    yield "Combined", "RGBA", "COLOR"
    if engine == "BLENDER_WORKBENCH":
        if layer.use_pass_z:
            yield "Depth", "Z", "VALUE"
    else:
        is_next = bpy.app.version >= (4, 2, 0)
        yield from wanted(layer, EEVEE + EEVEE_NEXT if is_next else EEVEE)
        yield from wanted(layer.eevee, EEVEE_OWN)
    levels = (min(16, layer.pass_cryptomatte_depth) + 1) // 2
    for what in ("object", "material", "asset"):
        if getattr(layer, f"use_pass_cryptomatte_{what}"):
            for level in range(levels):
                yield f"Crypto{what.title()}{level:02d}", "rgba", "COLOR"
    for aov in layer.aovs:
        if aov.is_valid:
            yield (aov.name, "X", "VALUE") if aov.type == "VALUE" else (aov.name, "RGBA", "COLOR")


def wanted(settings, passes) -> Iterator[Pass]:
    """Yields the passes whose switches are on in the settings."""
    renamed = bpy.app.version >= (5, 0, 0)
    for switch, old, new, channels, kind in passes:
        if getattr(settings, switch, False):
            yield new if renamed else old, channels, kind
