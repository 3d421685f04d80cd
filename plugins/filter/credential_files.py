# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the files of an application's credentials."""

from __future__ import annotations

DOCUMENTATION = r"""
name: credential_files
short_description: Describe the files of an application's credentials
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Each secret is a file of its own, which the application alone can read. The C(secret_key) is left out, as it may be
    made on the host.
options:
  _input:
    description: Secrets by name, as flask_app_credentials has them.
    type: dict
    required: true
  directory:
    description: Directory of the files on the host.
    type: path
    required: true
  group:
    description: Group that may read them.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Stage the credentials of an application
  campus.flask_sso.staged_files:
    name: guestbook
    site: guestbook
    files: "{{ flask_app_credentials | campus.flask_sso.credential_files('/etc/guestbook/credentials', 'guestbook') }}"
"""

RETURN = r"""
_value:
  description: The files, as M(campus.flask_sso.staged_files) takes them.
  type: list
  elements: dict
"""

from typing import Callable


def credential_files(credentials: dict[str, str], directory: str, group: str) -> list[dict[str, str]]:
    """Describe the files of an application's credentials.

    :param credentials: Secrets by name.
    :param directory: Directory of the files on the host.
    :param group: Group that may read them.
    :returns: The files, as staged_files takes them.
    """
    return [
        {"path": f"{directory}/{name}", "secret": secret, "group": group, "mode": "0440"}
        for name, secret in credentials.items()
        if name != "secret_key"
    ]


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, str]]]]:
        """Return the filters by name."""
        return {"credential_files": credential_files}
