# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the SQLAlchemy URL of a database says about where that is, and about its password."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

DOCUMENTATION = """
name: database_address
author: campus.flask_sso contributors (!UNKNOWN)
version_added: 0.1.0
short_description: Say whether other hosts reach a database, and whether its address has a password
description: Reads an SQLAlchemy URL, also one with several hosts in its query.
positional: _input
options:
  _input:
    description: The URL.
    type: str
    required: true
"""

EXAMPLES = """
- ansible.builtin.debug:
    msg: "{{ 'postgresql+psycopg://app@db.example.org/app' | campus.flask_sso.database_address }}"
"""

RETURN = """
_value:
  description: >-
    V(shared) says whether the database is a server that other hosts reach by this address, and V(password) whether the
    address has one.
  type: dict
  sample: {shared: true, password: false}
"""

#: Addresses of the host itself; a path is that of its socket.
LOCAL = re.compile(r"(localhost(\.localdomain\d?)?|127\..*|0\.0\.0\.0|::1?|/.*|)\Z")
#: A name and a password; that may have any character but an at sign, a slash too.
ACCOUNT = re.compile(r"[^:/]*://[^:/]*:[^@]*@")
#: Options with a password; one of PostgreSQL's names a file.
SECRET = re.compile(r"pass(?!file)|pwd|secret")


def host_of(place: str) -> str:
    """Return the host of a place with or without a port, in lower case.

    :param place: As ``db.example.org:5432``, ``[::1]:5432`` or ``/run/postgresql``.
    """
    found = re.fullmatch(r"\[(.*?)\](?::\d+)?|([^:]*)(?::\d+)?|(.*)", place.strip())
    return next((part for part in found.groups() if part), "").lower() if found else ""


def database_address(url: str) -> dict[str, bool]:
    """Say whether other hosts reach a database, and whether its address has a password.

    :param url: SQLAlchemy URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # half an IPv6 address
        parts = urlsplit("")
    query = parse_qsl(parts.query)
    place = parts.netloc.rpartition("@")[2]
    given = [host for name, value in query if name in ("host", "hostaddr") for host in value.split(",")]
    hosts = [host_of(host) for host in given or [place]]
    return {
        "shared": not parts.scheme.startswith("sqlite") and not any(LOCAL.match(host) for host in hosts),
        "password": bool(ACCOUNT.match(url)) or any(SECRET.search(name.lower()) for name, _value in query),
    }


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, Callable]:
        """Return the filter by its name."""
        return {"database_address": database_address}
