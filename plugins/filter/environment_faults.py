# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find environment variables that would not reach an application as they are written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: environment_faults
short_description: Find environment variables that would not reach an application as they are written
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - systemd drops names and values that it does not accept; Python and the servers take some names as settings of
    theirs.
  - httpd has started Python before mod_wsgi sets the application's environment, so what Python and the linker read at
    their start comes too late there.
options:
  _input:
    description: Names with their values.
    type: dict
    required: true
  variable:
    description: Name of the variable that has them, for the messages.
    type: str
    required: true
  server:
    description: What runs the application.
    type: str
    choices: [uwsgi, gunicorn, mod_wsgi]
    required: true
  server_settings:
    description: Whether the variables are meant for the server, which may then find its own settings among them.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse what would not reach the application
  ansible.builtin.assert:
    that: app_environment | campus.flask_sso.environment_faults('app_environment', 'gunicorn') | length == 0
"""

RETURN = r"""
_value:
  description: One sentence or two for each fault. They have names, but no values, which may be secret.
  type: list
  elements: str
"""

import re
from collections.abc import Mapping
from typing import Callable

from ansible_collections.campus.flask_sso.plugins.filter.environment_strings import environment_string

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
# What UTF-8 cannot encode, or systemd does not accept as text: it would ignore the whole file.
NOT_TEXT = "[\x00\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
LONGEST = 131071  # Linux starts no program with a longer NAME=value
REFUSED = {
    "CREDENTIALS_DIRECTORY": "The role sets it. Write secrets into flask_app_credentials.",
    "SCRIPT_NAME": "Write the path into flask_app_path_prefix.",
    "NOTIFY_SOCKET|LISTEN_(FDS|PID|FDNAMES)|MAINPID|WATCHDOG_(PID|USEC)": "systemd sets it. Remove it.",
    "PYTHON(HOME|PLATLIBDIR|SAFEPATH)": "Python would not find its modules or the application's. Remove it.",
}
SERVER_SETTINGS = {
    "UWSGI_.*|GUNICORN_CMD_ARGS": "The server would read it as a setting. Use a variable of flask_app, or rename it.",
}
TOO_LATE = {
    "PYTHON(?!PATH$|UNBUFFERED$|DONTWRITEBYTECODE$)[A-Z0-9]+": (
        "With mod_wsgi, httpd has started Python before. Remove it, or use another flask_app_server."
    ),
    "LD_.*": (
        "With mod_wsgi, httpd has started before. Write directories of libraries into /etc/ld.so.conf.d, or use another"
        " flask_app_server."
    ),
}


def environment_faults(environment: object, variable: str, server: str, server_settings: bool = False) -> list[str]:
    """Find environment variables that would not reach an application as they are written.

    :param environment: Names with their values.
    :param variable: Name of the variable that has them, for the messages.
    :param server: What runs the application: uwsgi, gunicorn or mod_wsgi.
    :param server_settings: Whether the server's own settings may be among them.
    :returns: What is wrong, and what to write instead.
    """
    if not isinstance(environment, Mapping):
        return [f'{variable} is not a mapping. Write names with their values, one a line, for example "LANG: C.UTF-8".']
    refused = REFUSED | ({} if server_settings else SERVER_SETTINGS) | (TOO_LATE if server == "mod_wsgi" else {})
    faults = ((name, fault(name, value, refused)) for name, value in environment.items())
    return [f'{variable} has "{name}", {what}' for name, what in faults if what]


def fault(name: object, value: object, refused: dict[str, str]) -> str:
    """Describe what is wrong with an environment variable, or return nothing.

    :param name: Its name.
    :param value: Its value.
    :param refused: Names that are refused, as regular expressions, each with the reason.
    """
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        return "which is not a valid variable name. Write letters, digits and underscores, no digit first."
    for pattern, reason in refused.items():
        if re.fullmatch(pattern, name):
            return f"which is not the application's own. {reason}"
    try:
        text = environment_string(value)
    except (TypeError, ValueError):
        return "whose value has no JSON. Write a string, in quotes, or numbers, lists and mappings of them."
    if name == "PYTHONPATH" and not isinstance(value, str):
        return (
            'whose value is not a string. Write directories of the source with colons between them, for example "src".'
        )
    if re.search(NOT_TEXT, text):
        return "whose value has a character that no environment can contain. Write it encoded, for example as Base64."
    if len(f"{name}={text}".encode()) > LONGEST:
        return f"which has more than {LONGEST} bytes with its value. Write it into flask_app_credentials."
    return ""


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"environment_faults": environment_faults}
