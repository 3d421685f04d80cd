# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users in an LDAP directory. python-ldap has to be compiled, so it is only imported with the setting ``LDAP``."""

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

from flask_sso_app.settings import DEFAULT_ATTRIBUTES, SettingsError, read_credential

EXTENSION = "flask_sso_ldap"

#: Keys of the setting ``LDAP`` with their defaults. ``uri`` and ``base`` are required.
DEFAULTS: dict[str, Any] = {
    "uri": "",
    "base": "",
    "bind_dn": "",
    "ca_file": "",
    "filter": "(userCertificate:certificateExactMatch:={certificate})",
    "attributes": {"identifier": "uid", "name": "displayName", "email": "mail", "groups": "memberOf"},
    "cache_seconds": 60,
}

#: Allowed URIs. ``ldap://`` always uses StartTLS, so no connection over a network is unencrypted.
URI_PATTERN = r"(ldaps?://)[\w.:\[\]-]+/?( \1[\w.:\[\]-]+/?)*|ldapi://[\w%.-]*/?"

#: Placeholders allowed in the filter.
PLACEHOLDERS = {"certificate", "name", "email"}

#: Timeout of each operation.
TIMEOUT_SECONDS = 3

#: Maximum number of cached results.
CACHE_SIZE = 1024


class NoUniqueEntryError(LookupError):
    """A search does not find exactly one person; the message has the filter."""


