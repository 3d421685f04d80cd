# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the address of a site as its visitors type it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: https_address
short_description: Write the address of a site as its visitors type it
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description: Returns the address without a path. The default port is left out.
positional: port
options:
  _input:
    description: Host name of the site.
    type: str
    required: true
  port:
    description: Port of the site.
    type: int
    default: 443
"""

EXAMPLES = r"""
- name: Report the address of the site
  ansible.builtin.debug:
    msg: "{{ 'app.example.org' | campus.flask_sso.https_address(8443) }}/"
"""

RETURN = r"""
_value:
  description: The address, for example V(https://app.example.org:8443).
  type: str
"""

from typing import Callable


def https_address(name: str, port: int = 443) -> str:
    """Write the address of a site as its visitors type it.

    :param name: Host name.
    :param port: Port.
    :returns: The address without a path.
    """
    return f"https://{name}" if int(port) == 443 else f"https://{name}:{port}"


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"https_address": https_address}
