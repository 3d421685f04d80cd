# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query and control systemd units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Systemd:
    """The host's systemd.

    :param run_command: Function that runs a command, such as that of AnsibleModule.
    """

    def __init__(self, run_command: Callable[..., Any]) -> None:
        self.run_command = run_command

    def does(self, *arguments: str) -> bool:
        """Run systemctl.

        :param arguments: Its arguments.
        :returns: Whether it succeeded.
        """
        return self.run_command(["systemctl", *arguments])[0] == 0

    def is_active(self, unit: str) -> bool:
        """Return whether a unit runs.

        :param unit: Its name.
        """
        return self.does("is-active", "--quiet", unit)

    def keeps(self, unit: str) -> bool:
        """Return whether a unit runs and is enabled.

        :param unit: Its name.
        """
        return self.is_active(unit) and self.does("is-enabled", "--quiet", unit)

    def reload_for(self, paths: list[str]) -> None:
        """Reload systemd's unit files if some of them were changed.

        :param paths: The changed paths.
        """
        if any("/systemd/" in path for path in paths):
            self.does("daemon-reload")

    def last_words(self, units: list[str]) -> str:
        """Return the last log lines of units.

        :param units: Their names.
        """
        self.run_command(["journalctl", "--sync"])  # recent messages may not be written yet
        journal = ["journalctl", "--no-pager", "--output=cat", "--lines=50"]
        return self.run_command(journal + [f"--unit={unit}" for unit in units])[1].strip()
