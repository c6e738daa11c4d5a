# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering some samples or lines of a frame: the scene's settings are changed for it, and
restored.

What lives here: the settings that this takes in each Blender, and when Cycles may keep what it
built. What does not: which scenes can be shared (the tracer's `split`), and merging (crate `film`,
`merge`).
"""

import contextlib

from netrender_worker_facts import size_of_film
from netrender_worker_paths import Refused


def want_share(request):
    """The share that a render request wants, as a function from the scene to a context in which
    only that share is rendered; None for the whole frame.
    """
    share = request.get("share")
    if share is None:
        return None
    of = share.get("of") if isinstance(share, dict) else None
    wanted = {"samples": ("offset", "samples", "total"), "lines": ("first", "end", "total")}.get(of, ())
    numbers = [share.get(name) for name in wanted]
    if [type(number) for number in numbers] != [int] * 3:
        raise Refused(
            "bad_request",
            "render: 'share' is 'of' samples, with 'offset', 'samples' and 'total', or of lines, with 'first', 'end' "
            "and 'total'. Mend the request.",
        )
    if of == "samples":
        offset, samples, total = numbers
        end = offset + samples
    else:
        offset, end, total = numbers
    if not 0 <= offset < end <= total:
        raise Refused(
            "bad_request", f"render: {of} {offset} to {end} are not among {total}. Mend the request."
        )
    only = only_samples if of == "samples" else only_lines
    return lambda scene: only(scene, *numbers)


class Keeper:
    """Keeps what Cycles builds before its first sample between shares of one frame, and for nothing
    else.

    Kept over frames, or into a frame that is rendered whole, it could make a picture other than
    that of a fresh Blender. Turning the setting off frees it; leaving it on and rendering something
    else would not. With several view layers Cycles takes one for the other: pixels of the second
    are wrong (3.4 and 5.0), so nothing is kept.
    """

    def __init__(self, scene):
        self._scene, self._render = scene, scene.render
        self._artists = scene.render.use_persistent_data
        self._kept = None

    def keep(self, frame):
        """Allows Cycles to keep its data. Called before a share of this frame."""
        if self._kept != frame:
            self._render.use_persistent_data = False
        self._render.use_persistent_data = sum(layer.use for layer in self._scene.view_layers) == 1
        self._kept = frame

    def drop(self):
        """Frees that data. Called before a whole frame, and after a share that failed."""
        if self._kept is not None:
            self._render.use_persistent_data = False
            self._render.use_persistent_data = self._artists
            self._kept = None


@contextlib.contextmanager
def only_samples(scene, offset, samples, total):
    """Within this context the scene renders these samples, and nothing that must wait for all of
    them: denoising, compositor and sequencer. The passes that denoising will need are rendered.
    """
    settings = [*parts_only(scene), (scene.cycles, "sample_offset", offset)]
    cycles = scene.cycles
    if hasattr(cycles, "use_sample_subset"):
        # Cycles knows the whole frame, cuts the view layers' own numbers by the range, and heeds
        # the offset only so.
        settings += [
            (cycles, "samples", total),
            (cycles, "sample_subset_length", samples),
            (cycles, "use_sample_subset", True),
        ]
    else:
        settings += [(cycles, "samples", samples), *layer_samples(scene, offset, samples, total)]
    with changed(settings):
        yield


@contextlib.contextmanager
def only_lines(scene, first, end, total):
    """Within this context the scene renders a picture of these lines, counted from the top, and
    nothing that must wait for all of them.
    """
    render = scene.render
    height = size_of_film(scene)[1]
    if render.use_border or height != total:
        raise Refused(
            "bad_request", f"Scene '{scene.name}' has {height} lines and not {total}. Ask for whole frames."
        )
    settings = [
        *parts_only(scene),
        (render, "use_border", True),
        (render, "use_crop_to_border", True),
        (render, "border_min_x", 0.0),
        (render, "border_max_x", 1.0),
        # Blender counts from the bottom and cuts off fractions: a quarter of a line is far from
        # either side.
        (render, "border_min_y", (height - end + 0.25) / height if end < height else 0.0),
        (render, "border_max_y", (height - first + 0.25) / height if first > 0 else 1.0),
    ]
    with changed(settings):
        yield


def parts_only(scene):
    """Settings that turn off what needs the whole frame, each as (owner, name, value)."""
    cycles = getattr(scene, "cycles", None)
    if scene.render.engine != "CYCLES" or cycles is None:
        raise Refused("bad_request", f"Scene '{scene.name}' has no samples to share. Ask for whole frames.")
    return [
        (cycles, "use_denoising", False),
        (scene.render, "use_compositing", False),
        (scene.render, "use_sequencer", False),
        # A share has all of its samples, however long they take.
        (cycles, "time_limit", 0.0),
        *guides(scene),
    ]


@contextlib.contextmanager
def changed(settings):
    """Within this context these settings have these values."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in settings]
    try:
        for owner, name, value in settings:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


def guides(scene):
    """Settings that make layers keep the guiding passes of the denoiser, where they will be
    denoised.
    """
    if scene.cycles.use_denoising:
        for layer in scene.view_layers:
            if layer.cycles.use_denoising:
                yield layer.cycles, "denoising_store_passes", True


def layer_samples(scene, offset, samples, total):
    """Settings for view layers with their own number of samples, where Cycles takes it for what is
    to be rendered.
    """
    if scene.cycles.use_layer_samples == "IGNORE":
        return
    for layer in scene.view_layers:
        if layer.samples > 0:
            own = min(layer.samples, total)
            # 0 would mean as many as the scene has. The sample rendered instead has no weight in
            # the merge.
            yield layer, "samples", max(1, min(offset + samples, own) - offset)
