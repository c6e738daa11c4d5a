# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels in Properties > Render. Draw functions read properties and the session's snapshots,
which costs nothing; they start nothing and wait for nothing.
"""

import bpy

from . import client, files, jobs, main, master, slave, slaves, split

# The panel that the others hang below comes first; the others are shown in this order.
MODULES = (main, files, client, master, slave, jobs, slaves, split)
CLASSES = tuple(cls for module in MODULES for cls in module.CLASSES)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
