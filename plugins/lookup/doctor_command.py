# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return the command flask-sso-doctor, for a task that writes other files of a host as well."""

from __future__ import annotations

DOCUMENTATION = r"""
name: doctor_command
short_description: The command flask-sso-doctor as one file
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns what M(campus.flask_sso.doctor_command) writes, in Base64, so that M(campus.flask_sso.staged_files) can
    write it with the files of a site.
seealso:
  - module: campus.flask_sso.doctor_command
"""

EXAMPLES = r"""
- name: Stage the command
  campus.flask_sso.staged_files:
    name: httpd
    site: example
    files:
      - path: /usr/local/sbin/flask-sso-doctor
        content_base64: "{{ lookup('campus.flask_sso.doctor_command') }}"
        mode: "0755"
"""

RETURN = r"""
_raw:
  description: The file in Base64.
  type: list
  elements: str
"""

import base64
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.campus.flask_sso.plugins.modules.doctor_command import archive


class LookupModule(LookupBase):
    """The plugin that Ansible loads."""

    def run(self, _terms: list[str], _variables: dict[str, Any] | None = None, **_options: Any) -> list[str]:
        """Return the command.

        :returns: An executable archive of Python files, in Base64.
        """
        return [base64.b64encode(archive()).decode("ascii")]
