#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Request a page of a site from this host itself, whatever address the site's name has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: own_site
short_description: Request a page of a site from this host itself
version_added: 0.1.0
description:
  - Connects to the loopback address or, if nothing listens there, to another address of the host, with the site's name
    in TLS (SNI) and in the Host header. So the site answers as it does to its visitors, before its name leads here, and
    where each name has a certificate of its own.
  - Does not use proxies of the environment, follow redirections or validate the certificate.
  - Any response is a success; use C(failed_when) with RV(status).
author: campus.flask_sso contributors (!UNKNOWN)
options:
  url:
    description: Address of the page, with the site's name.
    type: str
    required: true
  also:
    description: Addresses of further pages, which cost less here than in a task of their own.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for each step of the response.
    type: int
    default: 30
attributes:
  check_mode:
    description: Sends the request, too, as nothing changes.
    support: full
"""

EXAMPLES = r"""
- name: Check that the site answers
  campus.flask_sso.own_site:
    url: https://app.example.org/
  register: answer
  failed_when: answer is failed or answer.status >= 500
"""

RETURN = r"""
status:
  description: Status code of the response.
  returned: success
  type: int
msg:
  description: Status code and reason of the response, or why there was none.
  returned: always
  type: str
content:
  description: Body of the response.
  returned: success
  type: str
also:
  description: Responses of O(also), in the same order, each with C(status), C(msg) and C(content).
  returned: success
  type: list
  elements: dict
"""

from http.client import HTTPException

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.own_site import ask


def response(address, timeout):
    """Request a page.

    :param str address: URL of the page, with the site's name.
    :param float timeout: Seconds to wait for each step of the response.
    :returns: dict with status, msg and content.
    :raises OSError: if nothing listens, TLS fails or the answer does not come in time.
    :raises http.client.HTTPException: if the answer is not HTTP.
    :raises ValueError: if the address is not an http or https URL.
    """
    with ask(address, timeout) as answer:
        content = answer.read().decode("utf-8", "replace")
    return {"status": answer.status, "msg": f"{answer.status} {answer.reason}", "content": content}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "also": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    addresses = [module.params["url"], *module.params["also"]]
    try:
        first, *others = [response(address, module.params["timeout"]) for address in addresses]
    except (OSError, HTTPException, ValueError) as error:
        module.fail_json(msg=str(error) or type(error).__name__)
    module.exit_json(changed=False, also=others, **first)


if __name__ == "__main__":
    main()
