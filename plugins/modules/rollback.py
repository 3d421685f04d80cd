#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roll back the files of a site that no service has loaded."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Roll back the files of a site that no service has loaded
version_added: 0.1.0
description:
  - Restores what M(campus.flask_sso.staged_files) has changed for a site, for whichever service, unless
    M(campus.flask_sso.activation) has made the service run with it since. It is for the C(rescue) of a playbook.
  - Files of other sites stay, also where they are for the same service. A run of another site that was interrupted is
    completed by that site's next run, or when the service is activated.
author: campus.flask_sso contributors (!UNKNOWN)
extends_documentation_fragment: campus.flask_sso.staging
attributes:
  check_mode:
    description: Reports what would be rolled back.
    support: full
  diff_mode:
    description: Shows no files.
    support: none
"""

EXAMPLES = r"""
- name: Roll back what no service runs with yet
  campus.flask_sso.rollback:
    site: example
"""

RETURN = r"""
changed_paths:
  description: What was rolled back.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.journal import all_journals
from ansible_collections.campus.flask_sso.plugins.module_utils.only_run import only_run
from ansible_collections.campus.flask_sso.plugins.module_utils.staging import SITE_OPTIONS, roll_back_site, validate
from ansible_collections.campus.flask_sso.plugins.module_utils.systemd import Systemd


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=SITE_OPTIONS, supports_check_mode=True)
    validate(module)
    site, directory = module.params["site"], module.params["journal_directory"]
    with only_run(module):
        if module.check_mode:
            changed_paths = sorted(path for journal in all_journals(directory) for path in journal.paths(site))
        else:
            changed_paths = roll_back_site(Systemd(module.run_command), directory, site)
    module.exit_json(changed=bool(changed_paths), changed_paths=changed_paths)


if __name__ == "__main__":
    main()
