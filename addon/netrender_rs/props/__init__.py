# SPDX-License-Identifier: GPL-3.0-or-later
"""Every property that panels show, files keep and scripts read: `scene.netrender` (saved), the
add-on's preferences (this machine's defaults), and `window_manager.netrender` (what goes on now,
never saved). Properties import nothing of what runs: the timer fills those that show it. Ranges and
defaults of a slave's settings come from the native module.
"""

from . import preferences, scene, state

MODULES = (preferences, scene, state)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