class LdapDirectory:
    """An LDAP directory.

    :param settings: as returned by :func:`validate_settings`.
    :param password: password of ``bind_dn``; empty for an anonymous bind.
    :raises ImportError: if python-ldap is missing.
    """

    def __init__(self, settings: Mapping[str, Any], password: str) -> None:
        self.ldap = import_module("ldap")
        self.settings = settings
        self.password = password
        self.cached_search = lru_cache(CACHE_SIZE)(self.search)  # exceptions are not cached

    def find_person(self, values: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the person whom the filter finds, or None unless there is exactly one.

        :param values: values for the placeholders of the filter.
        :raises ServiceUnavailable: if the directory does not answer.
        """
        search_filter = build_filter(self.settings["filter"], values)
        try:
            period = int(monotonic() // self.settings["cache_seconds"])  # results are cached until the next period
            return self.cached_search(search_filter, period) if search_filter else None
        except NoUniqueEntryError as error:
            current_app.logger.warning("%s", error)
            return None
        except self.ldap.LDAPError as error:
            current_app.logger.error("The directory %s does not answer: %r", self.settings["uri"], error)
            raise ServiceUnavailable("The directory of users does not answer. Try again later.") from error

    def search(self, search_filter: str, _period: int) -> dict[str, Any]:
        """Return the person whom a filter finds.

        :param search_filter: the filter without placeholders.
        :param _period: number that makes the cache expire.
        :raises NoUniqueEntryError: unless the filter finds exactly one person.
        :raises ldap.LDAPError: if the directory does not answer.
        """
        ldap, settings = self.ldap, self.settings
        connection = ldap.initialize(settings["uri"])
        try:
            self.configure(connection)
            if settings["uri"].startswith("ldap://"):
                connection.start_tls_s()
            connection.simple_bind_s(settings["bind_dn"], self.password)
            names = list(settings["attributes"].values())
            results = connection.search_ext_s(settings["base"], ldap.SCOPE_SUBTREE, search_filter, names, sizelimit=2)
        except ldap.SIZELIMIT_EXCEEDED:
            results = []
        finally:
            connection.unbind_s()
        entries = [entry for dn, entry in results if dn]  # referrals have no DN
        person = read_entry(entries[0], settings["attributes"]) if len(entries) == 1 else None
        if person is None:
            raise NoUniqueEntryError(f"The directory does not have exactly one person for {search_filter!r}.")
        return person

    def configure(self, connection: Any) -> None:
        """Require a verified certificate of the server, and set timeouts."""
        ldap = self.ldap
        ca_file = self.settings["ca_file"] or ldap.get_option(ldap.OPT_X_TLS_CACERTFILE)  # that of ldap.conf
        connection.set_option(ldap.OPT_CONNECT_ASYNC, 1)  # without it there is no timeout during the TLS handshake
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, TIMEOUT_SECONDS)
        connection.set_option(ldap.OPT_TIMEOUT, TIMEOUT_SECONDS)
        connection.set_option(ldap.OPT_REFERRALS, 0)
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        if ca_file:
            connection.set_option(ldap.OPT_X_TLS_CACERTFILE, ca_file)
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # makes the TLS options take effect


def init_app(app: Flask) -> None:
    """Set up the directory of an application, if the setting ``LDAP`` is given.

    :raises SettingsError: if the setting is wrong, or if a package or the password is missing.
    """
    if app.config["LDAP"] is None:
        return
    settings = validate_settings(app.config["LDAP"])
    if app.config["AUTHENTICATION"] != "client_certificates" or app.config["PEOPLE"] is not None:
        raise SettingsError(
            "FLASK_SSO_LDAP needs FLASK_SSO_AUTHENTICATION=client_certificates, and does not go with FLASK_SSO_PEOPLE."
        )
    password = read_credential("ldap_password") if settings["bind_dn"] else ""
    if settings["bind_dn"] and not password:
        raise SettingsError(
            "FLASK_SSO_LDAP has a bind_dn. Give the service its password as the systemd credential 'ldap_password' "
            "(LoadCredential=ldap_password:/path), or leave bind_dn out."
        )
    try:
        app.extensions[EXTENSION] = LdapDirectory(settings, password)
    except ImportError as error:
        raise SettingsError(f"FLASK_SSO_LDAP needs what requirements-ldap.txt lists: {error}.") from error


def validate_settings(given: object) -> dict[str, Any]:
    """Return the setting ``LDAP`` with its defaults.

    :raises SettingsError: if a value is wrong, missing or not secure.
    """
    if not isinstance(given, dict) or given.keys() - DEFAULTS.keys():
        raise SettingsError(
            f"FLASK_SSO_LDAP must be a JSON object with no other keys than {', '.join(DEFAULTS)}; the password is the "
            f"systemd credential 'ldap_password'."
        )
    settings = DEFAULTS | given
    attributes, seconds = settings["attributes"], settings["cache_seconds"]
    if not all(isinstance(settings[key], str) for key in ("uri", "base", "bind_dn", "ca_file", "filter")):
        raise SettingsError("FLASK_SSO_LDAP: uri, base, bind_dn, ca_file and filter are strings.")
    if not re.fullmatch(URI_PATTERN, settings["uri"]):
        raise SettingsError(
            f"FLASK_SSO_LDAP: uri is {settings['uri']!r}; write ldaps://HOST, ldap://HOST for StartTLS (several "
            f"separated by spaces), or ldapi://SOCKET."
        )
    if not settings["base"]:
        raise SettingsError(
            "FLASK_SSO_LDAP: base is missing; write the DN to search, such as ou=people,dc=example,dc=org."
        )
    if settings["ca_file"] and not Path(settings["ca_file"]).is_file():
        raise SettingsError(f"FLASK_SSO_LDAP: ca_file {settings['ca_file']!r} is not a file that the service can read.")
    if not filter_placeholders(settings["filter"]) or filter_placeholders(settings["filter"]) - PLACEHOLDERS:
        raise SettingsError(
            f"FLASK_SSO_LDAP: filter is {settings['filter']!r}; write one with {{certificate}}, {{email}} or {{name}}, "
            f"for example (mail={{email}})."
        )
    if (
        not isinstance(attributes, dict)
        or "identifier" not in attributes
        or attributes.keys() - DEFAULT_ATTRIBUTES.keys()
        or not all(isinstance(name, str) and name for name in attributes.values())
    ):
        raise SettingsError(
            "FLASK_SSO_LDAP: attributes is an object with the key identifier and, optionally, name, email, groups."
        )
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
        raise SettingsError(f"FLASK_SSO_LDAP: cache_seconds is {seconds!r}; write an integer of at least 1.")
    return settings


def filter_placeholders(template: str) -> set[str]:
    """Return the placeholders of a filter; an empty set if its braces do not match."""
    try:
        return {part[1] for part in Formatter().parse(template) if part[1] is not None}
    except ValueError:
        return set()


def build_filter(template: str, values: Mapping[str, str]) -> str:
    """Return a filter with its placeholders replaced; an empty string if one of them has no value.

    :param template: filter with placeholders.
    :param values: value of each placeholder.
    """
    if not all(values[name] for name in filter_placeholders(template)):
        return ""
    return template.format_map({name: escape_filter(value) for name, value in values.items()})


def escape_filter(value: str) -> str:
    """Escape the special characters of LDAP filters (:rfc:`4515`)."""
    return re.sub(r"[\\*()\0]", lambda match: f"\\{ord(match[0]):02x}", value)


def read_entry(entry: Mapping[str, list[bytes]], attributes: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the person whom an entry describes, or None unless the identifier has exactly one value.

    :param entry: attributes of the entry.
    :param attributes: maps fields of the identity to names of LDAP attributes.
    """
    strings = {name.lower(): [value.decode(errors="backslashreplace") for value in entry[name]] for name in entry}
    values = {field: strings.get(name.lower(), []) for field, name in attributes.items()}
    if len(values["identifier"]) != 1 or not values["identifier"][0]:
        return None
    groups = values.pop("groups", [])
    return {field: next(iter(strings), "") for field, strings in values.items()} | {"groups": groups}
