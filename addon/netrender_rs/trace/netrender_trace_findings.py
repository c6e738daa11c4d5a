# SPDX-License-Identifier: GPL-3.0-or-later
"""The form in which the tracer reports what an artist should know before sending.

What lives here: one finding, and words that several searches share. What does not: the searches,
which lie beside this file, one for each subject.
"""

WRONG = "wrong"  # the picture would be wrong
MAY_DIFFER = "may_differ"  # nobody can know
INFO = "info"


def finding(kind, severity, where, message, hint=""):
    """{"kind": a word for programs, "severity": "wrong", "may_differ" or "info", "where": the file or
    datablock, "message": what is the matter, "hint": what to do}
    """
    return {"kind": kind, "severity": severity, "where": where, "message": message, "hint": hint}


def title(block):
    """A datablock as people know it: Material 'Wood'."""
    kind = {
        "ShaderNodeTree": "Node group",
        "GeometryNodeTree": "Node group",
        "CompositorNodeTree": "Compositing nodes",
        "TextureNodeTree": "Node group",
        "NodeTree": "Node tree",
        "MovieClip": "Movie clip",
        "CacheFile": "Cache file",
        "VectorFont": "Font",
        "ParticleSettings": "Particle settings",
    }.get(type(block).__name__, type(block).__name__)
    return f"{kind} '{block.name_full}'"


def listed(things, most=4):
    """The first few of the things, and how many more there are."""
    things = list(things)
    rest = len(things) - most
    return ", ".join(things[:most]) + (f" and {rest} more" if rest > 0 else "")


def frames_in_words(frames):
    """Frames of a sorted list as people write them: 2-20, 25."""
    runs = []
    for frame in frames:
        if runs and runs[-1][1] == frame - 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return listed([str(a) if a == b else f"{a}-{b}" for a, b in runs])
