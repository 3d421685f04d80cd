# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request a page of a site from this host itself, as a visitor would, whatever address the site's name has."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.parse import unquote, urlsplit


def site_url(address):
    """Parse the address of a page.

    :param str address: URL of the page, with the site's name.
    :returns: urllib.parse.SplitResult with a path.
    :raises ValueError: if it is not an http or https URL.
    """
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f'"{address}" is not an http or https address.')
    return url._replace(path=url.path or "/", fragment="")


def uwsgi_packet(url):
    """Write a request for a page in the uwsgi protocol: a header of four bytes, then names and values with their sizes.

    :param urllib.parse.SplitResult url: Address of the page.
    :returns: The packet, as bytes.
    """
    variables = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": url.path + (f"?{url.query}" if url.query else ""),
        "PATH_INFO": unquote(url.path),
        "QUERY_STRING": url.query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port or {"http": 80, "https": 443}[url.scheme]),
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc,
        "HTTPS": "on" if url.scheme == "https" else "",
    }
    parts = [part.encode("utf-8") for pair in variables.items() for part in pair]
    body = b"".join(len(part).to_bytes(2, "little") + part for part in parts)
    return b"\0" + len(body).to_bytes(2, "little") + b"\0" + body


def ask_server(path, protocol, address, timeout):
    """Request a page from the server of an application, through its Unix socket, as httpd does.

    :param str path: The socket.
    :param str protocol: Protocol of the server, ``uwsgi`` or ``http``.
    :param str address: URL of the page, with the site's name.
    :param float timeout: Seconds to wait for each step of the response.
    :returns: http.client.HTTPResponse whose body was not read yet; the caller closes it.
    :raises OSError: if nothing listens, or the answer does not come in time.
    :raises http.client.HTTPException: if the answer is not HTTP, or there is none.
    :raises ValueError: if the address is not an http or https URL.
    """
    url = site_url(address)
    headers = {"Host": url.netloc, "X-Forwarded-Proto": url.scheme, "Connection": "close"}
    lines = [f"GET {url._replace(scheme='', netloc='').geturl()} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = uwsgi_packet(url) if protocol == "uwsgi" else "\r\n".join([*lines, "", ""]).encode("ascii")
    with socket.socket(socket.AF_UNIX) as connection:  # the answer keeps the connection open
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(request)
        answer = HTTPResponse(connection, method="GET")
        answer.begin()
        return answer


def ask(address, timeout):
    """Request a page from this host, with the site's name in TLS (SNI) and in the Host header.

    Proxies of the environment are not asked, redirections are not followed, and the certificate is not validated: this
    is the host itself, and visitors validate its certificate with theirs.

    :param str address: URL of the page, with the site's name.
    :param float timeout: Seconds to wait for each step of the response.
    :returns: http.client.HTTPResponse whose body was not read yet; the caller closes it.
    :raises OSError: if nothing listens, TLS fails or the answer does not come in time.
    :raises http.client.HTTPException: if the answer is not HTTP.
    :raises ValueError: if the address is not an http or https URL.
    """
    url = site_url(address)
    connection = connected(url, timeout)
    try:
        target = url._replace(scheme="", netloc="").geturl()
        connection.request("GET", target, headers={"Connection": "close"})
        return connection.getresponse()
    except BaseException:
        connection.close()
        raise


def listening(port):
    """Find the addresses of this host at which connections to a port are accepted.

    :param int port: TCP port.
    :returns: list of IPv4 and IPv6 addresses, as in the kernel's tables.
    """
    found = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError), open(f"/proc/net/{name}", encoding="ascii") as table:
            for line in list(table)[1:]:
                local, state = line.split()[1:4:2]
                address, local_port = local.split(":")
                if state == "0A" and int(local_port, 16) == port:
                    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
                    found.append(socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)))
    return found


def connect(address, port, timeout):
    """Connect to an address of this host.

    :param str address: IP address.
    :param int port: TCP port.
    :param float timeout: Seconds to wait.
    :returns: socket.socket or, if nothing listens or it does not answer in time, the OSError.
    """
    try:
        return socket.create_connection((address, port), timeout)
    except OSError as error:
        return error


def loopback(port, timeout):
    """Connect to the loopback address or, where nothing accepts connections there, to another address of this host.

    An administrator's httpd may have ``Listen 192.0.2.1:443`` only.

    :param int port: TCP port.
    :param float timeout: Seconds to wait for each address.
    :returns: socket.socket, connected.
    :raises OSError: if nothing listens, or it does not answer in time.
    """
    result = connect("127.0.0.1", port, timeout)
    for address in listening(port) if isinstance(result, ConnectionRefusedError) else ():
        result = connect(address, port, timeout)
        if not isinstance(result, ConnectionRefusedError):
            break
    if isinstance(result, OSError):
        raise result
    return result


def connected(url, timeout):
    """Connect to this host, with TLS if the address asks for it.

    :param urllib.parse.SplitResult url: Address of the page, with the site's name.
    :param float timeout: Seconds to wait for each step.
    :returns: http.client.HTTPConnection; the caller closes it.
    :raises OSError: if nothing listens, TLS fails or it does not answer in time.
    """
    connection = (HTTPSConnection if url.scheme == "https" else HTTPConnection)(url.hostname, url.port)
    connection.sock = loopback(connection.port, timeout)
    try:
        if url.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection.sock = context.wrap_socket(connection.sock, server_hostname=url.hostname)
    except BaseException:
        connection.close()
        raise
    return connection


def connection_state(address, timeout):
    """Say how a web server takes connections, whatever it would answer to a request.

    A server whose processes all end as soon as they start still has its port: connections to it are made, and wait.

    :param str address: URL of the site.
    :param float timeout: Seconds to wait for each step.
    :returns: str, ``served``, ``silent``, or ``closed`` if nothing listens.
    :raises ValueError: if the address is not an http or https URL.
    """
    try:
        connected(site_url(address), timeout).close()
    except ConnectionRefusedError:
        return "closed"
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):  # the second is what Python before 3.11.4 says
        return "silent"
    except ssl.SSLError:
        return "served"  # an alert, for example as it wants a certificate
    except OSError:
        return "silent"
    return "served"
