# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as the checks see it: everything they know comes through these few methods, which tests replace."""

from __future__ import annotations

import glob
import os
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from .model import UnseenError

SECONDS = 4  # for each step, so that a check can still say what it waited for
READ_BYTES = 2_000_000
ENVIRONMENT = {
    "LC_ALL": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_PAGER": "",
}


@dataclass(frozen=True)
class Output:
    """What a command returned, and printed to both of its streams."""

    status: int
    text: str


@dataclass(frozen=True)
class Response:
    """What a site answered; names of headers are in lower case, and one that came several times has several lines."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Handshake:
    """The certificate that a site presents, and why this host would not trust it: empty if it does."""

    certificate: str
    distrust: str


def untrusting() -> ssl.SSLContext:
    """Return settings of TLS that accept every certificate; to load the CAs that a host trusts takes a while."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Host:
    """The host on which this runs."""

    @cached_property
    def _trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def run(self, *command: str, stdin: str = "") -> Output:
        """Run a command that changes nothing.

        :param command: The program and its arguments.
        :param stdin: What it reads.
        :returns: Its status and output.
        :raises UnseenError: if the program is not there, or does not end in time.
        """
        try:
            done = subprocess.run(
                command,
                input=stdin,
                env=ENVIRONMENT,
                timeout=SECONDS,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError as missing:
            raise UnseenError(f"{command[0]} is not installed here") from missing
        except PermissionError as refused:
            raise UnseenError(f"{command[0]} may not be run by this account: use sudo") from refused
        except subprocess.TimeoutExpired as late:
            raise UnseenError(f"{command[0]} did not end within {SECONDS} seconds") from late
        return Output(done.returncode, done.stdout)

    def read(self, path: str) -> str:
        """Read a text file, of a long one the end.

        :param path: The file.
        :returns: Its text.
        :raises UnseenError: if it is not there, or this account may not read it.
        """
        try:
            with open(path, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - READ_BYTES))
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError as missing:
            raise UnseenError(f"{path} does not exist") from missing
        except OSError as failed:
            raise UnseenError(f"{path} cannot be read: {failed.strerror}; use sudo") from failed

    def find(self, pattern: str) -> list[str]:
        """Find paths.

        :param pattern: As a shell writes it.
        :returns: What exists, in order.
        """
        return sorted(glob.glob(pattern))

    def connect(self, name: str, port: int, address: str = "127.0.0.1") -> Handshake:
        """Begin TLS as a visitor does, once without and once with a look at whom this host trusts.

        :param name: The site's name.
        :param port: The site's port.
        :param address: Where to connect to.
        :returns: The certificate that the site presents.
        :raises OSError: if nothing listens, or it speaks no TLS.
        """
        distrust = ""
        try:
            self._certificate(self._trusting, name, port, address)
        except ssl.SSLCertVerificationError as fault:
            distrust = fault.verify_message
        return Handshake(ssl.DER_cert_to_PEM_cert(self._certificate(untrusting(), name, port, address)), distrust)

    @staticmethod
    def _certificate(context: ssl.SSLContext, name: str, port: int, address: str) -> bytes:
        plain = socket.create_connection((address, port), SECONDS)
        with plain, context.wrap_socket(plain, server_hostname=name) as connection:
            return connection.getpeercert(binary_form=True) or b""

    def request(self, url: str, address: str = "127.0.0.1", cookie: str = "") -> Response:
        """Request a page without following redirections, proxies of the environment, or trust.

        :param url: Its address, with the site's name.
        :param address: Where to connect to.
        :param cookie: The cookie of the request, if it has one.
        :returns: The response.
        :raises OSError: if nothing listens, or it does not speak HTTP.
        """
        parts = urlsplit(url)
        context = untrusting() if parts.scheme == "https" else None
        place = (parts.hostname or "", parts.port)
        connection = HTTPSConnection(*place, context=context) if context else HTTPConnection(*place)
        connection.sock = socket.create_connection((address, connection.port), SECONDS)
        try:
            if context:
                connection.sock = context.wrap_socket(connection.sock, server_hostname=parts.hostname)
            target = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
            # Without Accept, mod_auth_openidc takes it for a script, which gets no login.
            headers = {"Accept": "text/html", "Connection": "close", "User-Agent": "flask-sso-doctor"}
            connection.request("GET", target, headers={**headers, "Cookie": cookie} if cookie else headers)
            response = connection.getresponse()
            answered: dict[str, str] = {}
            for name, value in response.getheaders():
                earlier = answered.get(name.lower())
                answered[name.lower()] = value if earlier is None else f"{earlier}\n{value}"
            return Response(response.status, answered, response.read(READ_BYTES).decode("utf-8", "replace"))
        except HTTPException as fault:
            raise ConnectionError(f"no HTTP: {fault!r}") from fault
        finally:
            connection.close()

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return time.time()
