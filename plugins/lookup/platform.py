# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return what a role needs to know about the host's distribution."""

from __future__ import annotations

DOCUMENTATION = r"""
name: platform
short_description: Read what a role knows about the host's distribution
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - A role of this collection keeps what differs between distributions in files of its directory C(vars/platforms),
    which hold values and no templates.
  - They are read from general to specific, the family (C(redhat.yml)), its major version (C(redhat-9.yml)), the
    distribution (C(almalinux.yml)) and its major version (C(almalinux-9.yml)), as far as they are there. A later value
    replaces an earlier one.
  - A role has a file for each family that the collection supports. On another host, the lookup fails and names those.
  - It needs the facts C(os_family), C(distribution) and C(distribution_major_version) of the host.
options:
  _terms:
    description: Names of roles of this collection.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Print the name of httpd's service
  ansible.builtin.debug:
    msg: "{{ lookup('campus.flask_sso.platform', 'httpd_platform').service }}"
"""

RETURN = r"""
_raw:
  description: For each role its values by their names.
  type: list
  elements: dict
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.lookup import LookupBase

ROLES = Path(__file__).parents[2] / "roles"
SUPPORTED = "the Debian family (Debian 12 or 13, Ubuntu 24.04) or of the RHEL family (version 9 or 10)"


def stems(facts: Mapping[str, Any]) -> list[str]:
    """Name the files that can hold values for a host.

    :param facts: The host's facts.
    :returns: The files' names without .yml from general to specific, the family's first.
    :raises KeyError: if a fact is missing.
    """
    names = [facts["os_family"].lower(), facts["distribution"].lower()]
    return [stem for name in dict.fromkeys(names) for stem in (name, f"{name}-{facts['distribution_major_version']}")]


@cache
def values(directory: Path, *files: str) -> dict[str, Any]:
    """Read one role's values, once, as a role asks for them often.

    :param directory: Where the role has its files.
    :param files: Their names without .yml, from general to specific, the family's first; the others may be missing.
    :returns: The values. They must not be changed.
    :raises FileNotFoundError: if the family has no file.
    """
    family, *others = [directory / f"{stem}.yml" for stem in files]
    found: dict[str, Any] = {}
    for path in [family, *filter(Path.is_file, others)]:
        found |= yaml_load(path.read_text("utf-8"))
    return found


class LookupModule(LookupBase):
    """The plugin that Ansible loads."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_options: Any) -> list[dict[str, Any]]:
        """Read the roles' values.

        :param terms: Names of the roles.
        :param variables: The host's variables.
        :returns: The values of each role.
        :raises AnsibleLookupError: if the host's facts are not known, or its family is not supported.
        """
        variables = variables or {}
        host, facts = variables.get("inventory_hostname"), variables.get("ansible_facts", {})
        try:
            files = stems(facts)
            return [values(ROLES / role / "vars/platforms", *files) for role in terms]
        except KeyError as missing:
            raise AnsibleLookupError(f"The fact {missing} of {host} is not known. Let the play gather facts.") from None
        except FileNotFoundError:
            raise AnsibleLookupError(
                f"{host} runs {facts['distribution']} {facts.get('distribution_version', '')}, of the "
                f"{facts['os_family']} family. Use a host of {SUPPORTED}."
            ) from None
