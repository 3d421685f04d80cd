# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the networks that have every address but the given ones."""

from __future__ import annotations

DOCUMENTATION = r"""
name: other_networks
short_description: List the networks that have every address but the given ones
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - For a program that can only be told where something does not hold.
  - Every network has a prefix of one bit at least, as httpd accepts none without.
options:
  _input:
    description: IP addresses and networks.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show a directive
  ansible.builtin.debug:
    msg: RemoteIPProxyProtocolExceptions {{ balancers | campus.flask_sso.other_networks | join(' ') }}
"""

RETURN = r"""
_value:
  description: The networks of IPv4, then those of IPv6, each by its addresses.
  type: list
  elements: str
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

#: All addresses.
HALVES = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")


def without(network: Any, given: Any) -> list[IPv4Network | IPv6Network]:
    """Return the parts of a network that have no given address.

    :param network: The network, IPv4Network or IPv6Network.
    :param given: The network with the given addresses, of either version.
    """
    if network.version != given.version or not network.overlaps(given):
        return [network]
    return list(network.address_exclude(given)) if given.subnet_of(network) else []


def other_networks(given: Iterable[str]) -> list[str]:
    """List the networks that have every address but the given ones.

    :param given: IP addresses and networks.
    :returns: The networks.
    :raises AnsibleFilterError: if one of them is neither.
    """
    left = [ip_network(half) for half in HALVES]
    for text in given:
        try:
            excluded = ip_network(text, strict=False)
        except ValueError as error:
            raise AnsibleFilterError(f'"{text}" is no IP address or network. Write one.') from error
        left = [part for network in left for part in without(network, excluded)]
    return [str(network) for network in sorted(left, key=lambda network: (network.version, network.network_address))]


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"other_networks": other_networks}
