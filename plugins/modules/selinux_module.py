#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Install or remove a module of SELinux's policy that is written in CIL."""

from __future__ import annotations

DOCUMENTATION = r"""
module: selinux_module
short_description: Install or remove a module of SELinux's policy that is written in CIL
version_added: 0.1.0
description:
  - Gives the module to C(semodule), which compiles the whole policy and refuses what does not fit, and relabels the
    paths that the module is about. SELinux stays enforcing.
  - Keeps what it has installed in O(directory), so an unchanged module is not compiled again.
  - Switches on booleans of the policy, and never off, as something else may need them.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  name:
    description: Name of the module.
    type: str
    required: true
  content:
    description: The module, in the Common Intermediate Language. Needed unless O(state=absent).
    type: str
    default: ""
  state:
    description: Whether the policy has the module.
    type: str
    choices: [present, absent]
    default: present
  paths:
    description: Files and directories that get their labels when the module changes, as far as they are there.
    type: list
    elements: path
    default: []
  booleans:
    description: Booleans of the policy that have to be on.
    type: list
    elements: str
    default: []
  directory:
    description: Where the installed modules are kept.
    type: path
    default: /var/lib/flask_sso/selinux
attributes:
  check_mode:
    description: Reads the policy, and reports what it would change.
    support: full
  diff_mode:
    description: Shows the module that was installed before, and the new one.
    support: full
"""

EXAMPLES = r"""
- name: Let httpd read the application
  campus.flask_sso.selinux_module:
    name: flask_sso_app
    content: (filecon "/srv/app(/.*)?" any (system_u object_r usr_t ((s0) (s0))))
    paths: [/srv/app]
"""

RETURN = r"""
booleans:
  description: Booleans that were switched on.
  returned: success
  type: list
  elements: str
"""

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.snapshot import replace_file


def read(path: str) -> str:
    """Return the content of a file, or nothing where there is none.

    :param path: Absolute path.
    """
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8") as stream:
        return stream.read()


class Policy:
    """The policy of a host.

    :param module: The module, which runs the commands.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def _run(self, *argv: str, hint: str = "") -> str:
        """Run a command and return its output; end the module if it fails."""
        if not self.module.get_bin_path(argv[0]):
            self.module.fail_json(
                msg=f"SELinux is on, and there is no command {argv[0]}. Install the package policycoreutils."
            )
        code, out, err = self.module.run_command([*argv], environ_update={"LC_ALL": "C"})
        if code:
            said = (err or out).strip()
            self.module.fail_json(msg=" ".join(filter(None, [f"`{' '.join(argv)}` reports: {said}", hint])))
        return str(out)

    def has(self, name: str) -> bool:
        """Whether a module is installed."""
        return name in [line.split()[0] for line in self._run("semodule", "--list").splitlines() if line.strip()]

    def install(self, name: str, content: str) -> None:
        """Install a module, or leave the policy as it is and end."""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, f"{name}.cil")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(content)
            self._run("semodule", "--install", path, hint="The policy is as it was, and SELinux still enforces it.")

    def remove(self, name: str) -> None:
        """Remove a module."""
        self._run("semodule", "--remove", name)

    def label(self, paths: list[str]) -> None:
        """Give paths, and what is below, their labels."""
        there = [path for path in paths if os.path.lexists(path)]
        if there:
            self._run("restorecon", "-R", *there)

    def off(self, booleans: list[str]) -> list[str]:
        """Return which of some booleans are off."""
        return [name for name in booleans if self._run("getsebool", name).split()[-1:] != ["on"]]

    def switch_on(self, booleans: list[str]) -> None:
        """Switch booleans on, also after the next start."""
        for name in booleans:
            self._run("setsebool", "-P", name, "on")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "content": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "paths": {"type": "list", "elements": "path", "default": []},
            "booleans": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path", "default": "/var/lib/flask_sso/selinux"},
        },
        required_if=[("state", "present", ("content",))],
        supports_check_mode=True,
    )
    name, paths, directory = (module.params[option] for option in ("name", "paths", "directory"))
    content = module.params["content"] if module.params["state"] == "present" else ""
    policy, record = Policy(module), os.path.join(directory, f"{name}.cil")
    installed, before = policy.has(name), read(record)
    changed = installed != bool(content) or before != content
    off = policy.off(module.params["booleans"]) if content else []
    if not module.check_mode:
        if changed and content:
            policy.install(name, content)
            os.makedirs(directory, mode=0o700, exist_ok=True)
            replace_file(record, content.encode(), os.geteuid(), os.getegid(), 0o600)
        elif changed:
            if installed:
                policy.remove(name)
            if os.path.exists(record):
                os.unlink(record)
        if changed:
            policy.label(paths)
        policy.switch_on(off)
    diff = {"before_header": name, "after_header": name, "before": before, "after": content}
    module.exit_json(changed=changed or bool(off), booleans=off, diff=diff if changed else {})


if __name__ == "__main__":
    main()
