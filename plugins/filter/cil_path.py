# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a path as the pattern of a file context in SELinux's CIL."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cil_path
short_description: Write a path as the pattern of a file context in SELinux's CIL
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns a regular expression that matches this path alone, in the quotation marks of the Common Intermediate
    Language.
  - Fails for characters that such a path cannot have.
options:
  _input:
    description: The absolute path.
    type: str
    required: true
  below:
    description: Whether it also matches what is below the path.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show a file context
  ansible.builtin.debug:
    msg: (filecon {{ '/srv/app' | campus.flask_sso.cil_path(below=true) }} any (system_u object_r usr_t ((s0) (s0))))
"""

RETURN = r"""
_value:
  description: The pattern, with quotation marks.
  type: str
"""

import re
from typing import Callable

from ansible.errors import AnsibleFilterError

POSSIBLE = re.compile(r"(/[A-Za-z0-9._+@-]+)+")


def cil_path(value: str, below: bool = False) -> str:
    """Write a path as the pattern of a file context.

    :param value: The absolute path.
    :param below: Whether the pattern also matches what is below.
    :returns: The pattern, with quotation marks.
    :raises AnsibleFilterError: if the path is not absolute, or has other characters.
    """
    if not POSSIBLE.fullmatch(value):
        raise AnsibleFilterError(f"{value!r} cannot be in SELinux's policy. Write an absolute path without spaces.")
    pattern = re.sub(r"([.+])", r"\\\1", value)
    return f'"{pattern}(/.*)?"' if below else f'"{pattern}"'


class FilterModule:
    """The filter that Ansible loads."""

    def filters(self) -> dict[str, Callable]:
        """Return the filter by its name."""
        return {"cil_path": cil_path}
