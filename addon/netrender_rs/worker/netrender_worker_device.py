# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles' devices: those of this machine, and rendering with those of one kind alone.

What does not live here: choosing the kind (the slave and its owner do).
"""

import bpy
from netrender_worker_paths import Refused

KINDS = ("CUDA", "OPTIX", "HIP", "METAL", "ONEAPI")


def devices():
    """Cycles' devices as {"type", "name"}; at least the CPU."""
    found = []
    for kind in KINDS:
        try:
            import _cycles

            listed = _cycles.available_devices(kind)
        except Exception:  # noqa: BLE001 - no Cycles, or not this kind: the CPU is still there
            listed = ()
        for device in listed:
            entry = {"type": str(device[1]), "name": str(device[0])}
            if entry not in found:
                found.append(entry)
    return found or [{"type": "CPU", "name": "CPU"}]


def use_device(scene, kind):
    """Makes the scene render with all devices of this kind and no other, whatever the artist's
    machine had.
    """
    cycles = getattr(scene, "cycles", None)
    if kind is None or cycles is None:
        return
    if kind == "CPU":
        cycles.device = "CPU"
        return
    try:
        preferences = bpy.context.preferences.addons["cycles"].preferences
        preferences.compute_device_type = kind
        preferences.get_devices()
        for device in preferences.devices:
            device.use = device.type == kind
        is_there = any(device.use for device in preferences.devices)
    except (KeyError, TypeError):  # Blender was built without Cycles, or without this kind
        is_there = False
    if not is_there:
        there = ", ".join(sorted({device["type"] for device in devices()}))
        raise Refused(
            "no_device",
            f"This Blender finds no {kind} device to render with. It has: {there}. Start the slave with one of these.",
        )
    cycles.device = "GPU"
