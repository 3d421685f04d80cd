# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a value as one argument of a directive of httpd."""

from __future__ import annotations

DOCUMENTATION = r"""
name: httpd_argument
short_description: Write a value as one argument of a directive of httpd
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns the value in quotation marks, with which httpd reads it as it is.
  - Fails for what httpd has no quotation for, so that it has to be refused before. That is a control character, such as
    a line break, and C(${), with which httpd inserts a variable of its own.
options:
  _input:
    description: The value.
    type: raw
    required: true
  formatted:
    description: Whether the directive takes the argument for a format, in which C(%) begins a variable.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show a directive
  ansible.builtin.debug:
    msg: Alias {{ path | campus.flask_sso.httpd_argument }} {{ directory | campus.flask_sso.httpd_argument }}
"""

RETURN = r"""
_value:
  description: The argument, with quotation marks.
  type: str
"""

import re
from typing import Callable

from ansible.errors import AnsibleFilterError

UNQUOTABLE = re.compile(r"[\x00-\x1f\x7f]|\$\{")


def httpd_argument(value: object, formatted: bool = False) -> str:
    """Write a value as one argument of a directive.

    :param value: The value.
    :param formatted: Whether the directive takes it for a format.
    :returns: The argument, with quotation marks.
    :raises AnsibleFilterError: if httpd has no quotation for it.
    """
    text = str(value)
    if UNQUOTABLE.search(text):
        raise AnsibleFilterError(
            f'httpd cannot have {text!r} in a value. Write it without control characters and "${{".'
        )
    if formatted:
        text = text.replace("%", "%%")
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"httpd_argument": httpd_argument}
