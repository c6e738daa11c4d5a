# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's own list of files and folders to send along, for what no tracer can see: files that
scripts open, or that USD and MaterialX files name. It is kept with the scene.
"""

import os

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty


class NETRENDER_OT_add_files(bpy.types.Operator):
    """Send files along that Blender does not know of. Without a chosen file: the whole folder"""

    bl_idname = "netrender.add_files"
    bl_label = "Add Files or Folder"
    bl_options = {"REGISTER", "UNDO"}

    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    relative_path: BoolProperty(
        name="Relative Path", description="Keep the place relative to the .blend file", default=True
    )

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        names = [file.name for file in self.files if file.name]
        paths = [os.path.join(self.directory, name) for name in names] or [self.directory]
        job = context.scene.netrender.job
        known = {os.path.normpath(bpy.path.abspath(item.path)) for item in job.extra}
        for path in paths:
            if not path or os.path.normpath(path) in known:
                continue
            # Another drive has no relative path.
            relative = self.relative_path and bpy.data.filepath
            try:
                kept = bpy.path.relpath(path) if relative else path
            except ValueError:
                kept = path
            job.extra.add().path = kept
            job.extra_index = len(job.extra) - 1
        return {"FINISHED"}


class NETRENDER_OT_remove_file(bpy.types.Operator):
    """Take the selected file or folder off the list"""

    bl_idname = "netrender.remove_file"
    bl_label = "Remove File"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return len(context.scene.netrender.job.extra) > 0

    def execute(self, context):
        job = context.scene.netrender.job
        job.extra.remove(min(job.extra_index, len(job.extra) - 1))
        job.extra_index = max(0, min(job.extra_index, len(job.extra) - 1))
        return {"FINISHED"}


CLASSES = (NETRENDER_OT_add_files, NETRENDER_OT_remove_file)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
