# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""People in an LDAP directory. Only the setting ``LDAP`` needs python-ldap, which has to be compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from string import Formatter
from time import monotonic
from typing import Any

from flask import Flask, current_app
from werkzeug.exceptions import ServiceUnavailable

from flask_sso_app.settings import ATTRIBUTES, SettingsError, read_credential

EXTENSION = "flask_sso_directory"

#: What the setting ``LDAP`` may hold, and what it need not.
DEFAULTS: dict[str, Any] = {
    "uri": "",
    "base": "",
    "bind_dn": "",
    "ca_file": "",
    "filter": "(userCertificate:certificateExactMatch:={certificate})",
    "attributes": {"identifier": "uid", "name": "displayName", "email": "mail", "groups": "memberOf"},
    "cache_seconds": 60,
}

#: ``ldap://`` always starts TLS, so nothing goes over a network in the clear.
URI = r"(ldaps?://)[\w.:\[\]-]+/?( \1[\w.:\[\]-]+/?)*|ldapi://[\w%.-]*/?"

#: What a filter can ask for.
PLACEHOLDERS = {"certificate", "name", "email"}

#: How long a server may take over each step.
SECONDS = 3

#: How many answers are kept.
ANSWERS = 1024


class NobodyError(LookupError):
    """The directory does not know exactly one person; the message says whom it was asked for."""


class Directory:
    """An LDAP directory.

    :param settings: what :func:`check` returned.
    :param password: of the account ``bind_dn``; empty without one.
    :raises ImportError: if python-ldap is missing.
    """

    def __init__(self, settings: Mapping[str, Any], password: str) -> None:
        self.ldap = import_module("ldap")
        self.settings = settings
        self.password = password
        self.recall = lru_cache(ANSWERS)(self.ask)  # forgets failures and strangers: those raise

    def find(self, holder: Mapping[str, str]) -> dict[str, Any] | None:
        """Return who holds a certificate, if the directory has exactly one such entry.

        :param holder: what the certificate says, by placeholder.
        :raises ServiceUnavailable: if the directory does not answer.
        """
        condition = fill(self.settings["filter"], holder)
        try:
            return self.recall(condition, monotonic() // self.settings["cache_seconds"]) if condition else None
        except NobodyError as reason:
            current_app.logger.warning("%s", reason)
            return None
        except self.ldap.LDAPError as error:
            current_app.logger.error("The directory %s does not answer: %r", self.settings["uri"], error)
            raise ServiceUnavailable from error

    def ask(self, condition: str, _period: float) -> dict[str, Any]:
        """Return the one person whom a filter finds.

        :raises NobodyError: if it finds nobody or several people.
        :raises ldap.LDAPError: if the directory does not answer.
        """
        ldap, settings = self.ldap, self.settings
        connection = ldap.initialize(settings["uri"])
        try:
            self.set_options(connection)
            if settings["uri"].startswith("ldap://"):
                connection.start_tls_s()
            connection.simple_bind_s(settings["bind_dn"], self.password)
            wanted = list(settings["attributes"].values())
            found = connection.search_ext_s(settings["base"], ldap.SCOPE_SUBTREE, condition, wanted, sizelimit=2)
        except ldap.SIZELIMIT_EXCEEDED:
            found = []
        finally:
            connection.unbind_s()
        entries = [entry for name, entry in found if name]  # a reference to another server has no name
        person = read(entries[0], settings["attributes"]) if len(entries) == 1 else None
        if person is None:
            raise NobodyError(f"The directory does not have exactly one person for {condition!r}.")
        return person

    def set_options(self, connection: Any) -> None:
        """Insist on a verified server that answers in time."""
        ldap = self.ldap
        authorities = self.settings["ca_file"] or ldap.get_option(ldap.OPT_X_TLS_CACERTFILE)  # ldap.conf's
        connection.set_option(ldap.OPT_CONNECT_ASYNC, 1)  # else a server silent in the handshake never times out
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, SECONDS)
        connection.set_option(ldap.OPT_TIMEOUT, SECONDS)
        connection.set_option(ldap.OPT_REFERRALS, 0)
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        if authorities:
            connection.set_option(ldap.OPT_X_TLS_CACERTFILE, authorities)
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # the options of TLS take effect with this


