# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name the sets of keys that are copied from the controller to a SAML service provider."""

from __future__ import annotations

DOCUMENTATION = r"""
name: key_sets
short_description: Name the sets of keys that are copied from the controller to a SAML service provider
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Looks into the directories C(active), C(next) and C(previous) of a directory on the controller. A set is named after
    its signing certificate, so a set that changes its place keeps its name.
options:
  _input:
    description: The directory. If it is empty, nothing is copied from the controller.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Show which sets there are
  ansible.builtin.debug:
    var: saml_sp_keys_directory | campus.flask_sso.key_sets
"""

RETURN = r"""
_value:
  description: The name of each set, by its place.
  type: dict
"""

from hashlib import sha256
from pathlib import Path
from typing import Callable

from ansible_collections.campus.flask_sso.plugins.module_utils.sp_keys import LINKS
from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import read_bytes


def key_sets(directory: str) -> dict[str, str]:
    """Name the sets of keys in a directory.

    :param directory: The directory on the controller, or an empty string.
    :returns: The name of each set, by its place.
    :raises AnsibleFilterError: if a certificate cannot be read or decrypted.
    """
    certificates = {link: Path(directory, link, "sp-signing-cert.pem") for link in LINKS} if directory else {}
    return {
        link: sha256(read_bytes(str(path)).rstrip()).hexdigest()[:12]
        for link, path in certificates.items()
        if path.is_file()
    }


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[[str], dict[str, str]]]:
        """Return the filters by name."""
        return {"key_sets": key_sets}
