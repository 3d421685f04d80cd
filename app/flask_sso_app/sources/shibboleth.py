# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shibboleth: mod_shib puts the session and its attributes into the WSGI environ, never into ``HTTP_*``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Config, Flask, current_app, g, url_for
from flask_multipass import Multipass
from werkzeug.wrappers import Response

from flask_sso_app import login
from flask_sso_app.identity import Identity, Session, parse_instant
from flask_sso_app.transport import decode

NAME = "shibboleth"


class SingleSignOn(Multipass):
    """Flask-Multipass, stricter about where to go after a login and clearer about why one failed."""

    def validate_next_url(self, url: str) -> bool:
        """Accept own paths only."""
        return login.is_own_path(url)

    def handle_auth_error(self, exc: Exception, redirect_to_login: bool = False) -> tuple[str, int]:
        """Say what is missing. Another try would fail the same way, so there is no redirect to the login."""
        return refuse()


multipass = SingleSignOn()


@multipass.identity_handler
def finish(_identity_info: object) -> tuple[str, int] | None:
    """Go on to the page asked for, or refuse a session that names nobody or several people."""
    if g.identity is None:
        return refuse()
    multipass.set_next_url()
    return None


def init_app(app: Flask) -> None:
    """Set up ``/login``, where Apache requires a session."""
    app.config.update(
        multipass_settings(app.config), MULTIPASS_LOGIN_URLS=None, MULTIPASS_SUCCESS_ENDPOINT="pages.home"
    )
    app.add_url_rule("/login", "login", build_only=True)  # a short name for the rule that Flask-Multipass adds
    multipass.init_app(app)


def log_out() -> Response:
    """End the single sign-on session, and come back to the start page."""
    return multipass.auth_providers[NAME].process_logout(url_for("pages.home", _external=True))


def refuse() -> tuple[str, int]:
    """Explain why a login did not work."""
    return login.refuse(read_session(g.variables), read_attributes(g.variables))


def multipass_settings(config: Config) -> dict[str, Any]:
    """Return the Flask-Multipass settings of this source.

    Flask-Multipass gets the identifier only: it decides whether a login succeeds, :func:`identify` who the user is.

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


def identify(environ: Mapping[str, Any]) -> Identity | None:
    """Return the identity behind a Shibboleth session.

    :param environ: WSGI environ of the request.
    :return: None without a session, or without exactly one value of the identifier.
    """
    fields = current_app.config["ATTRIBUTES"]
    return Identity.from_attributes(NAME, fields, read_attributes(environ), read_session(environ))


def read_session(environ: Mapping[str, Any]) -> Session | None:
    """Return the facts of the Shibboleth session, or None if there is none."""
    session_id = environ.get("Shib-Session-ID")
    if not session_id:
        return None
    return Session(
        id=session_id,
        identity_provider=decode(environ.get("Shib-Identity-Provider", "")),
        authenticated_at=parse_instant(environ.get("Shib-Authentication-Instant", "")),
        context=decode(environ.get("Shib-AuthnContext-Class", "")),
    )


def read_attributes(environ: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the attributes named in the settings that have a value. One that came under several names counts once."""
    config = current_app.config
    names = dict.fromkeys([*config["ATTRIBUTES"].values(), *config["MORE_ATTRIBUTES"]])
    attributes = {name: tuple(dict.fromkeys(split_values(decode(environ.get(name, ""))))) for name in names}
    return {name: values for name, values in attributes.items() if values}


def split_values(text: str) -> tuple[str, ...]:
    r"""Split the values of an attribute: ``;`` separates them, ``\;`` is a semicolon, nothing else is escaped."""
    return tuple(value.replace(r"\;", ";") for value in re.split(r"(?<!\\);", text) if value)
