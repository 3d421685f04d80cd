#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does all of the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find all faults in the variables of a role, and fail once
version_added: 0.1.0
description:
  - Evaluates a list of conditions and fails with one line for each that is false.
  - Runs on the controller alone and costs no connection to the host. What conditions need to know about the host, tasks
    before this one look up.
  - A condition that cannot be evaluated is a fault, too, unless another fault names a variable that it reads, which is
    then the likely cause.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  checks:
    description:
      - B(Names) of variables, usually of the task itself, each with a list of mappings.
      - C(that) is a template that gives true or false. C(otherwise), evaluated if it is false, describes what is wrong,
        with the variable, its value and what to write instead. A list is a line for each of its elements.
    type: list
    elements: str
    default: []
  collect:
    description: Do not fail, but return the faults for a later task that names the registered result in O(collected).
    type: bool
    default: false
  collected:
    description: B(Names) of registered results of this module, whose faults come first. Undefined ones have none.
    type: list
    elements: str
    default: []
  roles:
    description:
      - Names of roles of this collection. Variables that are set already, in an inventory or a play, are compared with
        what the argument specification of such a role allows. A text with a control character, such as a line break, is
        a fault, as it could add lines of its own to the file of a service.
      - Ansible does that as it loads a role, and stops at the first one with a fault; this names those of all roles.
    type: list
    elements: str
    default: []
  sites:
    description:
      - B(Names) of variables, each with the name of a site. One that is not set has that of the whole site.
    type: list
    elements: str
    default: []
  secrets:
    description: B(Names) of variables whose values are replaced by asterisks wherever a message has them.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Check the application's variables, source and accounts
  campus.flask_sso.preflight:
    checks: guestbook__checks
  vars:
    guestbook__checks:
      - that: "{{ guestbook_port in range(1, 65536) }}"
        otherwise: guestbook_port is {{ guestbook_port | to_json }}. Write a number from 1 to 65535, without quotes.
      - that: "{{ guestbook_source is directory }}"
        otherwise: guestbook_source is "{{ guestbook_source }}". Write the path of a directory on the controller.

- name: Check the types of all variables that are set
  campus.flask_sso.preflight:
    roles: [apache_ssl, flask_app]

- name: Collect the faults of each part
  ansible.builtin.include_role:
    name: campus.flask_sso.{{ item }}
    tasks_from: preflight
    public: true
  vars:
    flask_sso_collect_faults: true
  loop: [apache_ssl, flask_app]

- name: Fail with all faults in one message
  campus.flask_sso.preflight:
    collected: [apache_ssl_preflight, flask_app_preflight]
"""

RETURN = r"""
faults:
  description: One line for each fault, those of O(collected) and O(roles) first.
  returned: success
  type: list
  elements: str
"""
