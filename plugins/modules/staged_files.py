#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a service's files together: all of them pass the service's own check, or none is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: staged_files
short_description: Write and check the files of a service together, before they are activated
version_added: 0.1.0
description:
  - Writes several files at once, runs the service's own configuration check, and rolls back when the check fails, these
    files and what else the site has staged. The run ends there, and nothing may lie on disk until a service happens to
    load it.
  - Keeps the former content of the files in a journal, until M(campus.flask_sso.activation) has the service run with
    them, or M(campus.flask_sso.rollback) has restored it.
  - What was at each path before the collection is recorded when the service runs with the new files, so that O(restore)
    can restore it, also much later.
  - Files that an interrupted run has staged count as changed again. The next run notifies the handler, although the
    files themselves need no change.
author: campus.flask_sso contributors (!UNKNOWN)
extends_documentation_fragment:
  - campus.flask_sso.staging
  - campus.flask_sso.staging.files
options:
  purge:
    description:
      - Shell patterns of absolute paths. A file or link that matches one of them is removed, unless it is among
        O(files) or matches O(exclude).
    type: list
    elements: str
  exclude:
    description: Shell patterns of paths that O(purge) does not remove, or O(restore) does not restore.
    type: list
    elements: str
  restore:
    description:
      - Whether the site is removed. Every path that it has changed for this service gets what was there before the
        collection, unless it matches O(exclude). What other sites use, too, stays, as does a directory that holds
        other files.
    type: bool
  shared_with:
    description:
      - Other sites that go on to use what O(restore) would restore. It stays, and is restored with the last of them.
    type: list
    elements: str
  checks:
    description: Commands that check the configuration on disk. They run only if something was changed.
    type: list
    elements: dict
    suboptions:
      argv:
        description: The command and its arguments.
        type: list
        elements: str
        required: true
      title:
        description: Name of the command in messages, if it is too long to be shown.
        type: str
      reject:
        description: A regular expression. Output that it matches fails the check although the command returned 0.
        type: str
      hint:
        description: What to do if it fails; it is added to the message.
        type: str
  units:
    description:
      - Units that have to run and to be enabled. When one does not, the task counts as changed, so that its handler
        starts it.
    type: list
    elements: str
attributes:
  check_mode:
    description: Reports what would change. The commands of O(checks) are not run, as nothing was written.
    support: full
  diff_mode:
    description: Shows the files before and after.
    support: full
"""

EXAMPLES = r"""
- name: Stage the virtual host
  campus.flask_sso.staged_files:
    name: httpd
    site: example
    files:
      - path: /etc/apache2/sites-enabled/example.conf
        content: "{{ lookup('ansible.builtin.template', 'example.conf.j2') }}"
    checks:
      - argv: [apache2ctl, -t]
    units: [apache2.service]
  notify: Reload httpd

- name: Restore what httpd had before the site
  campus.flask_sso.staged_files:
    name: httpd
    site: example
    restore: true
    exclude: [/etc/ssl/example/*-key.pem]
    checks:
      - argv: [apache2ctl, -t]
  notify: Reload httpd
"""

RETURN = r"""
changed_paths:
  description: Paths that were changed, by this run or by one that was interrupted before the service ran with them.
  returned: always
  type: list
  elements: str
used_paths:
  description: Paths that the site had changed for this service before this task.
  returned: success
  type: list
  elements: str
made_paths:
  description: Those of RV(used_paths) where nothing was before the collection, and which no other site uses.
  returned: success
  type: list
  elements: str
shared_paths:
  description: Those of RV(used_paths) that other sites use, too.
  returned: success
  type: list
  elements: str
stopped_units:
  description: Those of O(units) that do not run or are not enabled.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.only_run import only_run
from ansible_collections.campus.flask_sso.plugins.module_utils.staging import FILES_OPTION, SITE_OPTIONS, Staging


def main() -> None:
    """Run the module."""
    check_options = {
        "argv": {"type": "list", "elements": "str", "required": True},
        "title": {"type": "str"},
        "reject": {"type": "str"},
        "hint": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            **SITE_OPTIONS,
            "name": {"type": "str", "required": True},
            "files": FILES_OPTION,
            "purge": {"type": "list", "elements": "str"},
            "exclude": {"type": "list", "elements": "str"},
            "restore": {"type": "bool"},
            "shared_with": {"type": "list", "elements": "str"},
            "checks": {"type": "list", "elements": "dict", "options": check_options},
            "units": {"type": "list", "elements": "str"},
        },
        required_one_of=[["files", "purge", "restore"]],
        required_by={"shared_with": ["restore"]},
        mutually_exclusive=[["files", "restore"], ["purge", "restore"]],
        supports_check_mode=True,
    )
    if module.params["exclude"] and module.params["purge"] is None and not module.params["restore"]:
        module.fail_json(msg="exclude means nothing without purge or restore.", changed_paths=[])
    with only_run(module):
        staging = Staging(module)
        used_paths, made_paths = staging.originals.paths(staging.site), staging.originals.made(staging.site)
        shared_paths = staging.originals.shared(staging.site)
        changed_paths = staging.stage()
        stopped_units = [unit for unit in module.params["units"] or [] if not staging.systemd.keeps(unit)]
        module.exit_json(
            changed=bool(changed_paths or stopped_units),
            changed_paths=changed_paths,
            used_paths=used_paths,
            made_paths=made_paths,
            shared_paths=shared_paths,
            stopped_units=stopped_units,
            diff=staging.diff,
        )


if __name__ == "__main__":
    main()
