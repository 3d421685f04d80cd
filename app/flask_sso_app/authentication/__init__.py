# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication methods, a module for each. Only the one that the setting ``AUTHENTICATION`` names is imported.

Each module has three functions: ``init_app`` adds the endpoints of the login, ``identify`` returns the identity of a
request or None, and ``log_out`` ends the session and returns the response.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from flask import Flask, current_app
from werkzeug.wrappers import Response

from flask_sso_app.identity import Identity
from flask_sso_app.settings import SettingsError

EXTENSION = "flask_sso_authentication"


def init_app(app: Flask) -> None:
    """Set up the authentication method of an application.

    :raises SettingsError: if the method lacks a package or a setting.
    """
    name = app.config["AUTHENTICATION"]
    try:
        method = app.extensions[EXTENSION] = import_module(f"{__name__}.{name}")
    except ImportError as error:
        raise SettingsError(f"FLASK_SSO_AUTHENTICATION {name!r}: {error}; see requirements-saml.txt.") from error
    method.init_app(app)


def identify(server_variables: Mapping[str, Any]) -> Identity | None:
    """Return the identity of the current request, or None if it is anonymous.

    :param server_variables: what the web server says about the request (see :mod:`flask_sso_app.transport`).
    """
    return current_app.extensions[EXTENSION].identify(server_variables)


def log_out() -> Response:
    """End the session here and at the identity provider, and return where to go."""
    return current_app.extensions[EXTENSION].log_out()
