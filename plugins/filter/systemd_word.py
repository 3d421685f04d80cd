# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a value as one word of a systemd unit."""

from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_word
short_description: Write a value as one word of a systemd unit
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns the value in quotation marks, for settings that are lists of words, such as C(Environment), C(ExecStart) and
    C(ReadWritePaths).
  - Fails for what systemd does not accept as text.
options:
  _input:
    description: The value.
    type: raw
    required: true
  command:
    description: Whether it is a word of a command line, in which systemd also replaces C($).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show a setting
  ansible.builtin.debug:
    msg: ReadWritePaths={{ path | campus.flask_sso.systemd_word }}
"""

RETURN = r"""
_value:
  description: The word, with quotation marks.
  type: str
"""

import re
from typing import Callable

from ansible.errors import AnsibleFilterError

IMPOSSIBLE = re.compile("[\x00\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
ESCAPED = re.compile(r'[\x01-\x1f\x7f"\\]')


def systemd_word(value: object, command: bool = False) -> str:
    """Write a value as one word of a systemd unit.

    :param value: The value.
    :param command: Whether it is a word of a command line.
    :returns: The word, with quotation marks.
    :raises AnsibleFilterError: if systemd does not accept it.
    """
    text = str(value)
    if IMPOSSIBLE.search(text):
        raise AnsibleFilterError(f"A unit of systemd cannot have {text!r}. Write it encoded, for example as Base64.")
    text = ESCAPED.sub(lambda found: f"\\x{ord(found[0]):02x}", text).replace("%", "%%")
    return f'"{text.replace("$", "$$") if command else text}"'


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"systemd_word": systemd_word}
