# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shibboleth: mod_shib passes the session and its attributes as server variables, never in ``HTTP_*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Config, Flask, current_app, g, url_for
from flask_multipass import Multipass
from werkzeug.wrappers import Response

from flask_sso_app import login
from flask_sso_app.attributes import read_attributes
from flask_sso_app.identity import Identity, Session, parse_datetime
from flask_sso_app.transport import decode_wsgi

NAME = "shibboleth"


class ShibbolethMultipass(Multipass):
    """Flask-Multipass with stricter URLs after a login, and a page that says why a login failed."""

    def validate_next_url(self, url: str) -> bool:
        """Accept local paths only."""
        return login.is_local_path(url)

    def handle_auth_error(self, exc: Exception, redirect_to_login: bool = False) -> tuple[str, int]:
        """Say what is missing. There is no redirect to the login, as it would fail again."""
        return reject_login()


multipass = ShibbolethMultipass()


@multipass.identity_handler
def complete_login(_identity_info: object) -> tuple[str, int] | None:
    """Go to the requested page, or reject a session without exactly one value of the identifier."""
    if g.identity is None:
        return reject_login()
    multipass.set_next_url()
    return None


def init_app(app: Flask) -> None:
    """Set up ``/login``, where Apache requires a Shibboleth session."""
    app.config.update(
        multipass_settings(app.config), MULTIPASS_LOGIN_URLS=None, MULTIPASS_SUCCESS_ENDPOINT="pages.home"
    )
    # Flask-Multipass adds the view under another endpoint; url_for("login") has to work for all methods.
    app.add_url_rule("/login", "login", build_only=True)
    multipass.init_app(app)


def log_out() -> Response:
    """End the Shibboleth session and come back to the start page."""
    return multipass.auth_providers[NAME].process_logout(url_for("pages.home", _external=True))


def reject_login() -> tuple[str, int]:
    """Reject the login of the current request."""
    return login.reject(read_session(g.server_variables), read_attributes(g.server_variables))


def multipass_settings(config: Config) -> dict[str, Any]:
    """Return the settings of Flask-Multipass.

    It gets only the identifier: it decides whether a login succeeds, and :func:`identify` who the user is.

    :param config: settings of the application.
    """
    identifier, prefix = config["ATTRIBUTES"]["identifier"], config["HEADER_PREFIX"]
    field = prefix + identifier.replace("_", "-") if prefix else identifier
    auth = {"type": NAME, "callback_uri": "/login", "attrs": [field], "logout_uri": config["LOGOUT_URI"]}
    return {
        "MULTIPASS_AUTH_PROVIDERS": {NAME: {**auth, "from_headers": bool(prefix)}},
        "MULTIPASS_IDENTITY_PROVIDERS": {NAME: {"type": NAME, "identifier_field": field}},
        "MULTIPASS_PROVIDER_MAP": {NAME: NAME},
    }


def identify(server_variables: Mapping[str, Any]) -> Identity | None:
    """Return the identity of a Shibboleth session.

    :param server_variables: variables of mod_shib.
    :return: None without a session, or without exactly one value of the identifier.
    """
    fields = current_app.config["ATTRIBUTES"]
    return Identity.from_attributes(NAME, fields, read_attributes(server_variables), read_session(server_variables))


def read_session(server_variables: Mapping[str, Any]) -> Session | None:
    """Return the Shibboleth session, or None if there is none."""
    session_id = server_variables.get("Shib-Session-ID")
    if not session_id:
        return None
    return Session(
        id=session_id,
        identity_provider=decode_wsgi(server_variables.get("Shib-Identity-Provider", "")),
        authenticated_at=parse_datetime(server_variables.get("Shib-Authentication-Instant", "")),
        context=decode_wsgi(server_variables.get("Shib-AuthnContext-Class", "")),
    )
