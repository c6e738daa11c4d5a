# SPDX-License-Identifier: GPL-3.0-or-later
"""Every property: `scene.netrender` (saved, so that a .blend is a service's configuration), this machine's
defaults in the add-on's preferences, and `window_manager.netrender` (what goes on now, never saved; its lists are
in rows.py). How they combine into a service's or a job's final values is decided here too, and nowhere else.
"""

import os
import sys

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
from bpy.types import AddonPreferences, PropertyGroup

from . import rows, session

PORT = 8000
ADDRESS_HELP = (
    "Host, host:port or URL of the master. Empty: this machine's default, else the first master heard"
)


class NETRENDER_PG_client(PropertyGroup):
    master: StringProperty(name="Master", description=ADDRESS_HELP)


class NETRENDER_PG_extra(PropertyGroup):
    """A file or folder that no tracer can see, such as one that a script opens. Kept with the scene."""

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
    threads: IntProperty(name="Threads", description="Threads rendering may use", default=4, min=1, max=1024)
    folder: StringProperty(
        name="Working Folder",
        description="Cache of files that jobs need, made if missing. Empty: the default from the preferences",
        subtype="DIR_PATH",
    )
    name: StringProperty(name="Name", description="Shown in slave lists. Empty: the name of this machine")
    tags: StringProperty(
        name="Tags", description="What this slave offers, separated by commas, such as: gpu, big"
    )
    cache_limit: FloatProperty(
        name="Cache Limit (GB)",
        description="How much disk the files kept for jobs may take; the least recently used go first",
        default=50.0,
        min=0.0,
        soft_max=1000.0,
        precision=0,
    )
    hang_timeout: FloatProperty(
        name="Hang Timeout (s)",
        description="A rendering Blender that prints nothing and uses no processor time for this long is killed "
        "and the frame tried again. 0: never",
        default=600.0,
        min=0.0,
        soft_max=3600.0,
        precision=0,
    )
    upload_interval: IntProperty(
        name="Upload Interval (s)",
        description="How long samples of a frame that slaves render together shall take before they are sent: a crash "
        "costs no more",
        default=8,
        min=1,
        max=3600,
    )
    clear_on_exit: BoolProperty(
        name="Clear on Exit",
        description="Remove the files of jobs when the service stops. Frames the master does not have yet stay",
    )
    console: BoolProperty(
        name="Log to Console", description="Print what the rendering Blenders say to this Blender's console"
    )


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


class NETRENDER_PG_finding(PropertyGroup):
    """One thing to know before sending; `name` is what it is about."""

    why: StringProperty()
    is_problem: BoolProperty()


def write_finding(row, finding):
    row.name = finding["path"] or finding["kind"].replace("_", " ").capitalize()
    row.why = f"{finding['user']}: {finding['why']}" if finding["user"] else finding["why"]
    row.is_problem = finding["is_problem"]


class NETRENDER_PG_found_master(PropertyGroup):
    url: StringProperty()
    version: StringProperty()


class NETRENDER_PG_state(PropertyGroup):
    """`window_manager.netrender`: passing state for scripts and lists, never saved."""

    last_job: IntProperty(name="Last Job", description="Number of the job sent last", options={"SKIP_SAVE"})
    last_file: StringProperty(
        name="Last File", description="The frame picked up last", options={"SKIP_SAVE"}, subtype="FILE_PATH"
    )
    # Sliders that stand in for progress bars in Blenders before 4.0. Without a setter they would be drawn grey.
    sending: FloatProperty(
        description="How much of it is on the farm",
        subtype="PERCENTAGE",
        min=0,
        max=100,
        precision=0,
        get=lambda _self: 100 * session.sending(),
        set=lambda _self, _value: None,
    )
    rendering: FloatProperty(
        description="How much of the frame is done",
        subtype="PERCENTAGE",
        min=0,
        max=100,
        precision=0,
        get=lambda _self: 100 * session.rendering(),
        set=lambda _self, _value: None,
    )
    masters: CollectionProperty(type=NETRENDER_PG_found_master, options={"SKIP_SAVE"})
    findings: CollectionProperty(type=NETRENDER_PG_finding, options={"SKIP_SAVE"})
    finding_index: IntProperty(name="Finding", options={"SKIP_SAVE"})
    client_farm: PointerProperty(type=rows.NETRENDER_PG_farm, options={"SKIP_SAVE"})
    master_farm: PointerProperty(type=rows.NETRENDER_PG_farm, options={"SKIP_SAVE"})

    def show_findings(self, report):
        """Fills the rows of a report's problems and notes."""
        problems, notes = (report[key] if report else [] for key in ("problems", "notes"))
        findings = [dict(f, is_problem=True) for f in problems] + [dict(f, is_problem=False) for f in notes]
        while len(self.findings) > len(findings):
            self.findings.remove(len(self.findings) - 1)
        while len(self.findings) < len(findings):
            self.findings.add()
        for row, finding in zip(self.findings, findings):
            write_finding(row, finding)
        self.finding_index = min(self.finding_index, max(0, len(findings) - 1))


