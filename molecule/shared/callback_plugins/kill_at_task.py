# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the playbook's run when it begins its n-th task, and count the tasks of a run that is not killed.

No task is under way at that moment, so each run that is killed at the same task leaves the same behind.
"""

from __future__ import annotations

import os
import signal

from ansible.errors import AnsibleError
from ansible.executor.task_result import CallbackTaskResult
from ansible.playbook.task import Task
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_at_task
type: aggregate
short_description: Kill the run at a task
description:
  - Kills the group of processes of C(ansible-playbook) with SIGKILL when it begins a task, handlers included.
  - A run that is not killed ends with the number of its tasks, and that of the first one that has changed something.
requirements: [to be enabled]
options:
  task:
    description: Number of the task, from 1 on; V(0) lets the run go to its end.
    type: int
    default: 0
    env: [{name: KILL_AT_TASK}]
"""


class CallbackModule(CallbackBase):
    """The tasks that have begun so far."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_at_task"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.first_change = 0

    def _begin(self) -> None:
        """Count a task, and kill the run if it is the one."""
        self.begun += 1
        if self.begun == self.get_option("task"):
            if os.getpgrp() != os.getpid():
                raise AnsibleError(
                    "This would kill other processes, too. Run ansible-playbook in a session of its own."
                )
            os.killpg(os.getpid(), signal.SIGKILL)

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        """A task begins."""
        self._begin()

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        """A handler begins."""
        self._begin()

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """A task has succeeded."""
        if result.is_changed() and not self.first_change:
            self.first_change = self.begun

    def v2_playbook_on_stats(self, stats: object) -> None:
        """The run has ended."""
        self._display.display(f"kill_at_task: {self.begun} tasks, the first change in number {self.first_change}")
