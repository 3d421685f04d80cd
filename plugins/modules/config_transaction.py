#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a service's files together: all of them pass the service's own check, or none is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_transaction
short_description: Change the files of a service together, checked, and revocable until the service runs with them
version_added: 0.1.0
description:
  - Writes several files at once, runs the service's own configuration check, and puts every file back when the check
    fails.
  - Keeps what the files held before in a journal until the service runs with them (O(state=activated)). A service that
    cannot gets its last working files back, and runs with those.
  - A failure also takes back what is staged for other services. The run ends there, and nothing may lie on disk until
    one of them happens to start anew.
  - A journal that an interrupted run left behind makes the same files count as changed again. The service is then
    reloaded by the next run, although the files themselves need no change.
author: campus.flask_sso contributors
options:
  name:
    description:
      - Name of the transaction, by custom the service. Several roles may stage files in the same one.
      - Needed unless O(state=reverted).
    type: str
  state:
    description:
      - V(staged) writes and checks the files.
      - V(activated) makes O(unit) run with everything that was staged, and with O(files). When it cannot, all of it is
        taken back, the unit runs with the files it last ran with, and the task fails with what the unit said.
      - V(reverted) takes back what is staged on the host under any name, for a playbook that ends at another task.
    type: str
    choices: [staged, activated, reverted]
    default: staged
  files:
    description: The files, in any order. Directories are made before their contents.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      state:
        description: What is at the path.
        type: str
        choices: [file, directory, link, absent]
        default: file
      target:
        description: Where a link leads.
        type: str
        default: ""
      content:
        description: Text of a file.
        type: str
        default: ""
      secret:
        description: Text of a file that must never be shown, instead of O(files[].content).
        type: str
      keep:
        description: Whether a file that is there already keeps its text. Without one, the text is written.
        type: bool
        default: false
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      mode:
        description: Octal mode; by default V(0755) for a directory and V(0644) for a file.
        type: str
  exclusive:
    description:
      - Shell patterns. A file or link that matches one of them is removed, unless it is among O(files) or matches
        O(foreign).
    type: list
    elements: str
    default: []
  foreign:
    description: Shell patterns of paths that O(exclusive) leaves alone.
    type: list
    elements: str
    default: []
  checks:
    description: Commands that judge the configuration on disk. They run only when something was changed.
    type: list
    elements: dict
    default: []
    suboptions:
      argv:
        description: The command and its arguments.
        type: list
        elements: str
        required: true
      reject:
        description: A regular expression. Output that it matches fails the check although the command returned 0.
        type: str
      hint:
        description: What to do about a failure, added to the message.
        type: str
        default: ""
  unit:
    description: The systemd unit that is activated; it is enabled, too. Without one, whoever uses the files notices.
    type: str
  action:
    description: How the unit takes up its new files.
    type: str
    choices: [reload, restart]
    default: restart
  sockets:
    description: Socket units that belong to O(unit). They stay open while it restarts, unless their own files changed.
    type: list
    elements: str
    default: []
  probe:
    description:
      - Address that this host serves by means of the files. If it answers before they are activated, and afterwards
        does not, or with a server error (500 or above), they are taken back as if the unit could not run with them.
    type: str
    default: ""
  journal_directory:
    description: Where journals are kept.
    type: path
    default: /var/lib/flask_sso
attributes:
  check_mode:
    description: Reports what would change. The commands of O(checks) are not run, as nothing was written.
    support: full
  diff_mode:
    description: Shows the files before and after.
    support: full
"""

EXAMPLES = r"""
- name: Stage the virtual host
  campus.flask_sso.config_transaction:
    name: httpd
    files:
      - path: /etc/apache2/sites-enabled/example.conf
        content: "{{ lookup('ansible.builtin.template', 'example.conf.j2') }}"
    checks:
      - argv: [apache2ctl, -t]
  notify: Reload httpd

- name: Reload httpd with everything that was staged   # a handler
  campus.flask_sso.config_transaction:
    name: httpd
    state: activated
    unit: apache2.service
    action: reload
"""

RETURN = r"""
changed_paths:
  description: What was changed, by this run or by an interrupted one that did not get to its commit.
  returned: success
  type: list
  elements: str
