#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail where a role or a playbook reads another role's internal variable (ROLE__name), or a task names a platform."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INTERNAL = re.compile(r"\b([a-z][a-z0-9_]*?)__[a-z]\w*")
#: What differs between these is in vars/platforms/, so that a task holds for all of them.
PLATFORM = re.compile(
    r"\b(debian|ubuntu|red ?hat|rhel|alma ?linux|rocky|centos|fedora|el ?[0-9]+|os_family)\b", re.IGNORECASE
)
#: Directories of a role, and that of the playbooks, whose files are the same on every platform.
SAME_EVERYWHERE = ("files", "handlers", "playbooks", "tasks", "templates")
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


def platforms(reader: str, directory: Path) -> dict[str, str]:
    """Find platforms that a task, a template or a script names.

    :param reader: Name of a role, or playbooks.
    :param directory: Its files.
    :returns: The names by the places where they are.
    """
    found: dict[str, str] = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        if (path.relative_to(directory).parts[0] if reader != "playbooks" else reader) in SAME_EVERYWHERE:
            for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
                for match in PLATFORM.finditer(line):
                    found[f"{path.relative_to(directory.parent)}:{number}"] = match[0]
    return found


def faults(root: Path) -> list[str]:
    """Find what is read of others, and platforms where they must not be named.

    :param root: Directory of the collection.
    :returns: What is wrong, one sentence each.
    """
    places = readers(root)
    return [
        f"{place}: {name} is internal to another role; have that role offer it under a name without __"
        for reader, directory in places.items()
        for name, place in crossings(reader, directory, {COLLECTION, *places}).items()
    ] + [
        f"{place}: {name} is a platform; what is different there belongs into vars/platforms of the role"
        for reader, directory in places.items()
        for place, name in platforms(reader, directory).items()
    ]


if __name__ == "__main__":
    wrong = faults(ROOT)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)
