# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that has a button. Pressed as a button an operator never blocks; called from a script it
returns when the work is done.
"""

from . import animation, farm, files, jobs, note, pick_up, send, service, slaves, waiting

LEAVES = (waiting, service, farm, files, send, jobs, slaves, pick_up, animation, note)


def register():
    for leaf in LEAVES:
        leaf.register()


def unregister():
    for leaf in reversed(LEAVES):
        leaf.unregister()