"""

import base64
import glob
import grp
import json
import os
import pwd
import re
import shutil
import tempfile
from fnmatch import fnmatch
from http.client import HTTPException

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.own_site import ask


def snapshot(path):
    """Describe what is at a path, so that :func:`restore` can bring it back.

    :param str path: Absolute path.
    :returns: dict with ``kind`` (``absent``, ``file``, ``directory``, ``link``) and what that kind needs.
    """
    if os.path.islink(path):
        return {"kind": "link", "target": os.readlink(path)}
    if not os.path.lexists(path):
        return {"kind": "absent"}
    stat = os.stat(path)
    found = {"kind": "directory", "uid": stat.st_uid, "gid": stat.st_gid, "mode": stat.st_mode & 0o7777}
    if os.path.isfile(path):
        with open(path, "rb") as stream:
            found.update(kind="file", content=base64.b64encode(stream.read()).decode("ascii"))
    return found


def replace_file(path, content, uid, gid, mode):
    """Write a file by renaming a finished one over it, so that no reader ever sees half of it.

    :param str path: Absolute path.
    :param bytes content: What to write.
    :param int uid: Owner.
    :param int gid: Group.
    :param int mode: Permission bits.
    """
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".config_transaction-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def replace_link(path, target):
    """Make a link by renaming a finished one over it, so that it never leads nowhere in between.

    :param str path: Absolute path.
    :param str target: Where the link leads.
    """
    temporary = os.path.join(os.path.dirname(path), f".config_transaction-{os.getpid()}")
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def restore(path, before):
    """Bring back what :func:`snapshot` described.

    :param str path: Absolute path.
    :param dict before: What :func:`snapshot` returned.
    """
    if before["kind"] == "file":
        replace_file(path, base64.b64decode(before["content"]), before["uid"], before["gid"], before["mode"])
    elif before["kind"] == "directory":
        if not os.path.isdir(path):
            os.mkdir(path)
        os.chown(path, before["uid"], before["gid"])
        os.chmod(path, before["mode"])
    elif before["kind"] == "link":
        replace_link(path, before["target"])
    elif os.path.isdir(path) and not os.path.islink(path):
        if not os.listdir(path):  # somebody else's files may have come in since
            os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def complaint(address):
    """Ask this host for a page of its site.

    :param str address: URL, by the site's own name.
    :returns: str, a server error or what was in the way of an answer; empty for any other answer.
    """
    try:
        with ask(address, timeout=600) as answer:  # httpd gives up before
            return f"{answer.status} {answer.reason}" if answer.status >= 500 else ""
    except (OSError, HTTPException) as error:
        return str(error) or type(error).__name__


class Journal:
    """What a transaction's files held before it, kept on disk until it is committed.

    :param str path: Absolute path; its directory is made when needed, for root alone.
    """

    def __init__(self, path):
        self.path = path
        self.entries = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="ascii") as stream:
                self.entries = json.load(stream)

    def save(self):
        """Write the journal, or remove it when it holds nothing."""
        if self.entries:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            replace_file(self.path, json.dumps(self.entries).encode("ascii"), os.geteuid(), os.getegid(), 0o600)
        elif os.path.exists(self.path):
            os.unlink(self.path)

    def undo(self):
        """Restore every entry, contents before the directories that hold them, and forget them."""
        for path in sorted(self.entries, reverse=True):
            restore(path, self.entries[path])
        self.entries = {}
        self.save()


class Transaction:
    """One call of the module.

    :param AnsibleModule module: The module, with its parameters.
    """

    def __init__(self, module):
        self.module = module
        self.journal = Journal(self._journal_path(module.params["name"]))
        self.diff = []

    def _journal_path(self, name):
        """Where the journal of a transaction is."""
        return os.path.join(self.module.params["journal_directory"], f"{name}.journal")

    def _fail(self, message):
        """End the run, and take back what it would have activated."""
        self.revert()
        self.module.fail_json(msg=message, changed_paths=[])

    def _ids(self, item):
        """Numeric owner and group of an item; in check mode an account may not exist yet."""
        try:
            return pwd.getpwnam(item["owner"]).pw_uid, grp.getgrnam(item["group"]).gr_gid
        except KeyError as error:
            if self.module.check_mode:
                return -1, -1
            self._fail(f"{item['path']}: {error.args[0]}. Create the account first.")

    def _unwanted(self, path):
        """Whether a path matches the patterns of what is removed."""

        def matches(option):
            return any(fnmatch(path, pattern) for pattern in self.module.params[option])

        return matches("exclusive") and not matches("foreign")

    def _planned(self):
        """What differs: a list of (path, before, wanted), directories first."""
        wanted = {}
        kept = {item["path"] for item in self.module.params["files"] if item["keep"]}
        for item in self.module.params["files"]:
            uid, gid = self._ids(item) if item["state"] in ("file", "directory") else (0, 0)
            kind = item["state"]
            entry = {"kind": kind}
            if kind == "link":
                entry["target"] = item["target"]
            elif kind != "absent":
                mode = int(item["mode"] or ("0755" if kind == "directory" else "0644"), 8)
                entry.update(uid=uid, gid=gid, mode=mode)
            if kind == "file":
                text = item["content"] if item["secret"] is None else item["secret"]
                entry["content"] = base64.b64encode(text.encode("utf-8")).decode("ascii")
            wanted[item["path"]] = entry
        for pattern in self.module.params["exclusive"]:
            for path in filter(self._unwanted, glob.glob(pattern)):
                wanted.setdefault(path, {"kind": "absent"})
        planned = []
        for path, entry in sorted(wanted.items()):
            before = snapshot(path)
            if path in kept and before["kind"] == "file":
                entry["content"] = before["content"]
            if before != entry:
                planned.append((path, before, entry))
        return planned

    def _describe(self, path, before, after):
        """Add one path to the diff, its content only where that is not a secret."""
        secret = {item["path"] for item in self.module.params["files"] if item["secret"] is not None}

        def text(side):
            if side["kind"] != "file":
                return f"{side['kind']} {side.get('target', '')}\n"
            if path in secret:
                return "(not shown)\n"
            return base64.b64decode(side["content"]).decode("utf-8", "replace")

        def header(side):
            return f"{path} ({side['mode']:04o})" if "mode" in side else path

        self.diff.append(
            {
                "before_header": header(before),
                "after_header": header(after),
                "before": text(before),
                "after": text(after),
            }
        )

    def _check(self):
        """Run the checks; return what is wrong, or nothing."""
        for check in self.module.params["checks"]:
            if not shutil.which(check["argv"][0]):
                return f"{check['argv'][0]} is not installed."
            code, out, err = self.module.run_command(check["argv"])
            lines = [line for line in (err + out).splitlines() if line.strip()]
            rejected = [line for line in lines if check["reject"] and re.search(check["reject"], line)]
            if code or rejected:
                said = "\n".join((rejected or lines)[-20:])
                return "\n".join(filter(None, [f"`{' '.join(check['argv'])}` says:", said, check["hint"]]))
        return None

    def stage(self):
        """Write what differs and check it."""
        planned = self._planned()
        for path, before, after in planned:
            self._describe(path, before, after)
        named = {item["path"] for item in self.module.params["files"]}
        pending = {path for path in self.journal.entries if path in named or self._unwanted(path)}
        changed_paths = sorted({path for path, _before, _after in planned} | pending)
        if self.module.check_mode or not planned:
            return {"changed": bool(changed_paths), "changed_paths": changed_paths}

        for path, before, _after in planned:
            self.journal.entries.setdefault(path, before)
        self.journal.save()  # before the first file, so that an interruption can be undone
        try:
            for path, _before, after in planned:
                restore(path, after)
            problem = self._check()
        except OSError as error:
            problem = str(error)
        if problem:
            self._fail(
                f"The new configuration of {self.module.params['name']} does not pass its check, so every file is"
                f" as it was and the service was left alone.\n{problem}"
            )
        return {"changed": True, "changed_paths": changed_paths}

    def revert(self):
        """Take back what is staged for any service."""
        journals = [Journal(path) for path in glob.glob(self._journal_path("*"))]
        changed_paths = sorted(path for journal in journals for path in journal.entries)
        if not self.module.check_mode:
            for journal in journals:
                journal.undo()
            if any("/systemd/" in path for path in changed_paths):
                self._systemctl("daemon-reload")
        return {"changed": bool(changed_paths), "changed_paths": changed_paths}

    def _systemctl(self, *arguments):
        """Run systemctl; return whether it succeeded."""
        return self.module.run_command(["systemctl", *arguments])[0] == 0

    def _take_up(self, action, changed_paths):
        """Make the unit run with the files on disk; return whether it does."""
        unit, sockets = self.module.params["unit"], self.module.params["sockets"]
        names = {os.path.basename(path) for path in changed_paths}
        self._systemctl("daemon-reload")
        if not unit:
            return True
        self._systemctl("reset-failed", unit, *sockets)  # or earlier failures count against this start
        if names.intersection(sockets):
            self._systemctl("stop", unit, *sockets)
        verb = "reload-or-restart" if action == "reload" else "restart"
        return (
            all(self._systemctl("enable", "--now", socket) for socket in sockets)
            and self._systemctl("enable", unit)
            and self._systemctl(verb, unit)
            and self._systemctl("is-active", "--quiet", unit)
        )

    def activate(self):
        """Make the unit run with what was staged, or with what it last ran with."""
        unit, probe, action = (self.module.params[option] for option in ("unit", "probe", "action"))
        answered = bool(probe) and not complaint(probe)
        changed_paths = sorted({*self.stage()["changed_paths"], *self.journal.entries})
        # A reload may be for another service's sake, whose files the unit reads; a restart never is.
        wanted = changed_paths or action == "reload"
        if self.module.check_mode or not wanted:
            return {"changed": bool(wanted), "changed_paths": changed_paths}
        if not self._take_up(action, changed_paths):
            journal = ["journalctl", "--no-pager", "--output=cat", "--lines=20", "--unit=" + unit]
            said = "it said:\n" + self.module.run_command(journal)[1].strip()
        elif answered and (problem := complaint(probe)):
            said = f"{probe} said:\n{problem}\nThe web server's error log has the reason."
        else:
            self.journal.entries = {}
            self.journal.save()
            return {"changed": True, "changed_paths": changed_paths}
        self.revert()
        if self._take_up("restart", changed_paths):
            outcome = "it runs with those"
        elif self._systemctl("cat", unit):
            outcome = "it does not run with those either"
        else:
            self._systemctl("stop", unit, *self.module.params["sockets"])
            outcome = "it is gone, as it had not been there"
        service = unit or self.module.params["name"]
        self.module.fail_json(
            msg=f"{service} could not run with its new files, so they were replaced by the ones before, and {outcome}."
            f" Before that {said}",
            changed_paths=[],
        )


def main():
    """Run the module."""
    file_options = {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
        "target": {"type": "str", "default": ""},
        "content": {"type": "str", "default": ""},
        "secret": {"type": "str", "no_log": True},
        "keep": {"type": "bool", "default": False},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str"},
    }
    check_options = {
        "argv": {"type": "list", "elements": "str", "required": True},
        "reject": {"type": "str"},
        "hint": {"type": "str", "default": ""},
    }
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "state": {"type": "str", "choices": ["staged", "activated", "reverted"], "default": "staged"},
            "files": {"type": "list", "elements": "dict", "default": [], "options": file_options},
            "exclusive": {"type": "list", "elements": "str", "default": []},
            "foreign": {"type": "list", "elements": "str", "default": []},
            "checks": {"type": "list", "elements": "dict", "default": [], "options": check_options},
            "unit": {"type": "str"},
            "action": {"type": "str", "choices": ["reload", "restart"], "default": "restart"},
            "sockets": {"type": "list", "elements": "str", "default": []},
            "probe": {"type": "str", "default": ""},
            "journal_directory": {"type": "path", "default": "/var/lib/flask_sso"},
        },
        required_if=[("state", "staged", ["name"]), ("state", "activated", ["name"])],
        supports_check_mode=True,
    )
    transaction = Transaction(module)
    actions = {"staged": transaction.stage, "activated": transaction.activate, "reverted": transaction.revert}
    result = actions[module.params["state"]]()
    module.exit_json(diff=transaction.diff, **result)


if __name__ == "__main__":
    main()
