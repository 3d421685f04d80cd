# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Switch Python's garbage collector off in the processes that Ansible starts for tasks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: no_garbage_collection
type: aggregate
author: campus.flask_sso contributors (!UNKNOWN)
short_description: Switch Python's garbage collector off in the processes that Ansible starts for tasks
version_added: 0.1.0
description:
  - Ansible starts a process for each task, which ends with the task, and its memory with it. The garbage collector
    takes a fifth of the processor time of a run of C(site.yml), as it looks at all that each process inherits.
  - The process of C(ansible-playbook) itself, whose memory would grow, keeps its garbage collector, which passes over
    what Ansible had loaded at its start.
requirements:
  - To be enabled by C(callbacks_enabled) in C(ansible.cfg).
"""

import gc
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """No event matters, only that this is loaded."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "campus.flask_sso.no_garbage_collection"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        gc.freeze()
        os.register_at_fork(after_in_child=gc.disable)
