# SPDX-License-Identifier: GPL-3.0-or-later
"""`scene.netrender`: settings of jobs, master and slave, saved so that a .blend is a service's
configuration. Knows nothing of what runs now.
"""

from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup

from .. import native

PORT = 8000
ADDRESS_HELP = (
    "Host, host:port or URL of the master. Empty: this machine's default, else the first master heard"
)


class NETRENDER_PG_client(PropertyGroup):
    master: StringProperty(name="Master", description=ADDRESS_HELP)


class NETRENDER_PG_extra(PropertyGroup):
    """A file or folder that no tracer can see, such as one that a script opens. Kept with the
    scene.
    """

    path: StringProperty(
        name="Path", description="A file, or a folder with all that is in it", subtype="FILE_PATH"
    )


class NETRENDER_PG_job(PropertyGroup):
    extra: CollectionProperty(type=NETRENDER_PG_extra)
    extra_index: IntProperty(name="Added File")
    frames: StringProperty(
        name="Frames",
        description="Frames to render, such as 1-10,15,20-30x2. Empty: the scene's own range and step",
    )
    name: StringProperty(name="Name", description="Name of the job. Empty: the name of the .blend file")
    category: StringProperty(
        name="Category", description="Jobs of the same category share the farm fairly with other categories"
    )
    priority: IntProperty(
        name="Priority", description="Higher goes first", default=50, min=0, max=100, subtype="FACTOR"
    )
    split: EnumProperty(
        name="Split Frames",
        description="Whether several slaves render one frame together, each some of its samples or its lines. The "
        "result is what one machine would have made, to float rounding. Scenes it does not suit are rendered in whole "
        "frames",
        items=(
            ("OFF", "Off", "Whole frames only"),
            (
                "AUTO",
                "Auto",
                "While there are fewer frames than slaves to render them: by samples, or in tiles where only those "
                "give the same picture, as with adaptive sampling",
            ),
            ("SAMPLES", "Every Frame", "By samples, however many frames and slaves there are"),
            (
                "TILES",
                "Every Frame in Tiles",
                "Each slave some lines, however many frames and slaves there are",
            ),
        ),
        default="OFF",
    )
    simulations: EnumProperty(
        name="Simulations",
        description="What happens to simulations that are not baked (cloth, soft and rigid bodies, particles, dynamic "
        "paint, simulation zones). Each of their frames follows from the one before",
        items=(
            ("AS_IS", "As They Are", "Slaves render the frames in any order. Right where all is baked"),
            (
                "BAKE",
                "Bake First",
                "One slave bakes them up to the last frame, then all slaves render from what it baked",
            ),
            (
                "IN_ORDER",
                "In Order",
                "One slave at a time renders the frames one after the other. Slower, and it suits "
                "what can't be baked",
            ),
        ),
        default="AS_IS",
    )
    chunk: IntProperty(
        name="Chunk Size",
        description="Frames a slave takes at a time. Larger chunks suit frames that render fast",
        default=1,
        min=1,
        soft_max=50,
    )
    tags: StringProperty(
        name="Tags", description="Only slaves with all of these tags render the job, separated by commas"
    )
    engine: EnumProperty(
        name="Engine",
        description="Render engine that the slaves use",
        items=(
            ("SCENE", "Scene's Own", "The engine chosen in the scene; Cycles when that is Network Render"),
            ("CYCLES", "Cycles", "Render with Cycles"),
            ("EEVEE", "EEVEE", "Render with EEVEE"),
            ("WORKBENCH", "Workbench", "Render with Workbench"),
        ),
        default="SCENE",
    )
    save_before_send: BoolProperty(
        name="Save Before Sending",
        description="Also save the .blend file itself. Off: a copy of the open scene is sent and "
        "your file stays as it is",
    )


class NETRENDER_PG_master(PropertyGroup):
    host: StringProperty(
        name="Host Name", description="Address to listen on. Empty: every network interface of this machine"
    )
    port: IntProperty(name="Port", description="Port the master listens on", default=PORT, min=0, max=65535)
    folder: StringProperty(
        name="Working Folder",
        description="Where jobs and frames are kept, made if missing. Empty: the default from the preferences",
        subtype="DIR_PATH",
    )
    name: StringProperty(
        name="Farm Name", description="Shown where masters are chosen. Empty: the name of this machine"
    )
    broadcast: BoolProperty(
        name="Broadcast",
        description="Tell the local network about this master, so that it is found",
        default=True,
    )
    clear_on_exit: BoolProperty(
        name="Clear on Exit", description="Remove all jobs and frames when the service stops"
    )
    slave_timeout: FloatProperty(
        name="Slave Timeout (s)",
        description="Seconds without a sign of life after which a slave's frames go to others",
        default=60.0,
        min=5.0,
        soft_max=600.0,
        precision=0,
    )
    allow_scripts: BoolProperty(
        name="Run Scenes' Scripts",
        description="Let slaves run the Python that scenes bring along (drivers, registered texts), for jobs "
        "that need it. Such a script can do on a slave whatever the slave's user can",
    )


