# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that httpd passes as server variables, with Shibboleth's form of several values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import current_app

from flask_sso_app.transport import decode_wsgi


def read_attributes(server_variables: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the attributes that the settings name and that have a value, without duplicate values."""
    config = current_app.config
    names = dict.fromkeys([*config["ATTRIBUTES"].values(), *config["MORE_ATTRIBUTES"]])
    attributes = {name: split_values(decode_wsgi(server_variables.get(name, ""))) for name in names}
    return {name: tuple(dict.fromkeys(values)) for name, values in attributes.items() if values}


def split_values(text: str) -> tuple[str, ...]:
    r"""Split the values of an attribute at ``;``. ``\;`` is a literal semicolon; there are no other escapes."""
    return tuple(value.replace(r"\;", ";") for value in re.split(r"(?<!\\);", text) if value)
