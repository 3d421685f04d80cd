# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client certificates: the server verifies the certificate and describes it in ``SSL_CLIENT_*``, never ``HTTP_*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from flask_sso_app import ldap_directory, login
from flask_sso_app.identity import Identity, Session
from flask_sso_app.transport import decode_wsgi

NAME = "client_certificates"


def init_app(app: Flask) -> None:
    """Set up ``/login``."""
    app.add_url_rule("/login", "login", log_in)


def log_in() -> Response | tuple[str, int]:
    """Go to the requested page if the TLS handshake has authenticated the user, or say that a certificate is needed."""
    if g.identity is None:
        return render_template("certificate_required.html"), 403
    return redirect(login.next_url())


def log_out() -> Response:
    """Go to the start page. There is no session to end: the browser presents the certificate until it is closed."""
    return redirect(url_for("pages.home"))


def identify(server_variables: Mapping[str, Any]) -> Identity | None:
    """Return the identity of the holder of a verified client certificate.

    :param server_variables: variables of mod_ssl.
    :return: None without a verified certificate, or if it does not identify exactly one person.
    :raises ServiceUnavailable: if the LDAP directory does not answer.
    """
    if server_variables.get("SSL_CLIENT_VERIFY") != "SUCCESS":
        return None
    person = find_person(server_variables)
    if person is None:
        return None
    issuer = decode_wsgi(server_variables.get("SSL_CLIENT_I_DN", ""))
    return Identity(
        authentication=NAME,
        identifier=person["identifier"],
        name=person.get("name", ""),
        email=person.get("email", ""),
        groups=tuple(person.get("groups", ())),
        attributes={"subject": (decode_wsgi(server_variables.get("SSL_CLIENT_S_DN", "")),), "issuer": (issuer,)},
        session=Session(id=server_variables.get("SSL_CLIENT_M_SERIAL", ""), identity_provider=issuer, context=NAME),
    )


def find_person(server_variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the holder of a certificate: from the setting ``LDAP`` or ``PEOPLE``, or else from the certificate itself.

    If there is none, the log says for which certificate, as the page does not tell the user why.
    """
    directory, people = current_app.extensions.get(ldap_directory.EXTENSION), current_app.config["PEOPLE"]
    if directory:
        person = directory.find_person(certificate_fields(server_variables))
        reason = "matches no person in the directory"
    elif people is not None:
        person, reason = person_in_list(server_variables, people), "is not in FLASK_SSO_PEOPLE"
    else:
        person, reason = person_in_certificate(server_variables), "does not have exactly one common name"
    if person is None:
        serial = server_variables.get("SSL_CLIENT_M_SERIAL", "")
        issuer = decode_wsgi(server_variables.get("SSL_CLIENT_I_DN", ""))
        current_app.logger.warning("The certificate with serial number %s of %r %s.", serial, issuer, reason)
    return person


def certificate_fields(server_variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the values for the placeholders of the LDAP filter; a name or an email address only if it is the only one.

    The certificate itself is given by issuer and serial number (CertificateExactAssertion, RFC 4523).
    """
    issuer = decode_wsgi(server_variables.get("SSL_CLIENT_I_DN", "")).replace('"', '""')
    serial = int(server_variables["SSL_CLIENT_M_SERIAL"], 16)
    name, email = server_variables.get("SSL_CLIENT_S_DN_CN", ""), server_variables.get("SSL_CLIENT_SAN_Email_0", "")
    return {
        "certificate": f'{{ serialNumber {serial}, issuer rdnSequence:"{issuer}" }}',
        "name": "" if "SSL_CLIENT_S_DN_CN_1" in server_variables else decode_wsgi(name),
        "email": "" if "SSL_CLIENT_SAN_Email_1" in server_variables else decode_wsgi(email),
    }


def person_in_list(server_variables: Mapping[str, Any], people: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the person who is listed with the issuer and serial number of the certificate.

    The issuer is compared as a whole and never parsed, as values in a distinguished name can contain any text.
    """
    issuer = decode_wsgi(server_variables.get("SSL_CLIENT_I_DN", ""))
    serial = normalize_serial(server_variables.get("SSL_CLIENT_M_SERIAL", ""))
    matches = (p for p in people if (p["issuer"], normalize_serial(p["serial"])) == (issuer, serial))
    return next(matches, None)


def normalize_serial(serial: str) -> str:
    """Return a serial number in upper case and without leading zeros, for comparison."""
    return serial.lstrip("0").upper()


def person_in_certificate(server_variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the person whom the certificate names, or None unless it has exactly one common name."""
    name = decode_wsgi(server_variables.get("SSL_CLIENT_S_DN_CN", ""))
    if not name or "SSL_CLIENT_S_DN_CN_1" in server_variables:  # mod_ssl's variable for a second common name
        return None
    return {
        "identifier": name,
        "name": name,
        "email": decode_wsgi(server_variables.get("SSL_CLIENT_SAN_Email_0", "")),
    }
