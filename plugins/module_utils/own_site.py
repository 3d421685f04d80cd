# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask this host for a page of a site that it serves, as a visitor would, wherever the site's name leads."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit


def ask(address, timeout):
    """Ask the loopback address for a page, with the site's name in TLS (SNI) and in the Host header.

    Proxies of the environment are not asked, redirections are not followed, and the certificate is not validated: this
    is the host itself, and visitors validate its certificate with theirs.

    :param str address: URL of the page, by the site's own name.
    :param float timeout: Seconds to wait for each step of the answer.
    :returns: http.client.HTTPResponse whose body was not read yet; who is done with it closes it.
    :raises OSError: if nothing listens, TLS fails or the answer does not come in time.
    :raises http.client.HTTPException: if the answer is not HTTP.
    :raises ValueError: if the address is not an http or https URL.
    """
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f'"{address}" is not an http or https address.')
    connection = (HTTPSConnection if url.scheme == "https" else HTTPConnection)(url.hostname, url.port)
    connection.sock = socket.create_connection(("127.0.0.1", connection.port), timeout)
    try:
        if url.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection.sock = context.wrap_socket(connection.sock, server_hostname=url.hostname)
        target = url._replace(scheme="", netloc="", path=url.path or "/", fragment="").geturl()
        connection.request("GET", target, headers={"Connection": "close"})
        return connection.getresponse()
    except BaseException:
        connection.close()
        raise
