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
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """The plugin that Ansible loads."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_options: Any) -> list[str]:
        """Return the paths.

        :param terms: Paths below the directory.
        :param variables: The host's variables.
        :returns: The paths with their directory.
        :raises AnsibleLookupError: if there is no inventory file, next to which the directory would be.
        """
        variables = variables or {}
        directory = self._templar.template(variables.get("flask_sso_artifacts"))
        if not directory and not variables.get("inventory_dir"):
            raise AnsibleLookupError("There is no inventory file. Write a directory into flask_sso_artifacts.")
        directory = directory or os.path.join(variables["inventory_dir"], "artifacts")
        # Tasks on the controller run in the playbook's directory, so a path of theirs has to be absolute.
        return [os.path.abspath(os.path.expanduser(os.path.join(directory, term))) for term in terms]
