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
  - A role has a file for each family that the collection supports. On another host, or one whose release is older than
    those that it supports, the lookup fails and names these.
  - It needs the facts C(os_family), C(distribution), C(distribution_version) and C(distribution_major_version)
    of the host.
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

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.lookup import LookupBase

ROLES = Path(__file__).parents[2] / "roles"
SUPPORTED = "Debian 12 or 13, Ubuntu 24.04, or AlmaLinux, RHEL, Rocky Linux or another of their family, version 9 or 10"
#: The oldest release of each distribution, or of a family's members, that the roles can use. Later ones are tried.
OLDEST = {"Debian": (12,), "Ubuntu": (24, 4), "RedHat family": (9,)}
#: They are of that family and number their releases otherwise.
OTHERS = {"Alibaba", "Amazon", "Fedora", "openEuler"}


def stems(facts: Mapping[str, Any]) -> list[str]:
    """Name the files that can hold values for a host.

    :param facts: The host's facts.
    :returns: The files' names without .yml from general to specific, the family's first.
    :raises KeyError: if a fact is missing.
    """
    names = [facts["os_family"].lower(), facts["distribution"].lower()]
    return [stem for name in dict.fromkeys(names) for stem in (name, f"{name}-{facts['distribution_major_version']}")]


def supported(facts: Mapping[str, Any]) -> bool:
    """Tell whether the roles can work on a host.

    :param facts: The host's facts.
    :returns: Whether its distribution is a known one, and its release none that is too old.
    :raises KeyError: if a fact is missing.
    """
    oldest = OLDEST.get(facts["distribution"])
    if facts["os_family"] == "RedHat" and facts["distribution"] not in OTHERS:
        oldest = OLDEST["RedHat family"]
    release = tuple(map(int, re.findall(r"\d+", facts["distribution_version"])))
    return oldest is not None and release >= oldest


@cache
def values(directory: Path, *files: str) -> dict[str, Any]:
    """Read one role's values, once, as a role asks for them often.

    :param directory: Where the role has its files.
    :param files: Their names without .yml, from general to specific, the family's first; the others may be missing.
    :returns: The values. They must not be changed.
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
        :raises AnsibleLookupError: if the host's facts are not known, or its distribution or release is not supported.
        """
        variables = variables or {}
        host, facts = variables.get("inventory_hostname"), variables.get("ansible_facts", {})
        try:
            files = stems(facts)
            if supported(facts):
                return [values(ROLES / role / "vars/platforms", *files) for role in terms]
        except KeyError as missing:
            raise AnsibleLookupError(f"The fact {missing} of {host} is not known. Let the play gather facts.") from None
        raise AnsibleLookupError(
            f"{host} runs {facts['distribution']} {facts['distribution_version']}. Use a host with {SUPPORTED}."
        )