def init_app(app: Flask) -> None:
    """Give an application its directory, if the setting ``LDAP`` describes one.

    :raises SettingsError: if that cannot work.
    """
    if app.config["LDAP"] is None:
        return
    settings = check(app.config["LDAP"])
    if app.config["SOURCE"] != "client_certificate" or app.config["PEOPLE"] is not None:
        raise SettingsError("FLASK_SSO_LDAP is for FLASK_SSO_SOURCE=client_certificate, without FLASK_SSO_PEOPLE.")
    password = read_credential("ldap_password") if settings["bind_dn"] else ""
    if settings["bind_dn"] and not password:
        raise SettingsError(
            "FLASK_SSO_LDAP has a bind_dn. Give the service its password as the systemd credential 'ldap_password' "
            "(LoadCredential=ldap_password:/path), or leave bind_dn out."
        )
    try:
        app.extensions[EXTENSION] = Directory(settings, password)
    except ImportError as error:
        raise SettingsError(f"FLASK_SSO_LDAP needs what requirements-ldap.txt lists: {error}.") from error


def check(given: object) -> dict[str, Any]:
    """Return the setting ``LDAP`` with its defaults.

    :raises SettingsError: if it cannot work or is not safe.
    """
    if not isinstance(given, dict) or given.keys() - DEFAULTS.keys():
        raise SettingsError(
            f"FLASK_SSO_LDAP is a JSON object with {', '.join(DEFAULTS)}, and nothing else: the password is the "
            f"systemd credential 'ldap_password'."
        )
    settings = DEFAULTS | given
    attributes, seconds = settings["attributes"], settings["cache_seconds"]
    if not all(isinstance(settings[key], str) for key in ("uri", "base", "bind_dn", "ca_file", "filter")):
        raise SettingsError("FLASK_SSO_LDAP: uri, base, bind_dn, ca_file and filter are texts.")
    if not re.fullmatch(URI, settings["uri"]):
        raise SettingsError(
            f"FLASK_SSO_LDAP: uri is {settings['uri']!r}; write ldaps://HOST, or ldap://HOST, which then starts TLS "
            f"(several with a space between), or ldapi://SOCKET."
        )
    if not settings["base"]:
        raise SettingsError("FLASK_SSO_LDAP: base is missing; write where the people are, ou=people,dc=example,dc=org.")
    if settings["ca_file"] and not Path(settings["ca_file"]).is_file():
        raise SettingsError(f"FLASK_SSO_LDAP: ca_file {settings['ca_file']!r} is not a file that the service sees.")
    if not placeholders(settings["filter"]) or placeholders(settings["filter"]) - PLACEHOLDERS:
        raise SettingsError(
            f"FLASK_SSO_LDAP: filter is {settings['filter']!r}; write one with {{certificate}}, {{email}} or {{name}}, "
            f"for example (mail={{email}})."
        )
    if (
        not isinstance(attributes, dict)
        or "identifier" not in attributes
        or attributes.keys() - ATTRIBUTES.keys()
        or not all(isinstance(name, str) and name for name in attributes.values())
    ):
        raise SettingsError(
            "FLASK_SSO_LDAP: attributes is an object with the key identifier and, if wanted, name, email, groups."
        )
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
        raise SettingsError(f"FLASK_SSO_LDAP: cache_seconds is {seconds!r}; write a whole number of at least 1.")
    return settings


def placeholders(template: str) -> set[str]:
    """Return the placeholders in a filter; none if its braces are wrong."""
    try:
        return {part[1] for part in Formatter().parse(template) if part[1] is not None}
    except ValueError:
        return set()


def fill(template: str, holder: Mapping[str, str]) -> str:
    """Return the filter that finds the holder, or an empty text if the certificate does not say what it asks for."""
    if not all(holder[name] for name in placeholders(template)):
        return ""
    return template.format_map({name: escape(value) for name, value in holder.items()})


def escape(value: str) -> str:
    """Return a value for a filter: nothing in it is a wildcard or ends it (RFC 4515)."""
    return re.sub(r"[\\*()\0]", lambda found: f"\\{ord(found[0]):02x}", value)


def read(entry: Mapping[str, list[bytes]], attributes: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the person that an entry describes, or None without exactly one value of the identifier."""
    texts = {name.lower(): [value.decode(errors="backslashreplace") for value in entry[name]] for name in entry}
    values = {field: texts.get(name.lower(), []) for field, name in attributes.items()}
    if len(values["identifier"]) != 1 or not values["identifier"][0]:
        return None
    groups = values.pop("groups", [])
    return {field: next(iter(found), "") for field, found in values.items()} | {"groups": groups}
