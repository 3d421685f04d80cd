# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a value as text of an XML document."""

from __future__ import annotations

DOCUMENTATION = r"""
name: xml_text
short_description: Write a value as text of an XML document
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns the value for an attribute or an element, where an XML parser reads it as it is, line breaks included.
  - Fails for characters that XML has no form for.
options:
  _input:
    description: The value.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show an element
  ansible.builtin.debug:
    msg: <Errors supportContact="{{ contact | campus.flask_sso.xml_text }}"/>
"""

RETURN = r"""
_value:
  description: The text, without quotation marks.
  type: str
"""

import re
from html import escape
from typing import Callable

from ansible.errors import AnsibleFilterError

# Not the ranges of what is possible: they take ten times as long to compile.
IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# A parser normalises what ends a line, and white space in an attribute.
REFERENCES = str.maketrans({'"': "&#34;", "'": "&#39;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


def xml_text(value: object) -> str:
    """Write a value as text of an XML document.

    :param value: The value.
    :returns: The text, for an attribute or an element.
    :raises AnsibleFilterError: if XML has no form for it.
    """
    text = str(value)
    if IMPOSSIBLE.search(text):
        raise AnsibleFilterError(f"XML cannot have {text!r}. Write it without control characters.")
    return escape(text, quote=False).translate(REFERENCES)


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"xml_text": xml_text}
