#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find what a host has of an application, and what conflicts with its names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: application_state
short_description: Find what a host has of an application, and what conflicts with its names
version_added: 0.1.0
description:
  - Looks for accounts, groups, units and directories of these names that the role flask_app has not created, and for
    those that it still has to create. Changes nothing.
  - An account is the role's own if its remark (GECOS) says so, or if its home is O(path) and no user can log in with
    it; a unit, if it names this collection; a directory, by what it holds or who owns it.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  name:
    description: Name of the application.
    type: str
    required: true
  user:
    description: Account that runs the application.
    type: str
    required: true
  owner:
    description: Account that owns the code.
    type: str
    required: true
  path:
    description: Directory of the releases, which is also the home of the accounts that the role creates.
    type: path
    required: true
  units:
    description: Names of the units, without C(.service) and C(.socket).
    type: list
    elements: str
    required: true
  group:
    description: Group that may use the application's socket.
    type: str
    required: true
  leftovers:
    description: Paths of what the application no longer uses.
    type: list
    elements: str
    default: []
  release:
    description: Directories of a release, its own and that of its virtual environment.
    type: list
    elements: path
    default: []
  variables:
    description: >-
      File with the digests of the variables that the whole site was deployed with. Read it only with C(no_log), as who
      has the digests and their salt can guess secrets.
    type: path
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Collect the application's accounts, units and files
  campus.flask_sso.application_state:
    name: guestbook
    user: guestbook
    owner: guestbook-deploy
    path: /srv/guestbook
    units: [guestbook, guestbook-gunicorn]
    group: www-data
  register: application
"""

RETURN = r"""
conflicts:
  description: One or two sentences for each conflict, which say what to write instead.
  returned: success
  type: list
  elements: str
missing_accounts:
  description: >-
    Those of O(user) and O(owner) that the role has to create, or to give its home, shell or remark. Accounts of other
    origin are used as they are.
  returned: success
  type: list
  elements: str
made_accounts:
  description: Those of O(user) and O(owner) with the role's remark and O(path) as their home, as it has created them.
  returned: success
  type: list
  elements: str
missing_groups:
  description: O(group), where there is no such group.
  returned: success
  type: list
  elements: str
leftovers:
  description: Those of O(leftovers) that exist.
  returned: success
  type: list
  elements: str
release_complete:
  description:
    - Whether the first directory of O(release) has the mark of a complete release, and O(user) can read all that is in
      them. An account that the role still has to create can.
  returned: success
  type: bool
variables:
  description: >-
    The content of the file O(variables), digests by the names of the variables, and their salt; nothing where there is
    none, or where it is damaged.
  returned: success
  type: dict
