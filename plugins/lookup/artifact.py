# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return the path of an artifact, a file that a run leaves on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: artifact
short_description: Path of an artifact, a file that a run leaves on the controller
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - A run leaves files on the controller, such as the private CA and the metadata for a host's registration.
  - They are in the directory V(artifacts) beside the inventory, or in the one that the variable C(flask_sso_artifacts)
    names.
  - An inventory that is a whole directory has to ignore V(artifacts). Else its files, passphrases among them, would
    become hosts of the next run, and the lookup fails.
options:
  _terms:
    description: Paths below that directory.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Report where the CA is
  ansible.builtin.debug:
    msg: "{{ lookup('campus.flask_sso.artifact', 'private_ca/authorities.pem') }}"
"""

RETURN = r"""
_raw:
  description: The paths, each with its directory.
  type: list
  elements: path
"""

import os
import re
from typing import Any

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """The plugin that Ansible loads."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_options: Any) -> list[str]:
        """Return the paths.

        :param terms: Paths below the directory.
        :param variables: The host's variables.
        :returns: The paths with their directory.
        :raises AnsibleLookupError: if there is no inventory file, next to which the directory would be, or if that
            would be part of the inventory.
        """
        variables = variables or {}
        directory = self._templar.template(variables.get("flask_sso_artifacts"))
        if not directory and not variables.get("inventory_dir"):
            raise AnsibleLookupError("There is no inventory file. Write a directory into flask_sso_artifacts.")
        if not directory and self._is_inventory(variables):
            raise AnsibleLookupError(
                f"Ansible reads all of {variables['inventory_dir']} as its inventory, also the artifacts that runs"
                ' leave there. Write "ignore_patterns = ^artifacts$" into the section [inventory] of ansible.cfg, name'
                " a file after -i, or write another directory into flask_sso_artifacts."
            )
        directory = directory or os.path.join(variables["inventory_dir"], "artifacts")
        # Tasks on the controller run in the playbook's directory, so a path of theirs has to be absolute.
        return [os.path.abspath(os.path.expanduser(os.path.join(directory, term))) for term in terms]

    def _is_inventory(self, variables: dict[str, Any]) -> bool:
        """Return whether Ansible would read the artifacts beside the inventory as a part of it.

        :param variables: The host's variables.
        """
        sources = [os.path.abspath(source) for source in variables.get("ansible_inventory_sources") or []]
        ignored = any(re.search(pattern, "artifacts") for pattern in constants.INVENTORY_IGNORE_PATTERNS)
        directory = os.path.join(os.path.abspath(variables["inventory_dir"]), "artifacts")
        return any(directory.startswith(f"{source.rstrip(os.sep)}{os.sep}") for source in sources) and not ignored
