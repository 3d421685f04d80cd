# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a mapping into the environment variables of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
name: environment_strings
short_description: Turn a mapping into the environment variables of an application
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - An environment holds strings only. A string stays as it is, a date or time becomes ISO 8601, and anything else JSON.
options:
  _input:
    description: Names with their values.
    type: dict
    required: true
  directory:
    description: Where relative directories in E(PYTHONPATH) begin.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Show the environment of an application
  ansible.builtin.debug:
    msg: "{{ {'PYTHONPATH': 'src', 'DEBUG': false} | campus.flask_sso.environment_strings('/srv/app') }}"
"""

RETURN = r"""
_value:
  description: Names with their strings.
  type: dict
"""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Callable


def environment_strings(environment: Mapping, directory: str) -> dict[str, str]:
    """Turn a mapping into the environment variables of an application.

    :param environment: Names with their values.
    :param directory: Where relative directories in PYTHONPATH begin.
    :returns: Names with their strings.
    :raises TypeError: for a value that is none of YAML's usual types.
    :raises ValueError: for a number that is not finite.
    """
    strings = {name: environment_string(value) for name, value in environment.items()}
    if "PYTHONPATH" in strings:
        parts = strings["PYTHONPATH"].split(":")
        strings["PYTHONPATH"] = ":".join(os.path.normpath(os.path.join(directory, part)) for part in parts)
    return strings


def environment_string(value: object) -> str:
    """Turn a value into the string that an environment holds.

    :param value: The value, as YAML has it.
    :raises TypeError: for a value that is none of YAML's usual types.
    :raises ValueError: for a number that is not finite.
    """
    value = plain(value)
    return value if isinstance(value, str) else json.dumps(value, allow_nan=False)


def plain(value: object) -> object:
    """Return a value in which containers are Python's own, and dates and times are strings.

    :param value: The value, as YAML has it.
    """
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(one) for one in value]
    return value


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        """Return the filters by name."""
        return {"environment_strings": environment_strings}
