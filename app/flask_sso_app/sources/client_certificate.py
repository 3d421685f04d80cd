# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client certificates: the server has verified one and says whose it is in ``SSL_CLIENT_*``, never in ``HTTP_*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from flask_sso_app import directory, login
from flask_sso_app.identity import Identity, Session
from flask_sso_app.transport import decode

NAME = "client_certificate"


def init_app(app: Flask) -> None:
    """Set up ``/login``."""
    app.add_url_rule("/login", "login", enter)


def enter() -> Response | tuple[str, int]:
    """Go on to the page asked for, where the server has already found out who the user is."""
    if g.identity is None:
        return render_template("certificate.html"), 403
    return redirect(login.target())


def log_out() -> Response:
    """Go to the start page: a certificate stays until the browser closes."""
    return redirect(url_for("pages.home"))


def identify(environ: Mapping[str, Any]) -> Identity | None:
    """Return the identity behind a verified client certificate.

    :param environ: WSGI environ of the request.
    :return: None without a verified certificate, for one of somebody unknown, or for one with several common names.
    :raises ServiceUnavailable: if the directory does not answer.
    """
    if environ.get("SSL_CLIENT_VERIFY") != "SUCCESS":
        return None
    person = find(environ)
    if person is None:
        return None
    issuer = decode(environ.get("SSL_CLIENT_I_DN", ""))
    return Identity(
        source=NAME,
        identifier=person["identifier"],
        name=person.get("name", ""),
        email=person.get("email", ""),
        groups=tuple(person.get("groups", ())),
        attributes={"subject": (decode(environ.get("SSL_CLIENT_S_DN", "")),), "issuer": (issuer,)},
        session=Session(id=environ.get("SSL_CLIENT_M_SERIAL", ""), identity_provider=issuer, context=NAME),
    )


def find(environ: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the person whom the setting ``LDAP`` or ``PEOPLE`` finds; with neither, whom the certificate names.

    A certificate that is nobody's is logged, as its holder only sees a page for strangers.
    """
    known, people = current_app.extensions.get(directory.EXTENSION), current_app.config["PEOPLE"]
    if known:
        person, reason = known.find(holder(environ)), "is nobody's in the directory"
    elif people is None:
        person, reason = named(environ), "does not have exactly one common name"
    else:
        person, reason = listed(environ, people), "is not in FLASK_SSO_PEOPLE"
    if person is None:
        serial, issuer = environ.get("SSL_CLIENT_M_SERIAL", ""), decode(environ.get("SSL_CLIENT_I_DN", ""))
        current_app.logger.warning("The certificate with serial number %s of %r %s.", serial, issuer, reason)
    return person


def holder(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return what the certificate says for the directory to compare; a name or an address only if it is the one.

    The certificate itself is written as its issuer and serial number (CertificateExactAssertion, RFC 4523).
    """
    issuer = decode(environ.get("SSL_CLIENT_I_DN", "")).replace('"', '""')
    serial = int(environ["SSL_CLIENT_M_SERIAL"], 16)
    name, email = environ.get("SSL_CLIENT_S_DN_CN", ""), environ.get("SSL_CLIENT_SAN_Email_0", "")
    return {
        "certificate": f'{{ serialNumber {serial}, issuer rdnSequence:"{issuer}" }}',
        "name": "" if "SSL_CLIENT_S_DN_CN_1" in environ else decode(name),
        "email": "" if "SSL_CLIENT_SAN_Email_1" in environ else decode(email),
    }


def listed(environ: Mapping[str, Any], people: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the person who is listed with this certificate's issuer and serial number.

    A distinguished name is compared as a whole and never taken apart: text in it can look like anything.
    """
    held = (decode(environ.get("SSL_CLIENT_I_DN", "")), environ.get("SSL_CLIENT_M_SERIAL", "").lstrip("0").upper())
    return next((one for one in people if (one["issuer"], one["serial"].lstrip("0").upper()) == held), None)


def named(environ: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return who the certificate names, if it is one person: the server numbers a second common name."""
    name = decode(environ.get("SSL_CLIENT_S_DN_CN", ""))
    if not name or "SSL_CLIENT_S_DN_CN_1" in environ:
        return None
    return {"identifier": name, "name": name, "email": decode(environ.get("SSL_CLIENT_SAN_Email_0", ""))}
