#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return which part of shibd's configuration belongs to a site."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sp_site
short_description: Return which part of shibd's configuration belongs to a site
version_added: 0.1.0
description:
  - A host has one shibd. The first site is its default application, with files in O(path). Every further site is an
    application of its own, in C(sites/SITE-override.xml) and C(sites/SITE/).
  - The link C(sites/default) names the first site. The first deployment sets it, and it stays as long as shibd has a
    site.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  site:
    description: Name of the site.
    type: str
    required: true
  path:
    description: Configuration directory of shibd.
    type: path
    required: true
  journal_directory:
    description: Directory of the records of M(campus.flask_sso.staged_files) and M(campus.flask_sso.activation).
    type: path
    default: /var/lib/flask_sso
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Look up where the site is configured
  campus.flask_sso.sp_site:
    site: example
    path: /etc/shibboleth
  register: sp_site

- name: Show it
  ansible.builtin.debug:
    msg: "{{ sp_site.home }}, beside {{ sp_site.others | join(', ') }}"
"""

RETURN = r"""
home:
  description: Directory of the site's files.
  returned: success
  type: str
further:
  description:
    - Whether the default application belongs to another site, or did so when this one was removed and its keys stayed.
  returned: success
  type: bool
first:
  description: The site that the default application belongs to. Empty if there is none.
  returned: success
  type: str
prepared:
  description: Whether the configuration of RV(first) loads further sites. An earlier version did not write that.
  returned: success
  type: bool
listener:
  description: How httpd reaches shibd, V(unix) or V(tcp). Empty if nothing is configured.
  returned: success
  type: str
shared:
  description:
    - Whether this site has used the default application, too, as several sites did with an earlier version. Its keys
      are registered then.
  returned: success
  type: bool
others:
  description: Other sites that have an application of their own, in order.
  returned: success
  type: list
  elements: str
services:
  description: Paths of further assertion consumer services, by site.
  returned: success
  type: dict
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.sp_site import look


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "journal_directory": {"type": "path", "default": "/var/lib/flask_sso"},
        },
        supports_check_mode=True,
    )
    found = look(module.params["path"], module.params["site"], module.params["journal_directory"])
    module.exit_json(changed=False, **asdict(found))


if __name__ == "__main__":
    main()
