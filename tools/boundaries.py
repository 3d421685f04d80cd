#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail where a role or a playbook reads an internal variable (ROLE__name) of another role."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INTERNAL = re.compile(r"\b([a-z][a-z0-9_]*?)__[a-z]\w*")
#: What begins with this is the whole collection's, so it is no role's own either.
COLLECTION = "flask_sso"


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


def faults(root: Path) -> list[str]:
    """Find what is read of others.

    :param root: Directory of the collection.
    :returns: What is wrong, one sentence each.
    """
    places = readers(root)
    return [
        f"{place}: {name} is internal to another role; have that role offer it under a name without __"
        for reader, directory in places.items()
        for name, place in crossings(reader, directory, {COLLECTION, *places}).items()
    ]


if __name__ == "__main__":
    wrong = faults(ROOT)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)
