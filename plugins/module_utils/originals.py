# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what was on the host before the collection, so that the removal of a site restores it."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from ansible_collections.campus.flask_sso.plugins.module_utils.snapshot import replace_file, snapshot

SUFFIX = ".originals"
#: Directories and files whose names begin with one of these are the collection's own on every host.
OWN_NAMES = ("flask_sso", "zz-flask_sso")
#: What files that the collection writes contain.
OWN_MARKS = (b"campus.flask_sso", b"# Not used: flask_sso-")
#: The original of what an earlier version has written, which recorded no originals.
UNKNOWN = {"kind": "unknown"}


def original(path: str, before: dict[str, Any]) -> dict[str, Any]:
    """Return what was at a path before the collection, as far as that can be told.

    :param path: The path.
    :param before: What :func:`snapshot.snapshot` returned before the first recorded change.
    """
    named = any(part.startswith(OWN_NAMES) for part in path.split(os.sep))
    if before["kind"] == "directory" and named:
        return {"kind": "absent"}  # tasks create directories of keys before anything is staged
    content = base64.b64decode(before.get("content", ""))
    if before["kind"] != "absent" and (named or any(mark in content for mark in OWN_MARKS)):
        return dict(UNKNOWN)
    return before


class Originals:
    """The originals of one service's files, kept on disk as long as a file differs from its original.

    For each path it holds the sites that use the path, and what was there before the first of them.

    :param directory: Directory of the records; it is created when needed, for root only.
    :param name: Name of the service.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.path = os.path.join(directory, name + SUFFIX)
        self.entries: dict[str, dict[str, Any]] = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="ascii") as stream:
                self.entries = json.load(stream)

    def paths(self, site: str) -> list[str]:
        """Return the paths that a site uses, in order.

        :param site: The site.
        """
        return sorted(path for path, entry in self.entries.items() if site in entry["sites"])

    def sites(self, path: str) -> list[str]:
        """Return the sites that use a path.

        :param path: One of :meth:`paths`.
        """
        return self.entries[path]["sites"]

    def before(self, path: str) -> dict[str, Any]:
        """Return what was at a path before the collection.

        :param path: One of :meth:`paths`.
        """
        return self.entries[path]["before"]

    def made(self, site: str) -> list[str]:
        """Return the paths that a site alone uses, and where nothing was before the collection, in order.

        :param site: The site.
        """
        return [
            path for path in self.paths(site) if self.sites(path) == [site] and self.before(path)["kind"] == "absent"
        ]

    def shared(self, site: str) -> list[str]:
        """Return the paths that other sites use, too, in order.

        :param site: The site.
        """
        return [path for path in self.paths(site) if self.sites(path) != [site]]

    def claim(self, site: str, paths: list[str]) -> None:
        """Record that a site uses paths, too, which other sites have changed.

        :param site: The site.
        :param paths: Any paths; those that no site has changed are ignored.
        """
        unclaimed = [path for path in paths if path in self.entries and site not in self.sites(path)]
        for path in unclaimed:
            self.sites(path).append(site)
        if unclaimed:
            self._save()

    def release(self, site: str, paths: list[str]) -> None:
        """Record that a site no longer uses paths.

        :param site: The site.
        :param paths: Some of :meth:`paths`.
        """
        for path in paths:
            self.sites(path).remove(site)
            if not self.sites(path):
                del self.entries[path]
        if paths:
            self._save()

    def settle(self, changes: dict[str, list[dict[str, Any]]]) -> None:
        """Record the originals of changed files, and forget those of all files that are as before.

        :param changes: As in :class:`journal.Journal`.
        """
        for path, made in changes.items():
            entry = self.entries.setdefault(path, {"sites": [], "before": original(path, made[0]["before"])})
            entry["sites"] += [change["site"] for change in made if change["site"] not in entry["sites"]]
        if changes:
            self.entries = {path: entry for path, entry in self.entries.items() if snapshot(path) != entry["before"]}
            self._save()

    def _save(self) -> None:
        """Write the record, or remove it when it holds nothing."""
        directory = os.path.dirname(self.path)
        if self.entries:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            replace_file(self.path, json.dumps(self.entries).encode("ascii"), os.geteuid(), os.getegid(), 0o600)
        elif os.path.exists(self.path):
            os.unlink(self.path)
