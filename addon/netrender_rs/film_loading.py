# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads a film into Blender's render result: all layers, passes and views of a frame at once."""

from __future__ import annotations

import array
import os
import shutil
from typing import TYPE_CHECKING

import bpy

from . import native
from .languages import rpt_

if TYPE_CHECKING:
    from netrender_native import UnfoldedPass

BEAUTY = "Combined"
FINISHED = "Composite"
# Measured: 5.0.1 gets no pixels at all, and says nothing, from a film of several views; 4.3.2 and
# 3.4.1 do.
READS_VIEWS = bpy.app.version < (5, 0)
# Bytes of a layer's or a pass's name that Blender's own reader finds for sure: it cuts names at 50 or
# so, and then gets no pixels and says nothing (5.0.1).
SAFE_NAME_BYTES = 40


def load(engine: bpy.types.RenderEngine, result: bpy.types.RenderResult, path: str, has_views: bool) -> None:
    """Fills a result that `engine` began. Raises RuntimeError for a film that does not fit."""
    if (not has_views or READS_VIEWS) and not has_long_names(result):
        result.load_from_file(path)
        return
    folder = f"{path}.passes"
    os.makedirs(folder)
    try:
        size = engine.resolution_x, engine.resolution_y
        given = [found for found in native.module().unfold(path, *size, folder) if put(result, found)]
    except (TypeError, *native.errors()) as error:  # a pass with other channels is the first
        raise RuntimeError(str(error)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for layer in result.layers:
        wanted = sum(place.name == BEAUTY for place in layer.passes)
        if sum((found["layer"], found["pass"]) == (layer.name, BEAUTY) for found in given) < wanted:
            raise RuntimeError(rpt_("View layer {} is not there in each view").format(layer.name))


def load_picture(
    engine: bpy.types.RenderEngine, result: bpy.types.RenderResult, path: str, _has_views: bool
) -> None:
    """Fills each layer's picture with the film's finished one, after compositor and sequencer. Raises
    RuntimeError for a film that does not fit.
    """
    folder = f"{path}.passes"
    os.makedirs(folder)
    try:
        size = engine.resolution_x, engine.resolution_y
        passes = native.module().unfold(path, *size, folder)
        finished = [found for found in passes if (found["layer"], found["pass"]) == (FINISHED, BEAUTY)]
        for found in finished:
            for layer in result.layers:
                put(result, {**found, "layer": layer.name})
        if not finished:  # what makes the picture is off or makes none: then it is the layers' own
            for found in passes:
                put(result, found)
        wanted = sum(place.name == BEAUTY for place in result.layers[0].passes)
    except (TypeError, *native.errors()) as error:
        raise RuntimeError(str(error)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if finished and len(finished) < wanted:
        raise RuntimeError(rpt_("View layer {} is not there in each view").format(FINISHED))


def has_long_names(result: bpy.types.RenderResult) -> bool:
    names = [name for layer in result.layers for name in (layer.name, *(one.name for one in layer.passes))]
    return any(len(name.encode(errors="surrogateescape")) > SAFE_NAME_BYTES for name in names)


def add_words(engine: bpy.types.RenderEngine, words: dict[str, str]) -> None:
    """Adds a film's texts to the frame, without which nobody can read its Cryptomattes. Blender
    keeps them only when the result of the film's pixels has ended.
    """
    whole = engine.get_result()
    for name, text in words.items():
        whole.stamp_data_add_field(name, text)


def put(result: bpy.types.RenderResult, found: UnfoldedPass) -> bool:
    """Copies a pass into the result. False where Blender has no place for it."""
    layer = next((layer for layer in result.layers if layer.name == found["layer"]), None)
    place = layer and layer.passes.find_by_name(found["pass"], found["view"] or "")
    if not place:
        return False
    values = array.array("f")
    with open(found["file"], "rb") as file:
        values.frombytes(file.read())
    try:
        place.rect.foreach_set(values)
    except TypeError:
        if len(values) != result.resolution_x * result.resolution_y * place.channels:
            raise
        # 3.4 counts pixels where it should count numbers. Assigning tuples works, and takes long.
        place.rect = list(zip(*[iter(values)] * place.channels, strict=True))
    return True
