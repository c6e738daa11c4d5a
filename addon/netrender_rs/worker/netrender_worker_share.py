# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering some of a frame's samples: the open scene is set to them, and afterwards put back.

What lives here: which settings that takes, by Blender, and when Cycles may keep what it built. What does not:
who may be asked for a share (the tracer's `split`), and merging (film `merge`).
"""

import contextlib

from netrender_worker_paths import Refused


def want_share(request):
    """(offset, samples, total) of a render request, or None for all of the frame."""
    share = request.get("share")
    if share is None:
        return None
    numbers = [share.get(name) for name in ("offset", "samples", "total")] if isinstance(share, dict) else []
    if [type(number) for number in numbers] != [int] * 3:
        raise Refused("bad_request", "render: 'share' has 'offset', 'samples' and 'total'. Mend the request.")
    offset, samples, total = numbers
    if offset < 0 or samples < 1 or offset + samples > total:
        raise Refused(
            "bad_request",
            f"render: {samples} samples from {offset} on are not among {total}. Mend the request.",
        )
    return offset, samples, total


class Keeper:
    """What Cycles builds before its first sample is kept between shares of one frame, and for nothing else.

    Kept over frames, or into a frame that is rendered whole, it could make a picture other than that of a fresh
    Blender. Turning the setting off frees it; leaving it on and rendering something else would not. With several
    view layers Cycles takes one for the other: pixels of the second are wrong (3.4 and 5.0), so nothing is kept.
    """

    def __init__(self, scene):
        self._scene, self._render = scene, scene.render
        self._artists = scene.render.use_persistent_data
        self._kept = None

    def keep(self, frame):
        """Before a share of this frame."""
        if self._kept != frame:
            self._render.use_persistent_data = False
        self._render.use_persistent_data = sum(layer.use for layer in self._scene.view_layers) == 1
        self._kept = frame

    def drop(self):
        """Before a whole frame, and after a share that went wrong."""
        if self._kept is not None:
            self._render.use_persistent_data = False
            self._render.use_persistent_data = self._artists
            self._kept = None


@contextlib.contextmanager
def only_samples(scene, offset, samples, total):
    """Within, the scene renders these samples and nothing of what has to wait for all: denoising, compositor and
    sequencer. What denoising will need is rendered along."""
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine != "CYCLES" or cycles is None:
        raise Refused("bad_request", f"Scene '{scene.name}' has no samples to share. Ask for whole frames.")
    settings = [
        (cycles, "use_denoising", False),
        (scene.render, "use_compositing", False),
        (scene.render, "use_sequencer", False),
        # A share has all of its samples, however long that takes.
        (cycles, "time_limit", 0.0),
        (cycles, "sample_offset", offset),
        *guides(scene),
    ]
    if hasattr(cycles, "use_sample_subset"):
        # Cycles knows the whole frame, cuts the view layers' own numbers by the range, and heeds the offset only so.
        settings += [
            (cycles, "samples", total),
            (cycles, "sample_subset_length", samples),
            (cycles, "use_sample_subset", True),
        ]
    else:
        settings += [(cycles, "samples", samples), *layer_samples(scene, offset, samples, total)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in settings]
    try:
        for owner, name, value in settings:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


def guides(scene):
    """What makes layers that will be denoised keep what guides the denoiser."""
    if scene.cycles.use_denoising:
        for layer in scene.view_layers:
            if layer.cycles.use_denoising:
                yield layer.cycles, "denoising_store_passes", True


def layer_samples(scene, offset, samples, total):
    """What view layers with a number of their own must have, where Cycles takes it for what is to be rendered."""
    if scene.cycles.use_layer_samples == "IGNORE":
        return
    for layer in scene.view_layers:
        if layer.samples > 0:
            own = min(layer.samples, total)
            # 0 would mean as many as the scene's; what is rendered then has no weight.
            yield layer, "samples", max(1, min(offset + samples, own) - offset)
