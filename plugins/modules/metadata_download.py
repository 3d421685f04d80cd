#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Download a document and return its bytes, without a file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: metadata_download
short_description: Download a document and return its bytes, without a file
version_added: 0.1.0
description:
  - Downloads from the host. Its network, proxies and CA certificates decide whether the server is reached and trusted.
  - The bytes come unchanged, as checksums and signatures are for bytes.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  url:
    description: Address of the document.
    type: str
    required: true
  max_bytes:
    description: How many bytes a document may have. Of a larger one, one byte more is read, and not the rest.
    type: int
    required: true
  timeout:
    description: Seconds to wait for each step of the response.
    type: int
    default: 30
attributes:
  check_mode:
    description: Downloads as well, as nothing changes.
    support: full
"""

EXAMPLES = r"""
- name: Download the metadata
  campus.flask_sso.metadata_download:
    url: https://idp.example.org/metadata
    max_bytes: 10000000
  register: document
"""

RETURN = r"""
content_base64:
  description: The document.
  returned: success
  type: str
msg:
  description: Why it failed.
  returned: failure
  type: str
"""

import base64
from http.client import HTTPException

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import fetch_url


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "max_bytes": {"type": "int", "required": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    answer, info = fetch_url(module, module.params["url"], timeout=module.params["timeout"])
    if info["status"] != 200:
        module.fail_json(msg=info["msg"])
    try:
        content = answer.read(module.params["max_bytes"] + 1)
    except (OSError, HTTPException) as error:
        module.fail_json(msg=f"The response is incomplete: {error}")
    module.exit_json(changed=False, content_base64=base64.b64encode(content).decode())


if __name__ == "__main__":
    main()
