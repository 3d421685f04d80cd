# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service whose files are staged, activated and rolled back by the modules, in a directory of the test's own."""

import grp
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

from ansible_collections.campus.flask_sso.plugins.modules import activation, rollback, staged_files

OWNER = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
ACCEPT = [{"argv": ["true"]}]
REFUSE = [{"argv": ["sh", "-c", "echo line 7 is wrong; false"], "hint": "Fix line 7."}]


def tree(directory: Path) -> dict[str, tuple]:
    """Return everything below a directory: path, mode, and a file's text or a link's target."""
    return {
        str(path.relative_to(directory)): (
            stat.filemode(path.lstat().st_mode),
            os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else None,
        )
        for path in directory.rglob("*")
    }


class Service:
    """A service with its configuration, which is changed for a site.

    :param run_module: The fixture.
    :param directory: Where its files and the journals are.
    """

    def __init__(self, run_module: Callable[..., dict], directory: Path) -> None:
        self.run_module = run_module
        self.etc = directory / "etc"
        self.journals = directory / "journals"
        self.journal = self.journals / "service.journal"
        self.etc.mkdir()

    def _options(self, files: tuple[dict, ...], options: dict) -> dict:
        """Return the options of a module: files' paths are relative to the service's configuration."""
        named = [OWNER | file | {"path": str(self.etc / file["path"])} for file in files]
        usual = {"name": "service", "site": "site", "journal_directory": str(self.journals)}
        return usual | ({"files": named} if files else {}) | options

    def stage(self, *files: dict, **options) -> dict:
        """Stage files."""
        return self.run_module(staged_files, **self._options(files, options))

    def activate(self, *files: dict, **options) -> dict:
        """Make the service run with what was staged, and with these files; with no unit where there are some."""
        unit = {} if files else {"unit": "web.service"}
        return self.run_module(activation, **self._options(files, unit | options))

    def roll_back(self, **options) -> dict:
        """Roll back what is staged for the site."""
        usual = {"site": "site", "journal_directory": str(self.journals)}
        return self.run_module(rollback, **usual | options)
