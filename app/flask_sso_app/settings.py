# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: defaults, the environment (``FLASK_SSO_*``, JSON where not a plain string) and the secret key."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

#: What a field of the identity is called in the environ (profile ``cern``).
ATTRIBUTES = {"identifier": "upn", "name": "displayName", "email": "EmailAddress", "groups": "Group"}

#: Names of the adapters in :mod:`flask_sso_app.sources`.
SOURCES = ("shibboleth", "client_certificate", "saml")

#: Further attributes to show.
MORE_ATTRIBUTES = [
    "PersonID",
    "Firstname",
    "Lastname",
    "PreferredLanguage",
    "eduPersonOrcid",
    "uidNumber",
    "gidNumber",
    "CernRoles",
]

#: What PEOPLE says of everybody, and what it may say.
NEEDED = ("issuer", "serial", "identifier")
TEXTS = {*NEEDED, "name", "email"}

#: Flask-Multipass passes the identifier as a keyword argument beside these.
RESERVED = {"identifier", "multipass_data", "provider", "secure_login", "self"}


class SettingsError(ValueError):
    """A setting is wrong or missing; the message says how to put it right."""


def load(app: Flask, overrides: Mapping[str, Any]) -> None:
    """Fill ``app.config``.

    :param overrides: settings that win over the environment.
    :raises SettingsError: if a setting is wrong or the secret key is missing.
    """
    app.config.from_mapping(
        SOURCE="shibboleth",
        PEOPLE=None,
        HEADER_PREFIX="",
        SAML={},
        LDAP=None,
        ATTRIBUTES=ATTRIBUTES,
        MORE_ATTRIBUTES=MORE_ATTRIBUTES,
        LOGOUT_URI="/Shibboleth.sso/Logout?return={return_url}",
        SESSION_COOKIE_NAME="flask_sso" if app.debug else "__Host-flask_sso",
        SESSION_COOKIE_SECURE=not app.debug,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.from_prefixed_env("FLASK_SSO")
    app.config.from_mapping(overrides)
    if "SECRET_KEY" not in overrides:
        app.config["SECRET_KEY"] = secret_key(app)
    check_source(app.config["SOURCE"])
    if app.config["PEOPLE"] is not None:
        app.config["PEOPLE"] = read_people(app.config["PEOPLE"])
        check_people(app.config["PEOPLE"])
    check_attributes(app.config["ATTRIBUTES"], app.config["MORE_ATTRIBUTES"])


def secret_key(app: Flask) -> str:
    """Return the key that signs the session cookie; in debug mode one is made up if need be.

    :raises SettingsError: if there is none.
    """
    key = read_credential("secret_key") or str(app.config["SECRET_KEY"] or "")
    if not key and app.debug:
        key = secrets.token_hex()
    if not key:
        raise SettingsError(
            "No secret key. Give the service the systemd credential 'secret_key' "
            "(LoadCredential=secret_key:/path, read from $CREDENTIALS_DIRECTORY/secret_key), "
            "or set the environment variable FLASK_SSO_SECRET_KEY."
        )
    return key


def read_credential(name: str) -> str:
    """Return a credential that systemd gave the service, or an empty text if it gave none.

    :raises OSError: if the credential is there but cannot be read.
    """
    path = credential(name)
    return path.read_text().strip() if path else ""


def credential(name: str) -> Path | None:
    """Return where a credential is that systemd gave the service, or None if it gave none."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory, name) if directory else None
    return path if path and path.exists() else None


def read_people(people: object) -> object:
    """Return the setting ``PEOPLE``, or what the JSON file holds whose path it is.

    :raises SettingsError: if there is no such file.
    """
    try:
        return json.loads(Path(people).read_text()) if isinstance(people, str) else people
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"FLASK_SSO_PEOPLE is {people!r}; write a JSON list, or the path of a file with one. {error}."
        ) from error


def check_source(source: object) -> None:
    """Refuse an authentication that does not exist.

    :param source: ``SOURCE``, name of the adapter.
    :raises SettingsError: if there is no such adapter.
    """
    if source not in SOURCES:
        raise SettingsError(f"FLASK_SSO_SOURCE is {source!r}; write one of {', '.join(SOURCES)}.")


def check_people(people: object) -> None:
    """Refuse people who cannot be recognised, and what would be taken for something else.

    :param people: ``PEOPLE``, list of who holds which client certificate. An empty one lets nobody in.
    :raises SettingsError: if one of them does not fit.
    """
    if not isinstance(people, list):
        raise SettingsError(f"FLASK_SSO_PEOPLE is a JSON list of objects; got {people!r}.")
    for one in people:
        texts = {key: value for key, value in one.items() if key != "groups"} if isinstance(one, dict) else {}
        if (
            not all(texts.get(key) for key in NEEDED)
            or texts.keys() - TEXTS
            or not all(isinstance(text, str) for text in texts.values())
        ):
            raise SettingsError(
                f"FLASK_SSO_PEOPLE has {one!r}; write {', '.join(NEEDED)} for everybody and, if wanted, name and "
                f"email, each a text."
            )
        groups = one.get("groups", [])
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise SettingsError(f"FLASK_SSO_PEOPLE has {one!r}; write groups, a list of texts, or leave them out.")
        if not re.fullmatch("[0-9A-Fa-f]+", one["serial"]):
            raise SettingsError(
                f"FLASK_SSO_PEOPLE has {one!r}; write the serial in hexadecimal digits alone, as 'openssl x509 -noout "
                f"-serial' prints them."
            )


def check_attributes(names: object, more: object) -> None:
    """Refuse attribute names that cannot work or that a client could set.

    :param names: ``ATTRIBUTES``, field of the identity to name in the environ.
    :param more: ``MORE_ATTRIBUTES``, list of further names in the environ.
    :raises SettingsError: if they do not fit.
    """
    if not isinstance(names, dict) or "identifier" not in names or names.keys() - ATTRIBUTES.keys():
        raise SettingsError(
            f"FLASK_SSO_ATTRIBUTES is a JSON object with the key identifier and, if wanted, name, email, groups; "
            f"got {names!r}."
        )
    if not isinstance(more, list):
        raise SettingsError(f"FLASK_SSO_MORE_ATTRIBUTES is a JSON list of attribute names; got {more!r}.")
    for name in [*names.values(), *more]:
        if not isinstance(name, str) or not name or name.upper().startswith("HTTP_"):
            raise SettingsError(f"{name!r} is not an attribute name: a client can set HTTP_* by a header.")
    if names["identifier"].lower() in RESERVED:
        raise SettingsError(f"The identifier cannot be called {names['identifier']!r}: use another id.")
