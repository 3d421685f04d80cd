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
      content_base64:
        description: Bytes of a file in Base64, instead of O(files[].content).
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
      title:
        description: What the command is called in messages, where it is too long to be shown.
        type: str
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
  standby:
    description:
      - Unit that serves on the same O(sockets) while a running O(unit) is restarted. It starts first, with the new
        files, so that the old processes can finish their requests while others are served. If it cannot start, O(unit)
        is not restarted.
    type: str
  probe:
    description:
      - A page that the files serve. If it is answered before they are activated, and afterwards not, or with a server
        error (500 or above), the files are rolled back as if the unit could not run with them.
    type: dict
    suboptions:
      url:
        description:
          - Address of the page, by the site's own name. The loopback address is asked for it. Empty, nothing is asked.
        type: str
        required: true
      socket:
        description:
          - Unix socket of the server that answers, which is asked instead of the web server before it. Before
            it exists, the web server is asked.
        type: path
        default: ""
      protocol:
        description: What the server at O(probe.socket) speaks.
        type: str
        choices: [uwsgi, http]
        default: http
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
from ansible_collections.campus.flask_sso.plugins.module_utils.own_site import ask, ask_server

PROBE_SECONDS = 600  # httpd, or the server of the application, gives up before


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
        linked = os.path.islink(path)
        if linked and os.lstat(path).st_uid not in (0, os.geteuid()):
            raise OSError(f"{path} is a link that another account made. Remove it.")
        if not os.path.isdir(path):
            os.mkdir(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if linked else os.O_NOFOLLOW))
        try:
            os.fchown(descriptor, before["uid"], before["gid"])
            os.fchmod(descriptor, before["mode"])
        finally:
            os.close(descriptor)
    elif before["kind"] == "link":
        replace_link(path, before["target"])
    elif os.path.isdir(path) and not os.path.islink(path):
        if not os.listdir(path):  # somebody else's files may have come in since
            os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def complaint(probe):
    """Ask this host for a page.

    :param dict probe: The module's option.
    :returns: str, a server error or what was in the way of an answer; empty for any other answer.
    """
    try:
        if probe["socket"] and os.path.exists(probe["socket"]):
            answer = ask_server(probe["socket"], probe["protocol"], probe["url"], PROBE_SECONDS)
        else:
            answer = ask(probe["url"], PROBE_SECONDS)
        with answer:
            return f"{answer.status} {answer.reason}" if answer.status >= 500 else ""
    except (OSError, HTTPException, ValueError) as error:
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
        self.untouched = False  # whether the unit runs on, as its standby could not start

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

        directory = os.path.isdir(path) and not os.path.islink(path)
        return matches("exclusive") and not matches("foreign") and not directory

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
                content = base64.b64decode(item["content_base64"]) or text.encode("utf-8", "surrogateescape")
                entry["content"] = base64.b64encode(content).decode("ascii")
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
                title = check["title"] or f"`{' '.join(check['argv'])}`"
                return "\n".join(filter(None, [f"{title} says:", said, check["hint"]]))
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

    def _take_up(self, action, changed_paths, back=False):
        """Make the unit run with the files on disk; return whether it does. On the way back, nothing new may run on."""
        unit, sockets, standby = (self.module.params[option] for option in ("unit", "sockets", "standby"))
        names = {os.path.basename(path) for path in changed_paths}
        self._systemctl("daemon-reload")
        if not unit:
            return True
        self._systemctl("reset-failed", unit, *sockets)  # or earlier failures count against this start
        if names.intersection(sockets):
            self._systemctl("stop", unit, *sockets)
        if not all(self._systemctl("enable", "--now", socket) for socket in sockets):
            return False
        bridged = standby and action == "restart" and self._systemctl("is-active", "--quiet", unit)
        if bridged and not self._systemctl("restart", standby):
            self._systemctl("stop", standby)
            if not back:
                self.untouched = True
                return False
            bridged = False
        verb = "reload-or-restart" if action == "reload" else "restart"
        runs = (
            self._systemctl("enable", unit)
            and self._systemctl(verb, unit)
            and self._systemctl("is-active", "--quiet", unit)
        )
        if bridged:
            self._systemctl("stop", "--no-block", standby)  # it finishes its requests in its own time
        return runs

    def activate(self):
        """Make the unit run with what was staged, or with what it last ran with."""
        unit, probe, action = (self.module.params[option] for option in ("unit", "probe", "action"))
        units = list(filter(None, [unit, self.module.params["standby"]]))
        answered = bool(probe and probe["url"]) and not complaint(probe)
        changed_paths = sorted({*self.stage()["changed_paths"], *self.journal.entries})
        # A reload may be for another service's sake, whose files the unit reads; a restart never is.
        wanted = changed_paths or action == "reload"
        if self.module.check_mode or not wanted:
            return {"changed": bool(wanted), "changed_paths": changed_paths}
        if not self._take_up(action, changed_paths):
            said = self._last_words(units)
        elif answered and (problem := complaint(probe)):
            said = f"{probe['url']} said:\n{problem}\n" + (
                self._last_words(units) if unit else "The web server's error log has the reason."
            )
        else:
            self.journal.entries = {}
            self.journal.save()
            return {"changed": True, "changed_paths": changed_paths}
        self.revert()
        if self.untouched or self._take_up("restart", changed_paths, back=True):
            outcome = "it runs with those"
        elif self._systemctl("cat", unit):
            outcome = "it does not run with those either"
        else:
            self._systemctl("stop", *units, *self.module.params["sockets"])
            outcome = "it is gone, as it had not been there"
        service = unit or self.module.params["name"]
        self.module.fail_json(
            msg=f"{service} could not run with its new files, so they were replaced by the ones before, and {outcome}."
            f" Before that {said}",
            changed_paths=[],
        )

    def _last_words(self, units):
        """What units have logged last."""
        self.module.run_command(["journalctl", "--sync"])  # what was just said may be on its way
        journal = ["journalctl", "--no-pager", "--output=cat", "--lines=50"]
        return "it said:\n" + self.module.run_command(journal + [f"--unit={unit}" for unit in units])[1].strip()


def main():
    """Run the module."""
    file_options = {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
        "target": {"type": "str", "default": ""},
        "content": {"type": "str", "default": ""},
        "content_base64": {"type": "str", "default": ""},
        "secret": {"type": "str", "no_log": True},
        "keep": {"type": "bool", "default": False},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str"},
    }
    check_options = {
        "argv": {"type": "list", "elements": "str", "required": True},
        "title": {"type": "str"},
        "reject": {"type": "str"},
        "hint": {"type": "str", "default": ""},
    }
    probe_options = {
        "url": {"type": "str", "required": True},
        "socket": {"type": "path", "default": ""},
        "protocol": {"type": "str", "choices": ["uwsgi", "http"], "default": "http"},
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
            "standby": {"type": "str"},
            "probe": {"type": "dict", "options": probe_options},
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
