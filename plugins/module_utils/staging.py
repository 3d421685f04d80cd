# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the files of a service together, checked, in a way that can be rolled back until the service runs with them."""

from __future__ import annotations

import base64
import glob
import grp
import os
import pwd
import re
import shutil
from fnmatch import fnmatch
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.journal import Journal, all_journals
from ansible_collections.campus.flask_sso.plugins.module_utils.originals import UNKNOWN, Originals, original
from ansible_collections.campus.flask_sso.plugins.module_utils.snapshot import remove_temporary, restore_all, snapshot
from ansible_collections.campus.flask_sso.plugins.module_utils.systemd import Systemd

# Options that several modules have; plugins/doc_fragments has what they mean.
SITE_OPTIONS: dict[str, Any] = {
    "site": {"type": "str", "required": True},
    "journal_directory": {"type": "path", "default": "/var/lib/flask_sso"},
}
FILES_OPTION: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
        "target": {"type": "str"},
        "content": {"type": "str"},
        "content_base64": {"type": "str"},
        "secret": {"type": "str", "no_log": True},
        "keep": {"type": "bool", "default": False},
        "keep_time": {"type": "bool", "default": False},
        "shared": {"type": "bool", "default": False},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str"},
    },
    "mutually_exclusive": [["content", "content_base64", "secret"]],
    "required_if": [["state", "link", ["target"]]],
}


def validate(module: AnsibleModule) -> None:
    """End a module whose options would affect more than they name.

    :param module: The module. It has ``site``; ``name``, ``files`` and ``purge`` may be missing.
    """
    for option in ("site", "name"):
        value = module.params.get(option, "a name")
        if not value or "/" in value:
            module.fail_json(msg=f'{option} is "{value or ""}". Write a name without a slash.', changed_paths=[])
    paths = [item["path"] for item in module.params.get("files") or []]
    for path in paths + (module.params.get("purge") or []):
        if not os.path.isabs(path):
            module.fail_json(
                msg=f'"{path}" depends on the working directory. Write an absolute path.', changed_paths=[]
            )


def content_of(item: dict[str, Any]) -> bytes:
    """Return the content of a file, as bytes.

    :param item: One of the option ``files``.
    """
    if item["content_base64"]:
        return base64.b64decode(item["content_base64"])
    text = item["content"] if item["secret"] is None else item["secret"]
    return (text or "").encode("utf-8", "surrogateescape")


def roll_back_site(systemd: Systemd, directory: str, site: str) -> list[str]:
    """Roll back what a site has staged, for all services.

    :param systemd: The host's systemd, which forgets the units that are rolled back.
    :param directory: Directory of the journals.
    :param site: The site.
    :returns: The paths that were rolled back.
    :raises OSError: if a file cannot be restored.
    """
    paths = []
    for journal in all_journals(directory):
        paths += journal.paths(site)
        journal.roll_back(site)
    systemd.reload_for(paths)
    return sorted(paths)


