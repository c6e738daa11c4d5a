# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees in Properties > Render. Draw functions read properties and the session's snapshots,
which cost nothing; they start nothing and wait for nothing.
"""

import bpy

from . import client, files, jobs, main, master, slave, slaves, split

# The panel that the others hang below comes first; the others are shown in this order.
LEAVES = (main, files, client, master, slave, jobs, slaves, split)
CLASSES = tuple(cls for leaf in LEAVES for cls in leaf.CLASSES)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
