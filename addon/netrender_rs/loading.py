# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives Blender the pixels of a film: all layers, passes and views of a frame at once."""

import array
import os
import shutil

import bpy

from . import native
from .languages import rpt_

BEAUTY = "Combined"
# Measured: 5.0.1 gets no pixels at all, and says nothing, from a film of several views; 4.3.2 and 3.4.1 do.
READS_VIEWS = bpy.app.version < (5, 0)


def load(engine, result, path, has_views):
    """Fills a result that `engine` began. RuntimeError: the film does not fit."""
    if not has_views or READS_VIEWS:
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


def put(result, found):
    """Whether Blender has a place for this pass."""
    layer = next((layer for layer in result.layers if layer.name == found["layer"]), None)
    place = layer and layer.passes.find_by_name(found["pass"], found["view"] or "")
    if not place:
        return False
    values = array.array("f")
    with open(found["file"], "rb") as file:
        values.frombytes(file.read())
    place.rect.foreach_set(values)
    return True
