# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server variables: what the web server knows about the user, such as attributes and the client certificate.

mod_proxy_uwsgi and mod_wsgi pass httpd's variables in the WSGI environ. An HTTP proxy sends them as headers. A server
that terminates TLS itself has the certificate in its connection. This module gives all three the same form.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

#: Short names of attribute types (:rfc:`2253`), as httpd writes them.
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


def server_variables(environ: Mapping[str, Any], header_prefix: str) -> Mapping[str, Any]:
    """Return the server variables of a request.

    :param environ: WSGI environ.
    :param header_prefix: prefix of the headers that only the proxy can set; empty if there is no HTTP proxy.
    """
    if header_prefix:
        return ProxyHeaders(environ, header_prefix)
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    return {**environ, **certificate_variables(certificate)} if certificate else environ


class ProxyHeaders(Mapping[str, str]):
    """httpd's variables, which its proxy sends as headers. An empty header stands for a variable that is not set."""

    def __init__(self, environ: Mapping[str, Any], prefix: str) -> None:
        self.environ = environ
        self.prefix = prefix

    def __getitem__(self, name: str) -> str:
        """Return a variable.

        :raises KeyError: if it is not set.
        """
        value = self.environ.get("HTTP_" + (self.prefix + name).upper().replace("-", "_"))
        if not value:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        """Iterate over nothing: the case of the variables' names is lost in headers."""
        return iter(())

    def __len__(self) -> int:
        """Return 0, to match the iteration."""
        return 0


def certificate_variables(certificate: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that mod_ssl sets for a verified client certificate.

    :param certificate: as ``ssl.SSLSocket.getpeercert`` returns it; it is empty if the certificate was not verified.
    """
    common_names = [value for rdn in certificate["subject"] for key, value in rdn if key == "commonName"]
    addresses = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "email"]
    variables = {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": distinguished_name(certificate["subject"]),
        "SSL_CLIENT_I_DN": distinguished_name(certificate["issuer"]),
        "SSL_CLIENT_M_SERIAL": certificate["serialNumber"],
        **{f"SSL_CLIENT_S_DN_CN_{number}": name for number, name in enumerate(common_names) if number},
        **{f"SSL_CLIENT_SAN_Email_{number}": address for number, address in enumerate(addresses)},
    }
    if common_names:
        variables["SSL_CLIENT_S_DN_CN"] = common_names[0]
    return {name: value.encode().decode("latin-1") for name, value in variables.items()}


def distinguished_name(name: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """Return a distinguished name as text, the last RDN first (:rfc:`2253`)."""
    return ",".join(
        "+".join(f"{SHORT_NAMES.get(key, key)}={escape_dn(value)}" for key, value in rdn) for rdn in reversed(name)
    )


def escape_dn(value: str) -> str:
    """Escape the special characters of distinguished names."""
    return re.sub(r'[,+"\\<>;]|^[# ]| $', r"\\\g<0>", value)


def decode_wsgi(text: str) -> str:
    """Decode a string of the WSGI environ, which holds UTF-8 bytes as Latin-1 characters (:pep:`3333`)."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
