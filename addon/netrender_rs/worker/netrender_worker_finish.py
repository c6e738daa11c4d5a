# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishing a frame whose parts were merged: denoising, then everything that Blender does with the
pixels of an engine (compositor, colour management, output).

What lives here: an engine that renders nothing and gives Blender the merged pixels as if Cycles had
made them. What does not: merging and unpacking films (the Rust side), the denoiser
(netrender_worker_denoise.py).
"""

import array
import contextlib

import bpy
from netrender_worker_denoise import CannotDenoise, Denoiser
from netrender_worker_paths import Refused

NOISY = "Noisy Image"


def want_merged(request):
    """{(layer, view): {pass: (channels, file)}} of a finish request."""
    merged = {}
    passes = request.get("passes")
    if not isinstance(passes, list) or not passes:
        raise Refused("bad_request", "finish: 'passes' is a list of what was merged. Mend the request.")
    for found in passes:
        try:
            layer, view, name = found["layer"], found.get("view") or "", found["pass"]
            merged.setdefault((layer, view), {})[name] = (found["channels"], found["file"])
        except (TypeError, KeyError) as error:
            raise Refused("bad_request", f"finish: a pass lacks {error}. Mend the request.") from None
    return merged


def pixels(path, count):
    """The floats of an unpacked pass, the bottom row first."""
    values = array.array("f")
    with open(path, "rb") as file:
        values.fromfile(file, count)
        if file.read(1):
            raise EOFError
    return values


class Merged:
    """The merged pixels on their way into Blender, and which layers got theirs."""

    def __init__(self, scene, passes, width, height, words):
        self.scene = scene
        self.passes = passes
        self.width, self.height = width, height
        self.words = words
        self.given = set()
        self.problem = None

    def denoises(self, layer):
        return self.scene.cycles.use_denoising and self.scene.view_layers[layer].cycles.use_denoising

    def read(self, of, name, channels):
        """The pixels of a pass of the layer and view `of`. Raises Refused where they are not as
        expected.
        """
        if name not in self.passes.get(of, {}):
            layer, view = of
            where = f"view layer '{layer}'" + (f", view '{view}'" if view else "")
            raise Refused("render_failed", f"The merged film lacks the pass {name} of {where}.")
        there, path = self.passes[of][name]
        if there != channels:
            raise Refused(
                "render_failed", f"The pass {name} has the channels {there} in place of {channels}."
            )
        try:
            return pixels(path, self.width * self.height * len(channels))
        except (OSError, EOFError) as error:
            raise Refused(
                "render_failed", f"The pass {name} of the merged film cannot be read: {error}"
            ) from None

    def fill(self, of, passes):
        """Gives Blender the pixels of a layer and view, denoised where the scene says so."""
        layer, _ = of
        denoised = None
        if self.denoises(layer):
            denoised = self.read(of, "Combined", "RGBA")
            try:
                with Denoiser(self.scene) as denoiser:
                    guides = {name: self.read(of, name, guide_channels(name)) for name in denoiser.passes}
                    denoiser.denoise(denoised, guides, self.width, self.height)
            except CannotDenoise as error:
                raise Refused("no_denoiser", str(error)) from None
        for found in passes:
            if denoised is not None and found.name == "Combined":
                values = denoised
            else:
                merged = "Combined" if found.name == NOISY else found.name
                values = self.read(of, merged, found.channel_id)
            put(found, values)
        self.given.add(of)


def put(render_pass, values):
    try:
        render_pass.rect.foreach_set(values)
    except TypeError:
        # Blender 3.4 counts pixels where it should count numbers. Assigning tuples works, and takes
        # long.
        render_pass.rect = list(zip(*[iter(values)] * render_pass.channels, strict=True))


def guide_channels(name):
    return "RGB" if name == "Denoising Albedo" else "XYZ"


class Replay(bpy.types.RenderEngine):
    """An engine whose frame is merged already."""

    bl_idname = "NETRENDER_REPLAY"
    bl_label = "Merged parts"
    bl_use_postprocess = True

    merged = None

    def update_render_passes(self, scene=None, renderlayer=None):
        from cycles import engine

        engine.register_passes(self, scene, renderlayer)

    def render(self, depsgraph):
        merged = Replay.merged
        scene, layer = depsgraph.scene, depsgraph.view_layer.name
        views = [view.name for view in scene.render.views if view.use] if scene.render.use_multiview else [""]
        try:
            for view in views:
                if view:
                    self.active_view_set(view)
                result = self.begin_result(0, 0, merged.width, merged.height, layer=layer, view=view)
                try:
                    merged.fill((layer, view), result.layers[0].passes)
                finally:
                    self.end_result(result)
            whole = self.get_result()
            for name, text in merged.words.items():
                whole.stamp_data_add_field(name, text)
        except Exception as error:  # noqa: BLE001 - Blender would print it and call the frame finished
            merged.problem = error
            self.error_set(str(error))


@contextlib.contextmanager
def replaying(scene, merged):
    """Within this context the scene's frame is the merged one."""
    if not Replay.is_registered:
        bpy.utils.register_class(Replay)
    before = scene.render.engine
    Replay.merged = merged
    try:
        scene.render.engine = Replay.bl_idname
        yield
    finally:
        scene.render.engine = before
        Replay.merged = None


def check_given(scene, merged):
    """Raises Refused unless every rendered layer got its pixels."""
    if isinstance(merged.problem, Refused):
        raise merged.problem
    if merged.problem is not None:
        raise Refused("render_failed", f"The merged film cannot be given to Blender: {merged.problem}.")
    lacking = sorted({layer for layer, _ in merged.passes} - {layer for layer, _ in merged.given})
    if lacking:
        raise Refused(
            "render_failed", f"Blender did not ask for view layer '{lacking[0]}' of scene '{scene.name}'."
        )
