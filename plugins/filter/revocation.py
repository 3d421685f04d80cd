# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the serial numbers of the certificates that are to be revoked."""

from __future__ import annotations

DOCUMENTATION = r"""
name: revocation
short_description: Find the serial numbers of the certificates that are to be revoked
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Reads all certificates that a person has ever had, in C(PEOPLE/ID/certificate.pem) and C(PEOPLE/ID/issued/).
options:
  _input:
    description: Ids of people, or serial numbers as strings, hexadecimal as C(openssl x509 -noout -serial) prints them.
    type: list
    elements: str
    required: true
  people:
    description: Directory on the controller with the certificates of people.
    type: path
    required: true
requirements: [cryptography >= 42.0]
"""

EXAMPLES = r"""
- name: Show what would be revoked
  ansible.builtin.debug:
    msg: "{{ (['cpayne'] | campus.flask_sso.revocation('private_ca/people')).serials }}"
"""

RETURN = r"""
_value:
  description: C(serials), the serial numbers as integers, and C(faults), one or two sentences for each fault.
  type: dict
"""

import json
import re
from pathlib import Path
from typing import Any, Callable

from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import (
    PERSON,
    needs_cryptography,
    read_certificates,
)

#: Shorter ones could be ids.
SERIAL = re.compile("([0-9A-Fa-f]:?){16,}")


@needs_cryptography
def revocation(named: Any, people: str) -> dict[str, list[Any]]:
    """Find the serial numbers of the certificates that are to be revoked.

    :param named: Whose certificates, a list of ids and serial numbers.
    :param people: Directory with the certificates of people.
    :returns: The serial numbers and the faults.
    """
    if not isinstance(named, list) or not named:
        fault = (
            f"private_ca_revoke is {json.dumps(named)}, which is not a list, or is empty. Write a list of ids; on the"
            """ command line it takes JSON, -e '{"private_ca_revoke": ["cpayne"]}'."""
        )
        return {"serials": [], "faults": [fault]}
    found = {json.dumps(name): serials_of(name, Path(people)) for name in named}
    faults = [
        f"private_ca_revoke has {name}, and {people} has no certificate of theirs. Write, in quotes, the id of a person"
        ' who has one, or a serial number of 16 digits or more as "openssl x509 -noout -serial" prints it.'
        for name, serials in found.items()
        if not serials
    ]
    return {"serials": [serial for serials in found.values() for serial in serials], "faults": faults}


def serials_of(name: Any, people: Path) -> list[int]:
    """Find the serial numbers that a name stands for.

    :param name: An id or a serial number, if it is a possible one.
    :param people: Directory with the certificates of people.
    :returns: The serial numbers, or nothing.
    """
    if not isinstance(name, str):
        return []
    if PERSON.fullmatch(name) and (people / name).is_dir():
        paths = [*(people / name).glob("issued/*.pem"), *(people / name).glob("certificate.pem")]
        return [found.serial_number for path in sorted(paths) for found in read_certificates(str(path))]
    return [int(name.replace(":", ""), 16)] if SERIAL.fullmatch(name) else []


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., dict[str, list[Any]]]]:
        """Return the filters by name."""
        return {"revocation": revocation}
