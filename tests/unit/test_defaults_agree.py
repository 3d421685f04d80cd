# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role that is used alone has the same defaults as those of the roles whose variables it reads."""

import re
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
READERS = sorted(
    path
    for pattern in ("roles/*/defaults/*.yml", "roles/*/vars/**/*.yml", "roles/*/t*/*", "playbooks/**/*.yml")
    for path in PROJECT.glob(pattern)
)
READ = re.compile(r"\b([a-z]\w*) \| default\(('[^']*'|\d+|true|false|\[\]|\{\})\)")
#: What roles take for it differs: whom a message names if no one is, and parts that only some sites have.
DELIBERATE = {"flask_sso_authentication", "flask_sso_ready_path", "flask_sso_support_contact"}


def repeated() -> list[tuple[str, Any, str]]:
    """Return each default that a file gives to a variable: the variable, the value, and the file."""
    return [
        (name, yaml.safe_load(value), str(path.relative_to(PROJECT)))
        for path in READERS
        for name, value in READ.findall(path.read_text("utf-8"))
    ]


def test_the_default_of_another_roles_variable_is_its_own():
    own: dict[str, Any] = {}
    for path in PROJECT.glob("roles/*/defaults/main.yml"):
        own |= yaml.safe_load(path.read_text("utf-8"))
    read = [each for each in repeated() if "{{" not in str(own.get(each[0], "{{"))]
    assert read
    assert [each for each in read if each[1] != own[each[0]]] == []


def test_all_roles_have_the_same_default_of_what_they_share():
    """Such as the version of uWSGI, whose server and whose module for httpd are compiled from one source."""
    shared: dict[str, set[str]] = {}
    for name, value, _file in repeated():
        if name.startswith("flask_sso_") and name not in DELIBERATE:
            shared.setdefault(name, set()).add(repr(value))
    assert {"flask_sso_uwsgi_version", "flask_sso_uwsgi_sha256"} <= shared.keys()
    assert {name: values for name, values in shared.items() if len(values) > 1} == {}
