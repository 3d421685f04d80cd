# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find commands of an application that could not be run as they are written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: command_faults
short_description: Find commands of an application that could not be run as they are written
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Checks the steps, workers and timers of an application, which are systemd units or run in one.
options:
  _input:
    description: Mappings with C(command), C(seconds) and, where units are made of them, C(name) and C(calendar).
    type: list
    elements: dict
    required: true
  variable:
    description: Name of the variable that has them, for the messages.
    type: str
    required: true
  named:
    description: Whether each of them needs a name of its own.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse what systemd could not run
  ansible.builtin.assert:
    that: app_workers | campus.flask_sso.command_faults('app_workers', named=true) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence or two for each fault. They have names and positions.
  type: list
  elements: str
"""

import re
from collections.abc import Iterator, Mapping
from typing import Callable

NAME = r"[a-z][a-z0-9_]{0,24}"
CALENDAR = r"[A-Za-z0-9*][A-Za-z0-9_+ *:.,/~-]*"  # no option of systemd-analyze
LONGEST = 131071  # Linux starts no program with a longer argument
LARGEST = 2147483647
PROGRAM = r"[^-=][^=]*"  # neither an option nor a variable of env, which looks for the program


def command_faults(entries: object, variable: str, named: bool = False) -> list[str]:
    """Find commands of an application that could not be run as they are written.

    :param entries: The steps, workers or timers.
    :param variable: Name of the variable that has them, for the messages.
    :param named: Whether each of them needs a name of its own.
    :returns: What is wrong, and what to write instead.
    """
    if not isinstance(entries, list):
        return [f'{variable} is not a list. Write "- command: [flask, cleanup]" for each entry.']
    found = [
        f"{variable} has, as entry {position}, {fault}"
        for position, entry in enumerate(entries, 1)
        for fault in faults(entry, named)
    ]
    names = [entry.get("name") for entry in entries if isinstance(entry, Mapping)]
    if named and len(names) > len({str(name) for name in names}):
        found.append(f"{variable} has a name twice. Write another one, as each has units of its own.")
    return found


def faults(entry: object, named: bool) -> Iterator[str]:
    """Yield what is wrong with a step, a worker or a timer.

    :param entry: What is written.
    :param named: Whether it needs a name.
    """
    if not isinstance(entry, Mapping):
        yield 'what is not a mapping. Write "command: [flask, cleanup]".'
        return
    name, command = entry.get("name"), entry.get("command")
    if named and not (isinstance(name, str) and re.fullmatch(NAME, name)):
        yield (
            f'the name "{name}", which becomes part of a unit\'s. Write lower-case letters, digits and underscores, 25'
            " at most, a letter first."
        )
    if not isinstance(command, list) or not command or not all(is_word(word) for word in command):
        yield (
            "a command that is not a list of words on one line. Write the program and its arguments, for example"
            ' "command: [flask, cleanup]"; for a shell, "command: [sh, -c, ...]".'
        )
    elif not re.fullmatch(PROGRAM, str(command[0])):
        yield "a command that does not begin with a program. Write its name or path first; variables go to a shell."
    for option in ("seconds", "stop_seconds"):
        if option in entry and not is_count(entry[option]):
            yield f"{option} that are no number of at least 1. Write a whole number, without quotes."
    calendar = entry.get("calendar", "daily")
    if not isinstance(calendar, str) or not re.fullmatch(CALENDAR, calendar):
        yield 'a calendar that systemd cannot read. Write one such as "daily", "hourly" or "Mon..Fri 03:30".'


def is_word(word: object) -> bool:
    """Return whether a value can be an argument on a unit's line.

    :param word: The value, as YAML has it.
    """
    if isinstance(word, str):
        return word.isprintable() and len(word.encode()) <= LONGEST
    return isinstance(word, (int, float)) and not isinstance(word, bool)


def is_count(value: object) -> bool:
    """Return whether a value is a whole number of at least 1 that systemd takes for seconds.

    :param value: The value, as YAML has it.
    """
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"command_faults": command_faults}