class Staging:
    """The files of one call, and the journal of the service that they are for.

    :param module: The module. It has the options of :data:`SITE_OPTIONS` and ``name``; of ``files``, ``purge``,
        ``exclude``, ``restore``, ``shared_with`` and ``checks`` it may lack some.
    """

    def __init__(self, module: AnsibleModule) -> None:
        validate(module)
        self.module = module
        self.systemd = Systemd(module.run_command)
        self.name: str = module.params["name"]
        self.site: str = module.params["site"]
        self.directory: str = module.params["journal_directory"]
        self.files: list[dict[str, Any]] = module.params.get("files") or []
        self.restores: bool = module.params.get("restore") or False
        self.shared_with: list[str] = module.params.get("shared_with") or []
        #: Further files, by path: what snapshot() returned when they were to be kept. Their content is never shown.
        self.kept: dict[str, dict[str, Any]] = {}
        self.journal = Journal(self.directory, self.name)
        self.originals = Originals(self.directory, self.name)
        self.diff: list[dict[str, str]] = []

    def _fail(self, message: str) -> None:
        """End the run, and roll back what it would have activated."""
        self.roll_back()
        self.module.fail_json(msg=message, changed_paths=[])

    def _ids(self, item: dict[str, Any]) -> tuple[int, int]:
        """Return the numeric owner and group of an item; in check mode an account may not exist yet."""
        try:
            return pwd.getpwnam(item["owner"]).pw_uid, grp.getgrnam(item["group"]).gr_gid
        except KeyError as error:
            if not self.module.check_mode:
                self._fail(f"{item['path']}: {error.args[0]}. Create the account first.")
            return -1, -1

    def _matches(self, option: str, path: str) -> bool:
        """Return whether a path matches one of the patterns of an option."""
        return any(fnmatch(path, pattern) for pattern in self.module.params.get(option) or [])

    def _is_purged(self, path: str) -> bool:
        """Return whether a path matches the patterns of files to remove."""
        directory = os.path.isdir(path) and not os.path.islink(path)
        return self._matches("purge", path) and not self._matches("exclude", path) and not directory

    def _is_shared(self, path: str) -> bool:
        """Return whether other sites use a path of this site, too."""
        return bool(self.shared_with) or self.originals.sites(path) != [self.site]

    def _is_left(self, item: dict[str, Any]) -> bool:
        """Return whether a file that the site does not want stays, as other sites do."""
        users = self.originals.entries.get(item["path"], {"sites": []})["sites"]
        return item["shared"] and item["state"] == "absent" and bool(set(users) - {self.site})

    def _restored(self) -> dict[str, dict[str, Any]]:
        """Return what was there before the site, by path, without directories that hold other files by now."""
        wanted: dict[str, dict[str, Any]] = {}
        for path in reversed(self._mine()):
            before = self.originals.before(path)
            left = os.listdir(path) if os.path.isdir(path) and not os.path.islink(path) else []
            used = any(wanted.get(os.path.join(path, name), {"kind": ""})["kind"] != "absent" for name in left)
            if not self._is_shared(path) and before != UNKNOWN and not (before["kind"] == "absent" and used):
                wanted[path] = before
        return wanted

    def _wanted(self, item: dict[str, Any]) -> dict[str, Any]:
        """Describe an item as a snapshot of the wanted state."""
        kind = item["state"]
        wanted: dict[str, Any] = {"kind": kind}
        if kind == "link":
            wanted["target"] = item["target"]
        elif kind != "absent":
            uid, gid = self._ids(item)
            mode = int(item["mode"] or ("0755" if kind == "directory" else "0644"), 8)
            wanted.update(uid=uid, gid=gid, mode=mode)
        if kind == "file":
            wanted["content"] = base64.b64encode(content_of(item)).decode("ascii")
        return wanted

    def _named(self) -> set[str]:
        """Return the paths of the files that the call names."""
        return {item["path"] for item in self.files} | self.kept.keys()

    def _planned(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Return what differs, directories first: path, present and wanted state."""
        wanted = {item["path"]: self._wanted(item) for item in self.files if not self._is_left(item)} | self.kept
        kept = {item["path"] for item in self.files if item["keep"]}
        for pattern in self.module.params.get("purge") or []:
            for path in filter(self._is_purged, glob.glob(pattern)):
                wanted.setdefault(path, {"kind": "absent"})
        planned = []
        if self.restores:
            wanted.update(self._restored())
        for path, entry in sorted(wanted.items()):
            before = snapshot(path)
            if path in kept and before["kind"] == "file":
                entry["content"] = before["content"]
            if before != entry:
                planned.append((path, before, entry))
        return planned

    def _describe(self, path: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Add one path to the diff, its content only if that is not a secret and every account can read it."""
        secret = {item["path"] for item in self.files if item["secret"] is not None} | self.kept.keys()

        def text(side: dict[str, Any]) -> str:
            if side["kind"] != "file":
                return f"{side['kind']} {side.get('target', '')}\n"
            if path in secret or not side["mode"] & 0o004:
                return "(not shown)\n"
            return base64.b64decode(side["content"]).decode("utf-8", "replace")

        def header(side: dict[str, Any]) -> str:
            return f"{path} ({side['mode']:04o})" if "mode" in side else path

        self.diff.append(
            {
                "before_header": header(before),
                "after_header": header(after),
                "before": text(before),
                "after": text(after),
            }
        )

    def _problem(self) -> str:
        """Run the checks; return the problem, or nothing."""
        for check in self.module.params.get("checks") or []:
            if not shutil.which(check["argv"][0]):
                return f"{check['argv'][0]} is not installed."
            code, out, err = self.module.run_command(check["argv"])
            lines = [line for line in (err + out).splitlines() if line.strip()]
            rejected = [line for line in lines if check["reject"] and re.search(check["reject"], line)]
            if code or rejected:
                said = "\n".join((rejected or lines)[-20:])
                title = check["title"] or f"`{' '.join(check['argv'])}`"
                return "\n".join(filter(None, [f"{title} reports:", said, check["hint"], self._interrupted()]))
        return ""

    def _interrupted(self) -> str:
        """Describe the files of other sites that the check has read, too; empty if there are none."""
        others = [site for site in self.journal.sites() if site != self.site]
        if not others:
            return ""
        return (
            f"What is staged for {' and '.join(others)} was checked, too, as {self.name} does not run with it yet. If"
            " it is named here, run the playbook for that site first."
        )

    def stage(self) -> list[str]:
        """Write what differs and check it. If it does not pass, roll back what the site has staged, and end the module.

        :returns: The changes, of this run or of one that was interrupted before the service ran with them.
        """
        if self.restores:
            self._require_originals()
        if not self.module.check_mode:
            remove_temporary({os.path.dirname(path) for path in [*self._named(), *self.originals.paths(self.site)]})
        planned = self._planned()
        for change in planned:
            self._describe(*change)
        left = {item["path"] for item in self.files if self._is_left(item)}
        named = self._named() - left
        pending = {path for path in self.journal.paths() if path in named or self._is_purged(path)}
        if self.restores:
            pending.update(self.journal.paths(self.site))
        changed_paths = sorted({path for path, _before, _after in planned} | pending)
        if self.module.check_mode:
            return changed_paths
        if changed_paths:
            self._write(planned)
        self._record_use(named, {path for path, _before, _after in planned})
        self.originals.release(self.site, sorted(left.intersection(self.originals.paths(self.site))))
        return changed_paths

    def _write(self, planned: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
        """Write what differs and check it, or roll back and end the module.

        A run that was interrupted may have written files without a check, so that nothing differs now.

        :param planned: What :meth:`_planned` returned.
        """
        try:
            # Before the first file, so that an interruption can be rolled back.
            self.journal.record(self.site, {path: before for path, before, _after in planned})
            times = self._kept_times()
            restore_all({path: after | times.get(path, {}) for path, _before, after in planned})
            problem = self._problem()
        except OSError as error:
            problem = str(error)
        if problem:
            self._fail(
                f"The new configuration of {self.name} does not pass its check, so every file is as it was and the"
                f" service was not touched.\n{problem}"
            )

    def _kept_times(self) -> dict[str, dict[str, int]]:
        """Return the times that files keep, as a part of their snapshots."""
        paths = [item["path"] for item in self.files if item["keep_time"] and os.path.isfile(item["path"])]
        return {path: {"time": os.stat(path).st_mtime_ns} for path in paths}

    def _mine(self) -> list[str]:
        """Return what the site has changed and what is to be restored."""
        return [path for path in self.originals.paths(self.site) if not self._matches("exclude", path)]

    def _require_originals(self) -> None:
        """End the module if it is not known what was there before the site; nothing was changed then."""
        alone = [path for path in self._mine() if not self._is_shared(path)]
        unknown = [path for path in alone if UNKNOWN == self.originals.before(path) == original(path, snapshot(path))]
        if unknown:
            self.module.fail_json(
                msg=(
                    f"{self.site} cannot be removed, and nothing of {self.name} was changed: an earlier version of this"
                    f" collection has written {', '.join(unknown)} and did not record what was there before. Restore"
                    f" or remove these files yourself, so that {self.name} runs without them, and try again."
                ),
                changed_paths=[],
            )

    def _record_use(self, named: set[str], planned: set[str]) -> None:
        """Record which of the files that were changed before this site uses, too, or no longer."""
        self.originals.claim(self.site, sorted(named.union(filter(self._is_purged, self.originals.entries))))
        for other in self.shared_with:
            self.originals.claim(other, self.originals.paths(self.site))
        if self.restores:
            staged = planned.union(self.journal.paths())  # the activation settles these
            mine = [path for path in self._mine() if path not in staged]
            shared = set(filter(self._is_shared, mine))
            same = {path for path in mine if self.originals.before(path) in (UNKNOWN, snapshot(path))}
            self.originals.release(self.site, sorted(shared | same))

    def settle(self, site: str | None = None) -> None:
        """Complete what is staged, as the service runs with it.

        :param site: Only what this site has staged; without one, for all sites.
        """
        self.originals.settle(self.journal.of(site))
        self.journal.forget(site)

    def roll_back(self) -> None:
        """Roll back what the site has staged, for every service: the run ends, and nothing else would activate it."""
        roll_back_site(self.systemd, self.directory, self.site)
        self.journal = Journal(self.directory, self.name)
