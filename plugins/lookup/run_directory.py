# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find the directory for temporary files of this run on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_directory
short_description: Find the directory for temporary files of this run on the controller
version_added: 0.1.0
description:
  - Returns Ansible's own temporary directory, which only the account that runs Ansible can read, and which is removed
    when the run ends. All tasks and hosts of the run have the same one.
  - The lookup P(ansible.builtin.config#lookup) would create another directory each time, and leave it there.
author: campus.flask_sso contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Set where the application is fetched to
  ansible.builtin.set_fact:
    fetched: "{{ lookup('campus.flask_sso.run_directory') }}/myapp"
"""

RETURN = r"""
_raw:
  description: The directory.
  type: list
  elements: path
"""

from typing import Any

from ansible import constants
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """The plugin that Ansible loads."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the directory.

        :param terms: Unused; part of Ansible's interface.
        :param variables: Unused, likewise.
        :param kwargs: Unused, likewise.
        :returns: The directory.
        """
        return [constants.DEFAULT_LOCAL_TMP]
