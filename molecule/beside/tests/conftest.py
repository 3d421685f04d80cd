# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the tests of several sites on one host: a visitor who sees every byte."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import bench_client

SCENARIO = Path(__file__).parents[1]


@dataclass
class Answer:
    """What a visitor got: the status line and the headers but the date, the body, and how TLS was spoken."""

    head: list[str]
    body: bytes
    tls: tuple = ()

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.head[0].split()[1])

    def values(self, header: str) -> list[str]:
        """All values of a header."""
        pairs = [line.split(": ", 1) for line in self.head[1:]]
        return [value for name, value in pairs if name.lower() == header.lower()]


def ask(container: str, name: str, path: str = "/", port: int = 443, tls: bool = True) -> Answer:
    """Request a page from a container by a name, wherever that resolves, and trust any certificate."""
    spoken = ()
    connection = socket.create_connection((bench_client.addresses()[container], port), 30)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = context.wrap_socket(connection, server_hostname=name)
        spoken = (connection.version(), connection.cipher(), connection.getpeercert(binary_form=True))
    with connection, connection.makefile("rb") as stream:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        head, _blank, body = stream.read().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return Answer([line for line in lines if not line.startswith("Date: ")], body, spoken)
