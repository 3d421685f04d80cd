# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Distribute attributes to as many maps of Shibboleth as they need."""

from __future__ import annotations

DOCUMENTATION = r"""
name: attribute_maps
short_description: Distribute attributes to as many maps of Shibboleth as they need
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - A map of Shibboleth can have one id for each name. So further ids of a name are in further maps.
options:
  _input:
    description: The attributes, each with a C(name).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how many maps the attributes need
  ansible.builtin.debug:
    msg: "{{ saml_sp_attributes | campus.flask_sso.attribute_maps | length }}"
"""

RETURN = r"""
_value:
  description: The attributes of each map in order of their names, at least one map.
  type: list
  elements: list
"""

from typing import Any, Callable


def attribute_maps(attributes: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Distribute attributes to maps in which each has a name of its own.

    :param attributes: The attributes, each with a ``name``.
    :returns: The attributes of each map, in order of their names; at least one map.
    """
    maps: list[list[dict[str, Any]]] = [[]]
    seen: dict[str, int] = {}
    for attribute in sorted(attributes, key=lambda each: each["name"]):
        place = seen[attribute["name"]] = seen.get(attribute["name"], -1) + 1
        if place == len(maps):
            maps.append([])
        maps[place].append(attribute)
    return maps


class FilterModule:
    """The filter that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[list[dict[str, Any]]]]]:
        """Return the filter by its name."""
        return {"attribute_maps": attribute_maps}
