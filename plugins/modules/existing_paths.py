#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return which of some paths exist on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: existing_paths
short_description: Return which of some paths exist on a host
version_added: 0.1.0
description:
  - Looks for files, directories and links, broken links included. Their directories may be missing, which is
    no reason for a warning as it is for M(ansible.builtin.find).
author: campus.flask_sso contributors (!UNKNOWN)
options:
  paths:
    description: What to look for.
    type: list
    elements: path
    required: true
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: See which keys are there
  campus.flask_sso.existing_paths:
    paths: [/etc/shibboleth/sp-signing-key.pem, /etc/shibboleth/keys/active]
  register: keys
"""

RETURN = r"""
paths:
  description: Those of O(paths) that exist, in that order.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "required": True}}, supports_check_mode=True
    )
    module.exit_json(changed=False, paths=[path for path in module.params["paths"] if os.path.lexists(path)])


if __name__ == "__main__":
    main()
