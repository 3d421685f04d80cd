# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: their defaults, environment variables ``FLASK_SSO_*`` (JSON or plain strings), and the secret key."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

#: Attribute for each field of the identity (profile ``cern``).
DEFAULT_ATTRIBUTES = {"identifier": "upn", "name": "displayName", "email": "EmailAddress", "groups": "Group"}

#: Modules in :mod:`flask_sso_app.authentication`.
AUTHENTICATION_METHODS = ("shibboleth", "openid_connect", "saml", "client_certificates")

#: Further attributes to show (profile ``cern``).
DEFAULT_MORE_ATTRIBUTES = [
    "PersonID",
    "Firstname",
    "Lastname",
    "PreferredLanguage",
    "eduPersonOrcid",
    "uidNumber",
    "gidNumber",
    "CernRoles",
]

#: Keys of an entry in ``PEOPLE`` that are required, and all whose value is a string.
REQUIRED_KEYS = ("issuer", "serial", "identifier")
STRING_KEYS = {*REQUIRED_KEYS, "name", "email"}

#: Names that the identifier must not have: Flask-Multipass passes it as a keyword argument beside these.
RESERVED_NAMES = {"identifier", "multipass_data", "provider", "secure_login", "self"}


class SettingsError(ValueError):
    """A setting is wrong or missing; the message says how to fix it."""


def load(app: Flask, overrides: Mapping[str, Any]) -> None:
    """Set ``app.config``.

    :param app: the application.
    :param overrides: settings that take precedence over the environment.
    :raises SettingsError: if a setting is wrong or the secret key is missing.
    """
    app.config.from_mapping(
        AUTHENTICATION="shibboleth",
        PEOPLE=None,
        HEADER_PREFIX="",
        SAML={},
        LDAP=None,
        ATTRIBUTES=DEFAULT_ATTRIBUTES,
        MORE_ATTRIBUTES=DEFAULT_MORE_ATTRIBUTES,
        LOGOUT_URI="/Shibboleth.sso/Logout?return={return_url}",
        SESSION_COOKIE_NAME="flask_sso" if app.debug else "__Host-flask_sso",
        SESSION_COOKIE_SECURE=not app.debug,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.from_prefixed_env("FLASK_SSO")
    app.config.from_mapping(overrides)
    if "SECRET_KEY" not in overrides:
        app.config["SECRET_KEY"] = secret_key(app)
    validate_authentication(app.config["AUTHENTICATION"])
    if app.config["PEOPLE"] is not None:
        app.config["PEOPLE"] = read_people(app.config["PEOPLE"])
        validate_people(app.config["PEOPLE"])
    validate_attributes(app.config["ATTRIBUTES"], app.config["MORE_ATTRIBUTES"])


def secret_key(app: Flask) -> str:
    """Return the key that signs the session cookie. In debug mode a random one is the default.

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
    """Return a systemd credential of the service, or an empty string if there is none.

    :raises OSError: if the credential exists but cannot be read.
    """
    path = credential_path(name)
    return path.read_text().strip() if path else ""


def credential_path(name: str) -> Path | None:
    """Return the path of a systemd credential of the service, or None if there is none."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory, name) if directory else None
    return path if path and path.exists() else None


def read_people(people: object) -> object:
    """Return the setting ``PEOPLE``, or the content of the JSON file if it is a path.

    :raises SettingsError: if the file cannot be read.
    """
    try:
        return json.loads(Path(people).read_text()) if isinstance(people, str) else people
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"FLASK_SSO_PEOPLE is {people!r}; write a JSON list, or the path of a JSON file. {error}."
        ) from error


def validate_authentication(name: object) -> None:
    """Validate the setting ``AUTHENTICATION``.

    :raises SettingsError: if there is no such authentication method.
    """
    if name not in AUTHENTICATION_METHODS:
        raise SettingsError(f"FLASK_SSO_AUTHENTICATION is {name!r}; write one of {', '.join(AUTHENTICATION_METHODS)}.")


def validate_people(people: object) -> None:
    """Validate the setting ``PEOPLE``.

    :param people: list of the holders of client certificates. With an empty list no user can log in.
    :raises SettingsError: if it is not a list, or if an entry is wrong.
    """
    if not isinstance(people, list):
        raise SettingsError(f"FLASK_SSO_PEOPLE is a JSON list of objects; got {people!r}.")
    for person in people:
        strings = {key: value for key, value in person.items() if key != "groups"} if isinstance(person, dict) else {}
        if (
            not all(strings.get(key) for key in REQUIRED_KEYS)
            or strings.keys() - STRING_KEYS
            or not all(isinstance(value, str) for value in strings.values())
        ):
            raise SettingsError(
                f"FLASK_SSO_PEOPLE has {person!r}; write the strings {', '.join(REQUIRED_KEYS)} and, optionally, name "
                f"and email."
            )
        groups = person.get("groups", [])
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise SettingsError(f"FLASK_SSO_PEOPLE has {person!r}; write groups as a list of strings or leave it out.")
        if not re.fullmatch("[0-9A-Fa-f]+", person["serial"]):
            raise SettingsError(
                f"FLASK_SSO_PEOPLE has {person!r}; write the serial in hexadecimal digits only, as 'openssl x509 "
                f"-noout -serial' prints it."
            )


def validate_attributes(names: object, more: object) -> None:
    """Validate the settings ``ATTRIBUTES`` and ``MORE_ATTRIBUTES``.

    :param names: maps fields of the identity to names of attributes.
    :param more: list of further names.
    :raises SettingsError: if a name cannot be used, or if a client could set it.
    """
    if not isinstance(names, dict) or "identifier" not in names or names.keys() - DEFAULT_ATTRIBUTES.keys():
        raise SettingsError(
            f"FLASK_SSO_ATTRIBUTES is a JSON object with the key identifier and, optionally, name, email, groups; "
            f"got {names!r}."
        )
    if not isinstance(more, list):
        raise SettingsError(f"FLASK_SSO_MORE_ATTRIBUTES is a JSON list of attribute names; got {more!r}.")
    for name in [*names.values(), *more]:
        if not isinstance(name, str) or not name or name.upper().startswith("HTTP_"):
            raise SettingsError(f"{name!r} is not a valid attribute name; clients can set HTTP_*.")
    if names["identifier"].lower() in RESERVED_NAMES:
        raise SettingsError(f"The identifier cannot be named {names['identifier']!r}: use another name.")
