# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a value for a file that a systemd unit names in EnvironmentFile."""

from __future__ import annotations

DOCUMENTATION = r"""
name: environment_file_value
short_description: Write a value for a file that a systemd unit names in EnvironmentFile
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns the value in quotation marks. It may have several lines. A shell reads it likewise.
  - Which characters systemd does not accept there, P(campus.flask_sso.environment_faults#filter) finds.
options:
  _input:
    description: The value.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show a line
  ansible.builtin.debug:
    msg: NAME={{ value | campus.flask_sso.environment_file_value }}
"""

RETURN = r"""
_value:
  description: The value, with quotation marks.
  type: str
"""

import re
from typing import Callable

SPECIAL = re.compile(r'[\\"`$]')


def environment_file_value(value: str) -> str:
    """Write a value for a file of environment variables.

    :param value: The value.
    :returns: The value, with quotation marks.
    """
    return '"' + SPECIAL.sub(r"\\\g<0>", value) + '"'


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"environment_file_value": environment_file_value}
