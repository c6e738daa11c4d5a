# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that has a button. Pressed as a button an operator never blocks; called from a script
it returns when the work is done.
"""

from . import (
    animation,
    base,
    files,
    find_master,
    get_frame,
    jobs,
    monitor,
    notify,
    send,
    service,
    slaves,
    transfers,
)

MODULES = (
    base,
    service,
    find_master,
    monitor,
    transfers,
    files,
    send,
    jobs,
    slaves,
    get_frame,
    animation,
    notify,
)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
