# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the application learns what the server in front of it knows about a visitor.

mod_proxy_uwsgi and mod_wsgi hand httpd's variables over in the environ. An HTTP proxy can only send headers, and a
server that speaks TLS itself has the visitor's certificate in the connection; both get the same form here.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

#: Names of :rfc:`2253`, as httpd writes them.
SHORT_NAMES = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "street",
    "userId": "UID",
}


def variables(environ: Mapping[str, Any], header_prefix: str) -> Mapping[str, Any]:
    """Return what the server says of this request.

    :param environ: WSGI environ.
    :param header_prefix: what headers begin with that only the proxy in front can send; empty if there are none.
    """
    if header_prefix:
        return ProxyHeaders(environ, header_prefix)
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    return {**environ, **certificate_variables(certificate)} if certificate else environ


class ProxyHeaders(Mapping[str, str]):
    """httpd's variables as its proxy sends them: in headers, an empty one for a variable that is not set."""

    def __init__(self, environ: Mapping[str, Any], prefix: str) -> None:
        self.environ = environ
        self.prefix = prefix

    def __getitem__(self, name: str) -> str:
        """Return a variable."""
        value = self.environ.get("HTTP_" + (self.prefix + name).upper().replace("-", "_"))
        if not value:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        """Iterate over nothing: a header does not tell how its variable is spelt."""
        return iter(())

    def __len__(self) -> int:
        """Count nothing, likewise."""
        return 0


def certificate_variables(certificate: Mapping[str, Any]) -> dict[str, str]:
    """Describe a certificate that was verified in the words of mod_ssl.

    :param certificate: what ``ssl.SSLSocket.getpeercert`` returns; it returns nothing for one that was not verified.
    """
    common_names = [value for rdn in certificate["subject"] for key, value in rdn if key == "commonName"]
    addresses = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "email"]
    found = {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": distinguished_name(certificate["subject"]),
        "SSL_CLIENT_I_DN": distinguished_name(certificate["issuer"]),
        "SSL_CLIENT_M_SERIAL": certificate["serialNumber"],
        **{f"SSL_CLIENT_S_DN_CN_{number}": name for number, name in enumerate(common_names) if number},
        **{f"SSL_CLIENT_SAN_Email_{number}": address for number, address in enumerate(addresses)},
    }
    if common_names:
        found["SSL_CLIENT_S_DN_CN"] = common_names[0]
    return {name: value.encode().decode("latin-1") for name, value in found.items()}


def distinguished_name(name: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """Return a name of a certificate as text, the most special part first (:rfc:`2253`)."""
    return ",".join(
        "+".join(f"{SHORT_NAMES.get(key, key)}={escape(value)}" for key, value in rdn) for rdn in reversed(name)
    )


def escape(value: str) -> str:
    """Escape what has a meaning in a distinguished name."""
    return re.sub(r'[,+"\\<>;]|^[# ]| $', r"\\\g<0>", value)


def decode(text: str) -> str:
    """Return the UTF-8 text that WSGI hands over as if its bytes were Latin-1 (PEP 3333)."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
