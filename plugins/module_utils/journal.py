# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the files that a service last ran with while they change, and which site's run changed them."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.campus.flask_sso.plugins.module_utils.snapshot import replace_file, restore_all, sync_directory

SUFFIX = ".journal"


class Journal:
    """The former files of one service, kept on disk from staging until the service runs with the new ones.

    For each path it holds a list of changes, the oldest first. A change says which site's run made it and what was
    there before. There is more than one only where a run of another site was interrupted: each site can then be rolled
    back without the others.

    :param directory: Directory of the journals; it is created when needed, for root only.
    :param name: Name of the service.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.path = os.path.join(directory, name + SUFFIX)
        self.changes: dict[str, list[dict[str, Any]]] = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="ascii") as stream:
                self.changes = json.load(stream)

    def sites(self) -> list[str]:
        """Return the sites whose files are staged, in order of their names."""
        return sorted({change["site"] for changes in self.changes.values() for change in changes})

    def paths(self, site: str | None = None) -> list[str]:
        """Return the paths that are staged, in order.

        :param site: Only those that this site has changed.
        """
        return sorted(
            path for path, changes in self.changes.items() if site in {None, *(change["site"] for change in changes)}
        )

    def record(self, site: str, before: dict[str, dict[str, Any]]) -> None:
        """Record what is there, before it is changed. Of several changes by one site the first one counts.

        :param site: The site.
        :param before: What :func:`snapshot.snapshot` returned, by path.
        """
        for path, found in before.items():
            changes = self.changes.setdefault(path, [])
            if not changes or changes[-1]["site"] != site:
                changes.append({"site": site, "before": found})
        if before:
            self._save()

    def of(self, site: str | None) -> dict[str, list[dict[str, Any]]]:
        """Return the changes by one site.

        :param site: The site; None for all.
        """
        made = {path: [one for one in changes if site in (None, one["site"])] for path, changes in self.changes.items()}
        return {path: changes for path, changes in made.items() if changes}

    def forget(self, site: str | None = None) -> None:
        """Forget what the service runs with.

        :param site: Only the changes by this site; without one, all.
        """
        others = [other for other in self.sites() if site not in (None, other)]
        left = {path: [one for one in changes if one["site"] in others] for path, changes in self.changes.items()}
        self.changes = {path: changes for path, changes in left.items() if changes}
        self._save()

    def roll_back(self, site: str | None = None) -> None:
        """Roll files back.

        :param site: The site whose changes are rolled back; without one, those of all. A file that another site has
            changed since stays, and the other site is rolled back to what was there before both.
        :raises OSError: if a file cannot be restored. The journal is then as it was.
        """
        remaining: dict[str, list[dict[str, Any]]] = {}
        wanted: dict[str, dict[str, Any]] = {}
        for path, changes in self.changes.items():
            kept: list[dict[str, Any]] = []
            for change in reversed(changes):
                if site not in (None, change["site"]):
                    kept.insert(0, dict(change))
                elif kept:
                    kept[0]["before"] = change["before"]
                else:
                    wanted[path] = change["before"]
            if kept:
                remaining[path] = kept
        restore_all(wanted)
        self.changes = remaining
        self._save()

    def _save(self) -> None:
        """Write the journal, or remove it when it holds nothing, so that a power failure does not undo that."""
        if self.changes:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            replace_file(self.path, json.dumps(self.changes).encode("ascii"), os.geteuid(), os.getegid(), 0o600)
        elif os.path.exists(self.path):
            os.unlink(self.path)
        else:
            return
        sync_directory(os.path.dirname(self.path))


def all_journals(directory: str) -> list[Journal]:
    """Return the journals of all services.

    :param directory: Directory of the journals.
    """
    found = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    return [Journal(directory, name[: -len(SUFFIX)]) for name in found if name.endswith(SUFFIX)]
