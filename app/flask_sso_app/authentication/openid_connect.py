# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenID Connect: mod_auth_openidc logs users in; httpd passes the claims as variables, never in ``HTTP_*``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from flask import Flask, current_app, g, redirect, url_for
from werkzeug.wrappers import Response

from flask_sso_app import login
from flask_sso_app.attributes import read_attributes
from flask_sso_app.identity import Identity, Session
from flask_sso_app.transport import decode_wsgi

NAME = "openid_connect"
PROGRAM = "bearer_token"


def init_app(app: Flask) -> None:
    """Set up ``/login``, where Apache requires a session."""
    app.add_url_rule("/login", "login", log_in)


def log_in() -> Response | tuple[str, int]:
    """Go to the requested page, or reject a session without exactly one value of the identifier."""
    if g.identity is None:
        return login.reject(read_session(g.server_variables), read_attributes(g.server_variables))
    return redirect(login.next_url())


def log_out() -> Response:
    """End the sessions of Apache and of the provider, and come back to the start page."""
    return_url = quote(url_for("pages.home", _external=True), safe="")
    return redirect(current_app.config["LOGOUT_URI"].format(return_url=return_url))


def identify(server_variables: Mapping[str, Any]) -> Identity | None:
    """Return the identity of a session of mod_auth_openidc, or of a program with an access token.

    :param server_variables: httpd's variables.
    :return: None without either, or without exactly one value of the identifier.
    """
    fields = current_app.config["ATTRIBUTES"]
    source = PROGRAM if server_variables.get("OIDC_SOURCE") == "token" else NAME
    return Identity.from_attributes(source, fields, read_attributes(server_variables), read_session(server_variables))


def read_session(server_variables: Mapping[str, Any]) -> Session | None:
    """Return the session or the token, or None if there is none. Each has an issuer and a subject."""

    def claim(name: str) -> str:
        return decode_wsgi(server_variables.get(f"OIDC_CLAIM_{name}", ""))

    if not claim("iss") or not claim("sub"):
        return None
    return Session(
        id=claim("sid") or claim("sub"),
        identity_provider=claim("iss"),
        authenticated_at=parse_timestamp(claim("auth_time") or claim("iat")),
        context=claim("acr"),
    )


def parse_timestamp(text: str) -> datetime | None:
    """Parse seconds since 1970; None if it has another form."""
    try:
        return datetime.fromtimestamp(int(text), timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None
