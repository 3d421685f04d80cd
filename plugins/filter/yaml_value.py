# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a value within a template of YAML."""

from __future__ import annotations

DOCUMENTATION = r"""
name: yaml_value
short_description: Write a value within a template of YAML
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns the value on one line, as JSON in ASCII characters that YAML reads, too. In JSON proper, an emoji is a pair
    of escapes that YAML refuses, and some characters are line breaks to YAML alone.
options:
  _input:
    description: A string, or a list or mapping of strings and numbers.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show an element
  ansible.builtin.debug:
    msg: "- argv: {{ command | campus.flask_sso.yaml_value }}"
"""

RETURN = r"""
_value:
  description: The value.
  type: str
"""

import json
import re
from typing import Callable

from ansible_collections.campus.flask_sso.plugins.filter.environment_strings import plain

ESCAPED = re.compile(r"[^\x20-\x7e]")


def yaml_value(value: object) -> str:
    """Write a value for YAML.

    :param value: A string, or a list or mapping of strings and numbers.
    :returns: The value, on one line.
    """
    text = json.dumps(plain(value), ensure_ascii=False)
    return ESCAPED.sub(lambda found: f"\\U{ord(found[0]):08x}", text)


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"yaml_value": yaml_value}
