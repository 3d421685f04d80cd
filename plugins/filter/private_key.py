# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert a private key to the form that servers read."""

from __future__ import annotations

DOCUMENTATION = r"""
name: private_key
short_description: Convert a private key to the form that servers read
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Reads a key as PEM or DER, as PKCS#8 or an older form, also next to a certificate in the same file.
  - Returns the key alone, as PKCS#8 in PEM. Use it where the result is not shown.
options:
  _input:
    description: File on the controller with the key, without a passphrase.
    type: path
    required: true
requirements: [cryptography >= 42.0]
"""

EXAMPLES = r"""
- name: Write the key
  ansible.builtin.copy:
    dest: /etc/ssl/private/key.pem
    content: "{{ key_file | campus.flask_sso.private_key }}"
    mode: "0600"
  no_log: true
"""

RETURN = r"""
_value:
  description: The key as PEM.
  type: str
"""

from contextlib import suppress
from typing import Callable

from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import needs_cryptography, read_private_key

with suppress(ImportError):  # needs_cryptography reports it
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@needs_cryptography
def private_key(path: str) -> str:
    """Convert a private key to the form that servers read.

    :param path: File with the key.
    :returns: The key as PKCS#8 in PEM.
    :raises AnsibleFilterError: if there is none, or it has a passphrase.
    """
    return read_private_key(path).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"private_key": private_key}
