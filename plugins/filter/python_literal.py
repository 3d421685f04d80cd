# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a value as a literal of Python."""

from __future__ import annotations

DOCUMENTATION = r"""
name: python_literal
short_description: Write a value as a literal of Python
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description: Returns an expression of ASCII characters on one line, which Python evaluates to the value.
options:
  _input:
    description: The value.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show an assignment
  ansible.builtin.debug:
    msg: path = {{ path | campus.flask_sso.python_literal }}
"""

RETURN = r"""
_value:
  description: The literal.
  type: str
"""

from typing import Callable


def python_literal(value: str) -> str:
    """Write a value as a literal of Python.

    :param value: The value.
    :returns: The literal.
    """
    return ascii(str(value))  # str, as Ansible's own types of strings may have another form


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"python_literal": python_literal}