"""

import glob
import grp
import json
import os
import pwd
import re
import stat

from ansible.module_utils.basic import AnsibleModule

UNIT_DIRECTORIES = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
]
UNIT_DIRECTORIES += ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
ETC = "/etc"
STATE = "/var/lib"
MARK = "campus.flask_sso"  # in every unit that the role writes, and as a remark at the accounts that it creates
SETTINGS = {
    "credentials",
    "environment",
    "gunicorn.py",
    "mod_wsgi-venv",
    "mod_wsgi.py",
    "releases",
    "saml",
    "tls",
    "uwsgi.ini",
}
SHELL = "/usr/sbin/nologin"
COMMANDS = "/usr/local/sbin"
UNREADABLE = ["-not", "-type", "l", "(", "-not", "-readable", "-o", "-type", "d", "-not", "-executable", ")"]
ANOTHER_NAME = "Choose another flask_app_name"


def find(look_up, name):
    """Return what the host, or its directory service, knows of an account or a group, or nothing.

    :param look_up: A function such as :func:`pwd.getpwnam`.
    :param name: The account or group, by name or number.
    """
    try:
        return look_up(name)
    except KeyError:
        return None


def contents(path):
    """Return the names of what is at a path, without what file systems put there themselves.

    :param str path: A directory; it may be missing, or something else.
    """
    if not os.path.isdir(path):
        return {os.path.basename(path)} if os.path.lexists(path) else set()
    return set(os.listdir(path)) - {"lost+found"}


def is_owned(path, account):
    """Return whether something belongs to an account.

    :param str path: What exists.
    :param str account: The account; it may be missing.
    """
    owner = find(pwd.getpwuid, os.lstat(path).st_uid)
    return owner is not None and owner.pw_name == account


def is_closed(path):
    """Return whether a directory keeps other accounts out.

    :param str path: The directory; it may be missing.
    """
    return os.path.isdir(path) and not os.stat(path).st_mode & stat.S_IXOTH


def shown(names):
    """List a few names, as not created by this role.

    :param set names: The names.
    """
    return ", ".join(sorted(names)[:3]) + (" and more" if len(names) > 3 else "") + ", which this role has not created"


class Application:
    """The names that an application uses.

    :param str name: Name of the application.
    :param str user: Account that runs it.
    :param str owner: Account that owns the code.
    :param str path: Directory of the releases.
    :param list units: Names of the units, without their endings.
    :param run_command: Function that runs a command, such as that of AnsibleModule.
    """

    def __init__(self, name, user, owner, path, units, run_command):
        self.name, self.user, self.owner, self.path, self.units = name, user, owner, path, units
        self.run_command = run_command

    def _has_releases(self):
        """Return whether the directory of releases has any."""
        return any(re.fullmatch("[0-9a-f]{12}", name) for name in contents(os.path.join(self.path, "releases")))

    def is_made_here(self, account):
        """Return whether the role creates an account, or has created it.

        :param str account: The account.
        """
        entry = find(pwd.getpwnam, account)
        if entry is None or entry.pw_gecos == MARK:
            return True
        # The role has not always written the remark.
        alike = entry.pw_dir == self.path and os.path.basename(entry.pw_shell) == "nologin"
        return alike and (self._has_releases() or find(pwd.getpwnam, self.owner) is not None)

    def is_missing(self, account):
        """Return whether the role has to create or correct an account.

        :param str account: The account.
        """
        entry = find(pwd.getpwnam, account)
        made = entry and (entry.pw_gecos, entry.pw_dir, entry.pw_shell) == (MARK, self.path, SHELL)
        return not made and self.is_made_here(account)

    def has_made(self, account):
        """Return whether the role has created an account, for this application.

        :param account: The account; it may be missing.
        """
        entry = find(pwd.getpwnam, account)
        return entry is not None and (entry.pw_gecos, entry.pw_dir) == (MARK, self.path)

    def _account_conflict(self, variable, account, chosen):
        """Yield why an account cannot be created or used; `chosen` is whether it has not the default name."""
        entry, group = find(pwd.getpwnam, account), find(grp.getgrnam, account)
        if entry is None:
            return (
                group and f'{variable} is "{account}", and there is a group of that name. {ANOTHER_NAME}, or remove it.'
            )
        if entry.pw_uid == 0:
            return f'{variable} is "{account}", which is root (UID 0). Choose another account.'
        if self.is_made_here(account):
            return None
        if not chosen:
            return (
                f'{variable} is "{account}", an account that this role has not created (its home is {entry.pw_dir}, its'
                f" shell {entry.pw_shell}). {ANOTHER_NAME}; or write an account of yours into {variable}, which stays"
                " as it is but must have another name than this."
            )
        if group is None or group.gr_gid != entry.pw_gid:
            return f'{variable} is "{account}", whose own group has another name. Name an account with such a group.'
        return None

    def _enters(self, account, path):
        """Return whether an account that exists can enter a directory, by its groups or by an access list."""
        command = ["runuser", "--user", account, "--", "test", "-x", path]
        return find(pwd.getpwnam, account) is not None and self.run_command(command)[0] == 0

    def _path_conflicts(self):
        """Yield the directories that this role has not created, or that cannot be reached."""
        if contents(self.path) and not is_owned(self.path, self.owner) and not self._has_releases():
            yield (
                f'flask_app_path is "{self.path}", with {shown(contents(self.path))}. Name another directory, or choose'
                " another flask_app_name."
            )
        settings, state = os.path.join(ETC, self.name), os.path.join(STATE, self.name)
        if contents(settings) and not contents(settings) & SETTINGS:
            yield f"There is {settings} with {shown(contents(settings))}. {ANOTHER_NAME}."
        if contents(state) and not is_owned(state, self.user):
            yield f"There is {state} with {shown(contents(state))}. {ANOTHER_NAME}."
        parent = os.path.dirname(self.path)
        while parent != "/":
            if is_closed(parent) and not (self._enters(self.user, parent) and self._enters(self.owner, parent)):
                yield (
                    f'flask_app_path is "{self.path}", and {parent} is closed to other accounts. Run "chmod o+x'
                    f' {parent}" on the host, or name another directory.'
                )
            parent = os.path.dirname(parent)

    def _unit_conflicts(self):
        """Yield the units that this role has not written."""
        for unit in (f"{stem}.{kind}" for stem in self.units for kind in ("service", "socket")):
            found = [os.path.join(directory, unit) for directory in UNIT_DIRECTORIES]
            unmanaged = [path for path in found if os.path.lexists(path) and not is_marked(path)]
            if unmanaged:
                yield f"There is a unit {unit} that this role has not written ({unmanaged[0]}). {ANOTHER_NAME}."

    def _command_conflicts(self):
        """Yield the workers, timers and commands that this role has not written, and would remove or replace."""
        patterns = [
            os.path.join(UNIT_DIRECTORIES[0], where, f"{self.name}-{kind}-*")
            for where in ("", "*.wants")
            for kind in ("worker", "timer")
        ]
        found = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
        for path in [*found, os.path.join(COMMANDS, f"{self.name}-run")]:
            # What a link of this role leads to may be gone.
            if os.path.exists(path) and not is_marked(os.path.realpath(path)):
                yield f"There is {path}, which this role has not written. {ANOTHER_NAME}."

    def has_release(self, directories):
        """Return whether a release is complete, and the account can read it.

        :param list directories: The release's own and that of its virtual environment, or none.
        """
        if not directories or not all(os.path.lexists(os.path.join(path, "complete")) for path in directories):
            return False
        if find(pwd.getpwnam, self.user) is None:
            return True
        command = ["runuser", "--user", self.user, "--", "find", *directories, *UNREADABLE]
        code, unreadable, _err = self.run_command(command, cwd="/")  # it may have no access to the working directory
        return code == 0 and not unreadable

    def conflicts(self):
        """Return what has the application's names already: a list of sentences."""
        if self.user == self.owner:
            sentence = "the application could change its own code. Name two accounts."
            return [f'flask_app_user and flask_app_owner are both "{self.user}": {sentence}']
        found = [
            self._account_conflict("flask_app_user", self.user, self.user != self.name),
            self._account_conflict("flask_app_owner", self.owner, self.owner != f"{self.name}-deploy"),
            *self._path_conflicts(),
            *self._unit_conflicts(),
            *self._command_conflicts(),
        ]
        return [conflict for conflict in found if conflict]


def recorded(path):
    """Return what a file records.

    :param str path: A file with a mapping in JSON, or none; it may be missing.
    """
    if not path or not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except ValueError:
        return {}


def is_marked(path):
    """Return whether a unit is a file that names this collection.

    :param str path: The unit.
    """
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, encoding="utf-8", errors="replace") as stream:
        return MARK in stream.read()


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "owner": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "units": {"type": "list", "elements": "str", "required": True},
            "group": {"type": "str", "required": True},
            "leftovers": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "list", "elements": "path", "default": []},
            "variables": {"type": "path"},
        },
        supports_check_mode=True,
    )
    group, leftovers, release, variables = map(module.params.pop, ("group", "leftovers", "release", "variables"))
    application = Application(**module.params, run_command=module.run_command)
    module.exit_json(
        changed=False,
        conflicts=application.conflicts(),
        missing_accounts=list(filter(application.is_missing, (application.owner, application.user))),
        made_accounts=list(filter(application.has_made, (application.owner, application.user))),
        missing_groups=[] if find(grp.getgrnam, group) else [group],
        leftovers=list(filter(os.path.lexists, leftovers)),
        release_complete=application.has_release(release),
        variables=recorded(variables),
    )


if __name__ == "__main__":
    main()
