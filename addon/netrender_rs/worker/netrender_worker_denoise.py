# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising as Cycles does it, with the Open Image Denoise that this Blender renders with.

What lives here: finding that library and calling it as Cycles' `oidn_denoiser.cpp` does, which
gives the same bits. What does not: which pictures are denoised and where they come from
(netrender_worker_finish.py). A file of its own, because the tracer asks whether the library exists.
"""

import ctypes
import glob
import os
import sys

import bpy

# Constants of the library's header, oidn.h.
CPU_DEVICE = 1
FLOAT3 = 3
QUALITIES = {"FAST": 4, "BALANCED": 5, "HIGH": 6}
# Blender 4.0 and later bring it along as a library of its own, of version 2; before, it is a part
# of Blender's program.
NAMES = {
    "linux": ["libOpenImageDenoise.so.2"],
    "darwin": ["libOpenImageDenoise.2.dylib", "libOpenImageDenoise.dylib"],
    "win32": ["OpenImageDenoise.dll"],
}
FUNCTIONS = {
    "NewDevice": (ctypes.c_void_p, [ctypes.c_int]),
    "SetDeviceInt": (None, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    "CommitDevice": (None, [ctypes.c_void_p]),
    "ReleaseDevice": (None, [ctypes.c_void_p]),
    "GetDeviceError": (ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p)]),
    "NewFilter": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "SetSharedFilterImage": (
        None,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int] + [ctypes.c_size_t] * 5,
    ),
    "SetFilterBool": (None, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_bool]),
    "SetFilterInt": (None, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    "CommitFilter": (None, [ctypes.c_void_p]),
    "ExecuteFilter": (None, [ctypes.c_void_p]),
    "ReleaseFilter": (None, [ctypes.c_void_p]),
}


def find_library():
    """Loads Blender's own copy; None if there is none."""
    names = NAMES.get(sys.platform, NAMES["linux"])
    for name in names:
        try:
            return ctypes.CDLL(name)  # a loaded one is found by its name alone
        except OSError:
            pass
    program = os.path.dirname(bpy.app.binary_path or bpy.__file__)
    places = [program, os.path.dirname(bpy.__file__)]
    folders = ["lib", "blender.shared", "", os.path.join("..", "Resources", "lib")]
    for found in (
        p for place in places for f in folders for n in names for p in glob.glob(os.path.join(place, f, n))
    ):
        try:
            return ctypes.CDLL(found)
        except OSError:
            pass
    return None


def is_there():
    return find_library() is not None


class CannotDenoise(Exception):
    """The pixels cannot be denoised; the message says why, for people."""


class Denoiser:
    """The library with one of its devices. A context manager."""

    def __init__(self, scene):
        library = find_library()
        if library is None:
            raise CannotDenoise(
                "This Blender's Open Image Denoise cannot be reached, so a frame that was rendered in parts cannot be "
                "denoised here. Use slaves with Blender 4.0 or later from blender.org, or send with Split Frames off.",
            )
        self._call = {}
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, f"oidn{name}")
            function.restype, function.argtypes = result, arguments
            self._call[name] = function
        cycles = scene.cycles
        self._threads = scene.render.threads if scene.render.threads_mode == "FIXED" else 0
        self._quality = QUALITIES.get(getattr(cycles, "denoising_quality", "HIGH"), QUALITIES["HIGH"])
        self._prefilter = cycles.denoising_prefilter
        self.passes = {
            "RGB": [],
            "RGB_ALBEDO": ["Denoising Albedo"],
        }.get(cycles.denoising_input_passes, ["Denoising Albedo", "Denoising Normal"])

    def __enter__(self):
        self._device = self._call["NewDevice"](CPU_DEVICE)
        if self._threads:
            self._call["SetDeviceInt"](self._device, b"numThreads", self._threads)
        self._call["CommitDevice"](self._device)
        self._check()
        return self

    def __exit__(self, *_):
        self._call["ReleaseDevice"](self._device)

    def denoise(self, colour, guides, width, height):
        """Denoises `colour`, four floats a pixel, in place but for alpha. `guides`: {pass: three
        floats a pixel}, which are denoised too when the scene says so. The bottom row comes first.
        """
        names = {"Denoising Albedo": b"albedo", "Denoising Normal": b"normal"}
        images = {names[name]: guides[name] for name in self.passes}
        if self._prefilter == "ACCURATE":
            for name, image in images.items():
                self._run(width, height, {name: (image, 3)}, (image, 3))
        clean = bool(images) and self._prefilter in {"NONE", "ACCURATE"}
        inputs = {b"color": (colour, 4), **{name: (image, 3) for name, image in images.items()}}
        self._run(width, height, inputs, (colour, 4), hdr=True, cleanAux=clean)

    def _run(self, width, height, inputs, output, **flags):
        made = self._call["NewFilter"](self._device, b"RT")
        try:
            for name, (image, channels) in [*inputs.items(), (b"output", output)]:
                address, count = image.buffer_info()
                if count != width * height * channels:
                    raise CannotDenoise(f"The pass {name.decode()} has {count} numbers.")
                stride = channels * 4
                self._call["SetSharedFilterImage"](
                    made, name, address, FLOAT3, width, height, 0, stride, stride * width
                )
            for flag, value in flags.items():
                self._call["SetFilterBool"](made, flag.encode(), value)
            if self._quality != QUALITIES["HIGH"]:
                self._call["SetFilterInt"](made, b"quality", self._quality)
            self._call["CommitFilter"](made)
            self._check()
            self._call["ExecuteFilter"](made)
            self._check()
        finally:
            self._call["ReleaseFilter"](made)

    def _check(self):
        words = ctypes.c_char_p()
        if self._call["GetDeviceError"](self._device, ctypes.byref(words)):
            said = (words.value or b"no reason given").decode("utf-8", "replace")
            raise CannotDenoise(f"Open Image Denoise failed: {said}. See the frame's log.")
