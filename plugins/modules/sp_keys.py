#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the keys of a SAML service provider, and plan a step of their rotation."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sp_keys
short_description: Read the keys of a SAML service provider, and plan a step of their rotation
version_added: 0.1.0
description:
  - Keys come in sets, each in a directory of its own below C(keys). Links there say what a set is for. C(active) signs,
    C(next) is only published in the metadata, C(previous) still decrypts. These links are the whole state of a
    rotation.
  - The module only reads, and returns what a step needs. The keys themselves are created by community.crypto, and
    the links are staged by M(campus.flask_sso.staged_files), together with the configuration that names them.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  path:
    description:
      - Configuration directory of the service provider, in which C(keys) is. Keys that lie in the directory itself are
        those that a host had before; they stay there and become the active set.
    type: path
    required: true
  site:
    description:
      - A site among those that share a shibd, whose directory is O(path) then. The keys are those of the site, and
        what M(campus.flask_sso.sp_site) returns of it is returned, too, as one look costs less than two.
    type: str
  journal_directory:
    description: Directory of the records of M(campus.flask_sso.staged_files), where O(site) is set.
    type: path
    default: /var/lib/flask_sso
  names:
    description: File names of a set, the key that signs first.
    type: list
    elements: str
    required: true
  step:
    description:
      - V(deploy) keeps what is there. Without any keys, it wants a first set.
      - V(publish), V(switch) and V(retire) are the steps of a rotation, in this order. Each is safe to repeat.
    type: str
    choices: [deploy, publish, switch, retire]
    default: deploy
  given:
    description:
      - Names of the sets that are copied from the controller, by their links. With O(step=deploy), they take the
        place of all others.
    type: dict
    default: {}
  application:
    description:
      - Directory of an application that was its own service provider, or of another set. A first set is a copy of its
        keys, as they are registered. That of a O(site) which has shared the keys of the first site is a copy of those.
    type: path
  days:
    description: Days that have to pass after V(publish) before V(switch), and after that before V(retire).
    type: int
    default: 14
  force:
    description: Do a step before its time.
    type: bool
    default: false
  metadata:
    description:
      - File with the identity provider's metadata, whose checksum is returned, too. A relative path begins in the
        directory of the keys' owner, which is O(path), or that of O(site).
    type: path
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Plan the next step
  campus.flask_sso.sp_keys:
    path: /etc/shibboleth
    names: [sp-signing-key.pem, sp-signing-cert.pem, sp-encrypt-key.pem, sp-encrypt-cert.pem]
    step: publish
  register: keys

- name: Fail if the step is out of order
  ansible.builtin.assert:
    that: keys.faults | length == 0
    fail_msg: "{{ keys.faults | join(' ') }}"

- name: Change the links
  campus.flask_sso.staged_files:
    name: shibd
    site: example
    files: "{{ keys.files }}"
"""

RETURN = r"""
faults:
  description: Why the step cannot be done now, a sentence or more for each reason. With any, the rest is empty.
  returned: success
  type: list
  elements: str
new_set:
  description: Directory of the set that has to be made or completed first. Empty where none has to be.
  returned: success
  type: str
sources:
  description: Files that the new set is a copy of. Empty where its keys are new.
  returned: success
  type: list
  elements: str
files:
  description: The links and their directory, for M(campus.flask_sso.staged_files). Empty where all stay as they are.
  returned: success
  type: list
  elements: dict
links:
  description: Names of the links that there are after the step, the active one first.
  returned: success
  type: list
  elements: str
retired:
  description: Files of the set that nothing uses after the step.
  returned: success
  type: list
  elements: str
place:
  description: What M(campus.flask_sso.sp_site) returns.
  returned: success, with O(site)
  type: dict
metadata_sha256:
  description: SHA-256 of O(metadata) in hexadecimal digits; empty without such a file.
  returned: success
  type: str
"""

import os
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.sp_keys import (
    Plan,
    look,
    plan_deployment,
    plan_step,
    step_faults,
)
from ansible_collections.campus.flask_sso.plugins.module_utils.sp_site import look as look_for_site


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "site": {"type": "str"},
            "journal_directory": {"type": "path", "default": "/var/lib/flask_sso"},
            "names": {"type": "list", "elements": "str", "required": True},
            "step": {"type": "str", "choices": ["deploy", "publish", "switch", "retire"], "default": "deploy"},
            "given": {"type": "dict", "default": {}},
            "application": {"type": "path"},
            "days": {"type": "int", "default": 14},
            "force": {"type": "bool", "default": False},
            "metadata": {"type": "path"},
        },
        supports_check_mode=True,
    )
    path, names, step = module.params["path"], module.params["names"], module.params["step"]
    application, place = module.params["application"], {}
    if module.params["site"]:
        site = look_for_site(path, module.params["site"], module.params["journal_directory"])
        application = os.path.join(path, "keys/active") if site.shared else application
        path, place = site.home, {"place": asdict(site)}
    metadata = os.path.join(path, module.params["metadata"]) if module.params["metadata"] else ""
    found = look(path, names, application)
    if step == "deploy":
        plan = plan_deployment(found, path, module.params["given"])
    else:
        plan = Plan(faults=step_faults(found, path, step, module.params["days"], module.params["force"]))
        if not plan.faults:
            plan = plan_step(found, path, names, step)
    sha256 = module.sha256(metadata) if os.path.isfile(metadata) else ""
    module.exit_json(changed=False, metadata_sha256=sha256, **place, **asdict(plan))


if __name__ == "__main__":
    main()
