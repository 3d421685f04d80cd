# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find why people cannot get certificates as they are described."""

from __future__ import annotations

DOCUMENTATION = r"""
name: people_faults
short_description: Find why people cannot get certificates as they are described
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Files get their names from a person's id, and a site knows people by their names. So no two people share one
    of them, in upper or lower case.
options:
  _input:
    description: The people, as private_ca_people has them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse people who cannot get certificates
  ansible.builtin.assert:
    that: private_ca_people | campus.flask_sso.people_faults | length == 0
"""

RETURN = r"""
_value:
  description: One or two sentences for each fault.
  type: list
  elements: str
"""

import json
import re
from collections import Counter
from typing import Callable

from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import PERSON

EMAIL = re.compile(r"([\w!#-'*+./=?^~-]+@[\w.-]+)?", re.ASCII)
LONGEST_NAME = 64


def people_faults(people: list[dict[str, str | None]]) -> list[str]:
    """Find why people cannot get certificates as they are described.

    :param people: The people, each with an id, a name and perhaps an email address.
    :returns: One or two sentences for each fault.
    """
    faults = [
        f"private_ca_people has {json.dumps(person, ensure_ascii=False)}. Write an id of lower-case letters, digits,"
        ' ".", "_" and "-", which files get their names from, a name of at most 64 bytes and, perhaps, an email address'
        ' in ASCII, for example "{ id: ghopper, name: Grace Hopper, email: grace.hopper@example.org }".'
        for person in people
        if not is_possible(person)
    ]
    for key in ("id", "name"):
        counts = Counter(str(person.get(key) or "").lower() for person in people)
        shared = [value for value, count in counts.items() if count > 1]
        if shared:
            faults.append(
                f"private_ca_people has this {key} more than once: {', '.join(shared)}. Give each person a"
                " different one: files get their names from the id, and a site knows people by their names."
            )
    return faults


def is_possible(person: dict[str, str | None]) -> bool:
    """Tell whether a person can get a certificate.

    :param person: The person.
    """
    name = str(person.get("name") or "").strip()
    return (
        PERSON.fullmatch(str(person.get("id") or "")) is not None
        and 1 <= len(name.encode()) <= LONGEST_NAME
        and EMAIL.fullmatch(person.get("email") or "") is not None
    )


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"people_faults": people_faults}
