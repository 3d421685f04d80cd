# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shibboleth: mod_shib puts the session and its attributes into the WSGI environ, never into ``HTTP_*``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Config, current_app

from flask_sso_app.identity import Identity, Session

NAME = "shibboleth"


def multipass_settings(config: Config) -> dict[str, Any]:
    """Return the Flask-Multipass settings of this source.

    Flask-Multipass gets the identifier only: it decides whether a login succeeds, :func:`identify` who the user is.

    :param config: settings of the application.
    """
    identifier = config["ATTRIBUTES"]["identifier"]
    auth = {"type": NAME, "callback_uri": "/login", "attrs": [identifier], "logout_uri": config["LOGOUT_URI"]}
    return {
        "MULTIPASS_AUTH_PROVIDERS": {NAME: auth},
        "MULTIPASS_IDENTITY_PROVIDERS": {NAME: {"type": NAME, "identifier_field": identifier}},
        "MULTIPASS_PROVIDER_MAP": {NAME: NAME},
    }


def identify(environ: Mapping[str, Any]) -> Identity | None:
    """Return the identity behind a Shibboleth session.

    :param environ: WSGI environ of the request.
    :return: None without a session, or without exactly one value of the identifier.
    """
    session = read_session(environ)
    names = current_app.config["ATTRIBUTES"]
    attributes = read_attributes(environ)

    def values(field: str) -> tuple[str, ...]:
        return attributes.get(names.get(field, ""), ())

    def first(field: str) -> str:
        return next(iter(values(field)), "")

    if session is None or len(values("identifier")) != 1:
        return None
    return Identity(
        source=NAME,
        identifier=first("identifier"),
        name=first("name"),
        email=first("email"),
        groups=values("groups"),
        attributes=attributes,
        session=session,
    )


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
    """Return the attributes named in the settings that have a value."""
    config = current_app.config
    names = dict.fromkeys([*config["ATTRIBUTES"].values(), *config["MORE_ATTRIBUTES"]])
    attributes = {name: split_values(decode(environ.get(name, ""))) for name in names}
    return {name: values for name, values in attributes.items() if values}


def decode(text: str) -> str:
    """Return the UTF-8 text that WSGI hands over as if its bytes were Latin-1 (PEP 3333)."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def split_values(text: str) -> tuple[str, ...]:
    r"""Split the values of an attribute: ``;`` separates them, ``\;`` is a semicolon, nothing else is escaped."""
    return tuple(value.replace(r"\;", ";") for value in re.split(r"(?<!\\);", text) if value)


def parse_instant(text: str) -> datetime | None:
    """Return a time of the form ``2026-01-31T12:00:00Z``, or None if it has another form."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
