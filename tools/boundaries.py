#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail where a role or a playbook reads an internal variable (ROLE__name) of another role."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
INTERNAL = re.compile(r"\b([a-z][a-z0-9_]*?)__[a-z]\w*")
#: What begins with this is the whole collection's, so it is no role's own either.
COLLECTION = "flask_sso"


class Waiver(NamedTuple):
    """Internal variables that are read from elsewhere all the same."""

    reason: str
    readers: list[str]
    variables: list[str]


WAIVERS = [
    Waiver(
        "site.yml installs the packages of all roles at once and tells them so",
        [
            "apache_ssl",
            "app_saml",
            "flask_app",
            "mod_wsgi_app",
            "playbooks",
            "reverse_proxy",
            "shibboleth_sp",
            "uwsgi_proxy",
        ],
        ["flask_sso__packages"],
    ),
    Waiver(
        "the application takes its identity provider, trust and keys from shibboleth_sp, until they have a role",
        ["app_saml"],
        [
            "shibboleth_sp__accepted",
            "shibboleth_sp__app_keys_path",
            "shibboleth_sp__attributes",
            "shibboleth_sp__discovery_url",
            "shibboleth_sp__entity_id",
            "shibboleth_sp__extra_acs",
            "shibboleth_sp__idp_entity_id",
            "shibboleth_sp__key_files",
            "shibboleth_sp__key_set",
            "shibboleth_sp__keys_given",
            "shibboleth_sp__keys_path",
            "shibboleth_sp__known_sha256",
            "shibboleth_sp__mdq_url",
            "shibboleth_sp__metadata",
            "shibboleth_sp__port",
            "shibboleth_sp__required",
            "shibboleth_sp__user",
        ],
    ),
]


def readers(root: Path) -> dict[str, Path]:
    """Find who may read variables: each role, and the playbooks together.

    :param root: Directory of the collection.
    :returns: Their directories by their names.
    """
    return {path.name: path for path in sorted(root.glob("roles/*")) if path.is_dir()} | {
        "playbooks": root / "playbooks"
    }


def crossings(reader: str, directory: Path, owners: set[str]) -> dict[str, str]:
    """Find internal variables of others.

    :param reader: Name of a role, or playbooks.
    :param directory: Its files.
    :param owners: Names of all roles, and the collection's.
    :returns: For each such variable the place where it is read first.
    """
    found: dict[str, str] = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
            for match in INTERNAL.finditer(line):
                if match[1] in owners - {reader}:
                    found.setdefault(match[0], f"{path.relative_to(directory.parent)}:{number}")
    return found


def faults(root: Path, waivers: list[Waiver]) -> list[str]:
    """Compare what is read with what may be.

    :param root: Directory of the collection.
    :param waivers: What is read all the same.
    :returns: What is wrong, one sentence each.
    """
    places = readers(root)
    waived = {(reader, name) for waiver in waivers for reader in waiver.readers for name in waiver.variables}
    read = {
        (reader, name): place
        for reader, directory in places.items()
        for name, place in crossings(reader, directory, {COLLECTION, *places}).items()
    }
    wrong = [
        f"{place}: {name} is internal to another role; have that role offer it under a name without __"
        for (reader, name), place in read.items()
        if (reader, name) not in waived
    ]
    stale = sorted(waived - set(read))
    return wrong + [
        f"{reader} no longer reads {name}; take it out of WAIVERS (tools/boundaries.py)" for reader, name in stale
    ]


if __name__ == "__main__":
    wrong = faults(ROOT, WAIVERS)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)
