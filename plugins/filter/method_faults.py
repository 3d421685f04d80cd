# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find why the methods of access rules cannot be kept."""

from __future__ import annotations

DOCUMENTATION = r"""
name: method_faults
short_description: Find why the methods of access rules cannot be kept
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - The methods of a rule are those that need its attributes. They have to be methods that httpd and applications know,
    and a rule that has them needs attributes.
  - A login is asked for a second factor before a request that changes something, so a rule cannot require it for such
    requests alone.
options:
  _input:
    description: The rules, as C(flask_sso_protected) has them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse rules that cannot be kept
  ansible.builtin.assert:
    that: flask_sso_protected | campus.flask_sso.method_faults | length == 0
"""

RETURN = r"""
_value:
  description: Two sentences for each fault, that begin with what the variable has.
  type: list
  elements: str
"""

import json
from collections.abc import Iterator
from typing import Any, Callable

#: Those of HTTP and of WebDAV. HEAD counts as GET; CONNECT and TRACE do not reach an application.
METHODS = [
    *("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "MKCALENDAR", "ACL", "SEARCH"),
]


def method_faults(rules: list[dict[str, Any]]) -> list[str]:
    """Find why the methods of access rules cannot be kept.

    :param rules: The rules.
    :returns: Two sentences for each fault.
    """
    return [fault for rule in rules if rule.get("methods") for fault in faults_of(rule)]


def faults_of(rule: dict[str, Any]) -> Iterator[str]:
    """Find what is wrong with a rule that has methods.

    :param rule: The rule.
    :returns: Two sentences for each fault.
    """
    methods, path = rule["methods"], rule.get("path")
    if not isinstance(methods, list) or not all(method in METHODS for method in methods):
        yield (
            f"has the methods {json.dumps(methods, ensure_ascii=False)} for {path}. Write a list of these, in upper"
            f" case: {', '.join(METHODS)}; HEAD counts as GET."
        )
    if rule.get("authn_contexts"):
        yield (
            f"has methods and authn_contexts for {path}, but a login is asked for a second factor before the first"
            " request with one of these methods. Leave methods out, or let the application require the second factor."
        )
    elif not rule.get("attributes"):
        yield (
            f"has methods for {path}, but no attributes. Write the attributes that these methods need, or leave methods"
            " out: all methods need a login anyway."
        )


class FilterModule:
    """The filter that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filter by its name."""
        return {"method_faults": method_faults}
