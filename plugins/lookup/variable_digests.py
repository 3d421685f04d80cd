# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Describe the variables of roles by digests, to notice later which ones have changed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: variable_digests
author: campus.flask_sso contributors (!UNKNOWN)
short_description: Describe the variables of roles by digests
version_added: 0.1.0
description:
  - Returns a digest for each variable of some roles that the inventory or the command line sets. If two runs with one
    salt give different ones, they would deploy a host in different ways.
  - The roles of the collection have one, too, so that another version of them counts.
  - The directory of the inventory does not count, as another controller may have it elsewhere; nor do the roles'
    defaults and the variables of plays.
options:
  _terms:
    description:
      - Names of the roles, of which all variables count that their argument specifications have. Those that several
        roles share, C(flask_sso_*), count in any case.
    type: list
    elements: str
    required: true
  exclude:
    description: Names of variables that do not count.
    type: list
    elements: str
    default: []
  salt:
    description: >-
      Key of the digests. Secrets can be guessed only from both, the digests and the key. If it is empty, the plugin
      makes one.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Print which variables of apache_ssl are set, and their digests
  ansible.builtin.debug:
    msg: "{{ lookup('campus.flask_sso.variable_digests', 'apache_ssl') }}"
"""

RETURN = r"""
_raw:
  description: >-
    Digests by the names of the variables, that of the roles' files by the name of the collection, and the C(salt).
  type: list
  elements: dict
"""

import hmac
import json
import secrets
from collections.abc import Collection
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.lookup import LookupBase

ROLES = Path(__file__).parents[2] / "roles"
COLLECTION = "campus.flask_sso"
SHARED = "flask_sso_"  # how the names of variables begin that several roles share


@cache
def options(role: str) -> frozenset[str]:
    """Read the names of a role's variables, once.

    :param role: Name of a role of this collection.
    :returns: The names, of all its entry points.
    :raises FileNotFoundError: if there is no such role.
    """
    specs = yaml_load((ROLES / role / "meta/argument_specs.yml").read_text("utf-8"))["argument_specs"]
    return frozenset(name for spec in specs.values() for name in spec.get("options", {}))


@cache
def version(roles: Path) -> str:
    """Read all files of the roles, once. The number of a version would not change with those of a checkout.

    :param roles: Their directory.
    :returns: A digest of what a host may depend on.
    """
    files = sorted(path for path in roles.rglob("[!.]*") if path.is_file() and path.suffix not in (".md", ".pyc"))
    content = sha256()
    for path in files:
        content.update(f"{path.relative_to(roles)}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return content.hexdigest()[:12]


def digest(value: Any, directory: str, salt: str) -> str:
    """Describe a value.

    :param value: The value.
    :param directory: A path that does not count.
    :param salt: Key of the digest.
    :returns: The beginning of an HMAC.
    """
    text = json.dumps(value, sort_keys=True, default=str)
    text = text.replace(directory, "") if directory else text
    return hmac.new(salt.encode(), text.encode(), "sha256").hexdigest()[:12]


class LookupModule(LookupBase):
    """The plugin that Ansible loads."""

    def run(
        self,
        terms: list[str],
        variables: dict[str, Any] | None = None,
        exclude: Collection[str] = (),
        salt: str = "",
        **_options: Any,
    ) -> list[dict[str, str]]:
        """Describe the variables.

        :param terms: Names of the roles.
        :param variables: The host's variables.
        :param exclude: Names of variables that do not count.
        :param salt: Key of the digests; empty to make one.
        :returns: Digests by the names of the variables, that of the roles, and the salt.
        """
        variables = variables or {}
        given = variables["hostvars"].raw_get(variables["inventory_hostname"])
        known = frozenset().union(*map(options, terms))
        names = sorted(name for name in given if name in known or name.startswith(SHARED))
        directory = str(variables.get("inventory_dir") or "")
        salt = salt or secrets.token_hex(16)
        found = {name: digest(self._value(variables[name]), directory, salt) for name in names if name not in exclude}
        return [found | {COLLECTION: version(ROLES), "salt": salt}]

    def _value(self, template: Any) -> Any:
        """Evaluate a variable.

        :param template: What the inventory has.
        :returns: Its value; as it is written, where it has none here.
        """
        try:
            return self._templar.template(template)
        except AnsibleError:
            return template