class NETRENDER_AP_preferences(AddonPreferences):
    bl_idname = __package__

    folder: StringProperty(
        name="Working Folder",
        description="Masters and slaves of this machine keep their files in folders below this one. "
        "Empty: a folder of your user account",
        subtype="DIR_PATH",
    )
    master: StringProperty(
        name="Master", description="The master used when a scene names none. Empty: the first one heard"
    )

    def draw(self, _context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "master")
        layout.prop(self, "folder")


def preferences():
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon is not None else None


def master_address(named):
    """The master to talk to: an address given in the scene, else NETRENDER_MASTER, else the preferences' one;
    "" leaves it to discovery. In a service without a window the environment comes first, so that one .blend
    serves many machines."""
    environment = os.environ.get("NETRENDER_MASTER", "")
    default = getattr(preferences(), "master", "")
    first, second = (environment, named) if bpy.app.background else (named, environment)
    return (first or second or default).strip()


def working_folder(given, kind):
    """Absolute working folder of a "master" or "slave"; the service makes it when it is missing."""
    environment = os.environ.get("NETRENDER_DATA", "") if bpy.app.background else ""
    if environment:
        return os.path.abspath(environment)
    if given:
        return os.path.abspath(bpy.path.abspath(given))
    base = getattr(preferences(), "folder", "") or user_folder()
    return os.path.join(os.path.abspath(bpy.path.abspath(base)), kind)


def user_folder():
    """Not Blender's own data folder: that one has Blender's version in its path, and a farm outlives
    versions.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")
    else:
        base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(base, "netrender")


def port(settings):
    """The master's port. Raises ValueError for an environment that names none."""
    environment = os.environ.get("NETRENDER_PORT", "") if bpy.app.background else ""
    if not environment:
        return settings.port
    if not environment.isdigit() or int(environment) > 65535:
        raise ValueError(f"NETRENDER_PORT is '{environment}'. Give a number from 0 to 65535")
    return int(environment)


def tags(text):
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def engine_of(scene):
    """The engine's name as this Blender spells it."""
    choice = scene.netrender.job.engine
    if choice == "CYCLES":
        return "CYCLES"
    if choice == "EEVEE":
        return "BLENDER_EEVEE_NEXT" if (4, 2, 0) <= bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"
    if choice == "WORKBENCH":
        return "BLENDER_WORKBENCH"
    return "CYCLES" if scene.render.engine == "NET_RENDER" else scene.render.engine


CLASSES = (
    NETRENDER_PG_client,
    NETRENDER_PG_extra,
    NETRENDER_PG_job,
    NETRENDER_PG_master,
    NETRENDER_PG_slave,
    NETRENDER_PG_scene,
    NETRENDER_PG_finding,
    NETRENDER_PG_found_master,
    NETRENDER_PG_state,
    NETRENDER_AP_preferences,
)


def register():
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.netrender = PointerProperty(type=NETRENDER_PG_scene)
    bpy.types.WindowManager.netrender = PointerProperty(type=NETRENDER_PG_state, options={"SKIP_SAVE"})


def unregister():
    del bpy.types.WindowManager.netrender
    del bpy.types.Scene.netrender
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
