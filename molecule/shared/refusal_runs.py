# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combine faults that do not interfere in one run of a playbook, whose message names them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def pack(cases: Mapping[str, Mapping[str, Any]]) -> list[tuple[dict[str, Any], list[str]]]:
    """Share out cases among as few runs as they need, the first run that fits for each.

    Cases that want different values of a variable get different runs. So a case names every variable that its fault
    depends on, also one that has its right value.

    :param cases: The variables of each case, by its name.
    :returns: For each run the variables and the names of its cases.
    """
    runs: list[tuple[dict[str, Any], list[str]]] = []
    for name, variables in cases.items():
        given, names = next((run for run in runs if agree(run[0], variables)), ({}, []))
        if not names:
            runs.append((given, names))
        given.update(variables)
        names.append(name)
    return runs


def agree(some: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Return whether no variable has two values.

    :param some: Variables.
    :param others: More variables.
    """
    return all(some[name] == others[name] for name in some.keys() & others.keys())
