#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what is wrong with a host that serves an application behind httpd."""

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Say what is wrong with a host that serves an application behind httpd
version_added: 0.1.0
description:
  - Looks at services, sockets, configuration, certificates, logs and answers; reports proof, cause and remedy. It
    needs nothing on the host, and it does not matter who deployed that.
  - A fault of the host is a success of the module; use C(failed_when) with RV(status).
author: campus.flask_sso contributors (!UNKNOWN)
options:
  since:
    description: How far back logs are read, a number with C(s), C(m), C(h) or C(d).
    type: str
    default: 1h
  only:
    description: Beginnings of the codes of the checks that are wanted, such as V(FS3). All, if empty.
    type: list
    elements: str
    default: []
  skip:
    description: Beginnings of the codes of the checks that are not wanted.
    type: list
    elements: str
    default: []
  asked_at:
    description:
      - When the controller asks, in seconds since 1970. With it, the module also returns RV(node).
    type: float
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Look at the host
  campus.flask_sso.doctor:
    since: 10m
  register: examined
  failed_when: examined is failed or examined.status == 2
"""

RETURN = r"""
status:
  description: 0 if all is well, 1 after a warning, 2 after an error.
  returned: success
  type: int
checks:
  description: The checks, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: Name of the check.
      type: str
    title:
      description: What is true of a healthy host.
      type: str
    severity:
      description: One of C(ok), C(skipped), C(note), C(warning) and C(error).
      type: str
    seen:
      description: What was seen.
      type: list
      elements: str
    cause:
      description: Why it may not be true.
      type: str
    remedy:
      description: What to do.
      type: str
    more:
      description: Where the documentation has it.
      type: str
node:
  description: What all nodes of a cluster have to agree on, for P(campus.flask_sso.node_differences#filter).
  returned: when O(asked_at) is given
  type: dict
  contains:
    clock:
      description: Seconds by which the clock of the host is ahead of the controller's.
      type: float
    has:
      description: Names of keys and releases, with a value for each that is not secret.
      type: dict
report:
  description: The same for people, in lines.
  returned: success
  type: list
  elements: str
"""

from argparse import ArgumentTypeError

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor import nodes, report
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.command import codes, duration
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.host import Host
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.runner import run
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.site import Site


def main():
    """Run the module."""
    a_list = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "since": {"type": "str", "default": "1h"},
            "only": a_list,
            "skip": a_list,
            "asked_at": {"type": "float"},
        },
        supports_check_mode=True,
    )
    try:
        since = duration(module.params["since"])
        only, skip = (codes(",".join(module.params[name])) if module.params[name] else [] for name in ("only", "skip"))
    except ArgumentTypeError as fault:
        module.fail_json(msg=str(fault))
    site, asked_at = Site(Host(), since), module.params["asked_at"]
    node = {} if asked_at is None else {"node": {"clock": site.host.now() - asked_at, "has": nodes.described(site)}}
    results = run(site, only, skip)
    module.exit_json(
        changed=False,
        **node,
        status=report.status(results),
        checks=report.records(results),
        report=report.people(results).splitlines(),
    )


if __name__ == "__main__":
    main()
