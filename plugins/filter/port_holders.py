# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the programs of others that listen on ports."""

from __future__ import annotations

DOCUMENTATION = r"""
name: port_holders
short_description: Find the programs of others that listen on ports
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Tells before a service starts which program prevents it from listening.
  - A listener without a name is left out. In a container, even root may not see which process it is, and it may be the
    service itself.
options:
  _input:
    description: Listeners, as M(campus.flask_sso.host_state) returns them.
    type: list
    elements: dict
    required: true
  ports:
    description: The TCP ports.
    type: list
    elements: int
    required: true
  own:
    description: Names of programs that may listen on them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Fail if another program holds a port of httpd
  ansible.builtin.assert:
    that: host.listeners | campus.flask_sso.port_holders([80, 443], ['apache2']) | length == 0
"""

RETURN = r"""
_value:
  description: Those of the listeners that others have on one of the ports.
  type: list
  elements: dict
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Callable


def port_holders(
    listeners: Iterable[Mapping[str, Any]], ports: Collection[int], own: Collection[str] = ()
) -> list[Mapping[str, Any]]:
    """Find the programs of others that listen on ports.

    :param listeners: Each with the port and the name of the program, which is empty where the kernel does not tell.
    :param ports: The TCP ports.
    :param own: Names of programs that may listen on them.
    :returns: Those of the listeners that others have on one of the ports.
    """
    return [one for one in listeners if one["port"] in ports and one["name"] and one["name"] not in own]


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[Mapping[str, Any]]]]:
        """Return the filters by name."""
        return {"port_holders": port_holders}