class NETRENDER_PG_slave(PropertyGroup):
    master: StringProperty(name="Master", description=ADDRESS_HELP)
    threads_mode: EnumProperty(
        name="Threads Mode",
        description="How many threads rendering may use",
        items=(
            ("AUTO", "Auto-Detect", "As many as this machine has"),
            ("FIXED", "Fixed", "A number of your own, to leave some for other work"),
        ),
        default="AUTO",
    )
    device: EnumProperty(
        name="Device",
        description="What Cycles computes with",
        items=(
            ("AUTO", "Auto", "A GPU if there is one that Blender can use, else the CPU"),
            ("CPU", "CPU", ""),
            ("CUDA", "CUDA", "NVIDIA"),
            ("OPTIX", "OptiX", "NVIDIA with hardware ray tracing"),
            ("HIP", "HIP", "AMD"),
            ("METAL", "Metal", "Apple"),
            ("ONEAPI", "oneAPI", "Intel"),
        ),
        default="AUTO",
    )
    folder: StringProperty(
        name="Working Folder",
        description="Cache of files that jobs need, made if missing. Empty: the default from the preferences",
        subtype="DIR_PATH",
    )
    name: StringProperty(name="Name", description="Shown in slave lists. Empty: the name of this machine")
    tags: StringProperty(
        name="Tags", description="What this slave offers, separated by commas, such as: gpu, big"
    )
    clear_on_exit: BoolProperty(
        name="Clear on Exit",
        description="Remove the files of jobs when the service stops. Frames the master does not have yet stay",
    )
    console: BoolProperty(
        name="Log to Console", description="Print what the rendering Blenders say to this Blender's console"
    )


def slave_numbers() -> dict[str, Any]:
    """The numbers of a slave's settings as properties, with the ranges, defaults and descriptions of
    the native module. Without it nothing can be served, and plain numbers keep what files hold.
    """
    infos = native.slave_settings()

    def described(setting: str, kind: type = float) -> dict[str, Any]:
        info = infos.get(setting)
        if info is None:
            return {}
        words = {"description": info["help"], "min": kind(info["min"]), "max": kind(info["max"])}
        return words if info["default"] is None else {**words, "default": kind(info["default"])}

    return {
        # Fixed Threads begins at a number that leaves most machines some.
        "threads": IntProperty(name="Threads", **described("threads", int), default=4),
        "cache_limit": FloatProperty(
            name="Cache Limit (GB)", soft_max=1000.0, precision=0, **described("cache_limit_gb")
        ),
        "hang_timeout": FloatProperty(
            name="Hang Timeout (s)", soft_max=3600.0, precision=0, **described("hang_timeout_s")
        ),
        "upload_interval": IntProperty(name="Upload Interval (s)", **described("upload_interval_s", int)),
    }


class NETRENDER_PG_scene(PropertyGroup):
    mode: EnumProperty(
        name="Mode",
        description="What this Blender is to the render farm",
        items=(
            ("CLIENT", "Client", "Send jobs and pick up frames"),
            ("MASTER", "Master", "Keep the jobs and hand out work"),
            ("SLAVE", "Slave", "Render for a master"),
        ),
        default="CLIENT",
    )
    client: PointerProperty(type=NETRENDER_PG_client)
    job: PointerProperty(type=NETRENDER_PG_job)
    master: PointerProperty(type=NETRENDER_PG_master)
    slave: PointerProperty(type=NETRENDER_PG_slave)


CLASSES = (
    NETRENDER_PG_client,
    NETRENDER_PG_extra,
    NETRENDER_PG_job,
    NETRENDER_PG_master,
    NETRENDER_PG_slave,
    NETRENDER_PG_scene,
)


def register() -> None:
    NETRENDER_PG_slave.__annotations__.update(slave_numbers())
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.netrender = PointerProperty(type=NETRENDER_PG_scene)


def unregister() -> None:
    del bpy.types.Scene.netrender
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
