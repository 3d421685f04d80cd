# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapters, one for each authentication.

Each is a module with three functions: ``init_app`` brings the routes of its login, ``identify`` turns a WSGI environ
into an identity or None, and ``log_out`` answers a user who leaves. Only the one in the setting ``SOURCE`` is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from flask import Flask, current_app
from werkzeug.wrappers import Response

from flask_sso_app.identity import Identity
from flask_sso_app.settings import SettingsError

EXTENSION = "flask_sso_source"


def init_app(app: Flask) -> None:
    """Set up the login of an application by the source in its setting ``SOURCE``.

    :raises SettingsError: if the source lacks a package or a setting.
    """
    try:
        source = app.extensions[EXTENSION] = import_module(f"{__name__}.{app.config['SOURCE']}")
    except ImportError as error:
        raise SettingsError(
            f"FLASK_SSO_SOURCE {app.config['SOURCE']!r}: {error}; see requirements-saml.txt."
        ) from error
    source.init_app(app)


def identify(variables: Mapping[str, Any]) -> Identity | None:
    """Return the identity that the source finds, or None for an anonymous request.

    :param variables: what the server says of the request (see :mod:`flask_sso_app.transport`).
    """
    return current_app.extensions[EXTENSION].identify(variables)


def log_out() -> Response:
    """End the login, here and where it came from."""
    return current_app.extensions[EXTENSION].log_out()
