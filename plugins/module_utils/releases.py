# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the releases of an application that have run, with their settings, so that each of them can run again."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.campus.flask_sso.plugins.module_utils.snapshot import replace_file, snapshot

SUFFIX = ".json"
PREPARED = ".new"  # follows, until the release runs


@dataclass
class Release:
    """A release that has run."""

    id: str
    #: Its directory.
    path: str
    #: Id of the release that ran when this one was deployed; empty if there was none.
    previous: str = ""
    #: When it was built, deployed, and last activated, in seconds since the epoch.
    built: float = 0
    deployed: float = 0
    activated: float = 0
    #: What it says about its source.
    note: str = ""
    #: What others rely on and a rollback does not change, such as the socket that httpd knows; by name.
    interface: dict[str, str] = field(default_factory=dict)
    #: The options of the module activation with which it runs.
    service: dict[str, Any] = field(default_factory=dict)
    #: Its settings: what snapshot() returned, by path.
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def fault(self) -> str:
        """What it lacks to run again; empty if nothing."""
        if not os.path.exists(os.path.join(self.path, "complete")):
            return f"{self.path} was removed or is incomplete"
        if not os.path.exists(os.path.join(self.path, "venv", "complete")):
            return f"its virtual environment {os.path.realpath(os.path.join(self.path, 'venv'))} was removed"
        return ""


class Releases:
    """The releases of one application that have run and were not removed since.

    Each has a file, which only root can read, as settings may contain secrets.

    :param directory: Directory of these files; it is created when needed.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.known: dict[str, Release] = {}
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            if name.endswith(SUFFIX):
                with open(os.path.join(directory, name), encoding="ascii") as stream:
                    release = Release(**json.load(stream))
                self.known[release.id] = release

    @property
    def current(self) -> Release | None:
        """The release that was activated last, if there is any."""
        return max(self.known.values(), key=lambda release: release.activated, default=None)

    def before(self, release: Release) -> Release | None:
        """Return the release that ran before another one.

        One that was deployed again since is not before it. So repeated rollbacks come to an end, and never to a
        release that was rolled back.

        :param release: The later release.
        """
        previous = self.known.get(release.previous)
        return previous if previous and previous.deployed < release.deployed else None

    def prepare_deployment(self, release: Release, settings: list[str]) -> None:
        """Prepare the record that a release runs, for the first time or with other settings.

        :param release: The release, without its times, files and previous one.
        :param settings: Paths of its files.
        :raises OSError: if that is not possible.
        """
        current = self.current
        if current and current.id == release.id:
            release.previous, release.deployed = current.previous, current.deployed
        else:
            release.previous, release.deployed = current.id if current else "", self._now()
        release.built = os.stat(os.path.join(release.path, "complete")).st_mtime
        release.files = {path: snapshot(path) for path in settings}
        self.prepare_activation(release)

    def prepare_activation(self, release: Release) -> None:
        """Prepare the record that a release runs as it did before.

        :param release: The release.
        :raises OSError: if that is not possible.
        """
        release.activated = self._now()
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        content = json.dumps(asdict(release)).encode("ascii")
        replace_file(self._path(release) + PREPARED, content, os.geteuid(), os.getegid(), 0o600)

    def record(self, release: Release) -> None:
        """Make the prepared record of a release the one that counts, for which a full disk has room.

        :param release: The release.
        :raises OSError: if that is not possible.
        """
        os.rename(self._path(release) + PREPARED, self._path(release))
        self.known[release.id] = release

    def discard(self, release: Release) -> None:
        """Remove the prepared record of a release that does not run, so far as that is possible.

        :param release: The release.
        """
        with suppress(OSError):
            os.unlink(self._path(release) + PREPARED)

    def _path(self, release: Release) -> str:
        """Return the path of a release's record."""
        return os.path.join(self.directory, release.id + SUFFIX)

    def _now(self) -> float:
        """Return the time, later than that of every record even if the clock was set back."""
        return max([time.time(), *(release.activated + 0.001 for release in self.known.values())])


def written(seconds: float) -> str:
    """Write a time for people.

    :param seconds: The time, in seconds since the epoch.
    """
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
