# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a value of an INI file, as pip and uWSGI read it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ini_value
short_description: Write a value of an INI file, as pip and uWSGI read it
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Neither of them has a quotation. Returns the value as it is, or fails if it would be read in another way.
options:
  _input:
    description: The value.
    type: raw
    required: true
  uwsgi:
    description: Whether uWSGI reads it, which replaces C(%h), C(%(name)), C($(NAME)), C(@(file)) and the like.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show a setting
  ansible.builtin.debug:
    msg: index-url = {{ address | campus.flask_sso.ini_value }}
"""

RETURN = r"""
_value:
  description: The value.
  type: str
"""

import re
from typing import Callable

from ansible.errors import AnsibleFilterError

MEANINGFUL = re.compile(r"^\s|\s$|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
REPLACED = re.compile(r"%|[$@]\(")


def ini_value(value: object, uwsgi: bool = False) -> str:
    """Write a value of an INI file.

    :param value: The value.
    :param uwsgi: Whether uWSGI reads it.
    :returns: The value.
    :raises AnsibleFilterError: if it would be read in another way.
    """
    text = str(value)
    if MEANINGFUL.search(text) or (uwsgi and REPLACED.search(text)):
        reason = 'spaces at its ends, control characters, "%", "$(" and "@("' if uwsgi else "spaces at its ends"
        raise AnsibleFilterError(f"{text!r} cannot be a setting. Write it without {reason}.")
    return text


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"ini_value": ini_value}
