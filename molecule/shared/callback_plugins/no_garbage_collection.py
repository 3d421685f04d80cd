# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switch Python's garbage collector off in the scenarios' runs, a sixth of whose processor time it takes.

A run ends long before it lacks memory.
"""

from __future__ import annotations

import gc

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: no_garbage_collection
type: aggregate
short_description: Switch Python's garbage collector off
description: Switches Python's garbage collector off, in this process and in those that it starts for tasks.
requirements: [to be enabled]
"""


class CallbackModule(CallbackBase):
    """No event matters, only that this is loaded."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "no_garbage_collection"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        gc.disable()
