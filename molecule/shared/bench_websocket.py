# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A WebSocket (RFC 6455) by plain HTTP, with every header under the control of a test."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from bench_client import addresses

HANDSHAKE = (
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
TEXT = 0x81


class WebSocket:
    """A connection after its handshake, which has failed unless `status` is 101."""

    def __init__(self, connection: socket.socket, stream: BinaryIO) -> None:
        self.connection, self.stream = connection, stream
        self.status = int(stream.readline().split()[1])
        while stream.readline().strip():
            pass

    def send(self, text: str) -> None:
        """Send a text of 125 bytes at most."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text.encode()))
        self.connection.sendall(bytes([TEXT, 0x80 | len(masked)]) + mask + masked)

    def receive(self) -> str:
        """Return the next text. Raises ConnectionError when none comes."""
        kind, size = self.stream.read(2) or (0, 0)
        if kind != TEXT:
            raise ConnectionError(f"a frame begins with {kind:#x}")
        if size >= 126:
            form = ">H" if size == 126 else ">Q"
            (size,) = struct.unpack(form, self.stream.read(struct.calcsize(form)))
        return self.stream.read(size).decode()


@contextmanager
def websocket(
    name: str, path: str, headers: Iterable[tuple[str, str]] = (), connection: str = "Upgrade"
) -> Iterator[WebSocket]:
    """Send the handshake of a WebSocket to the container that has a name.

    `headers` are further ones, in any spelling, and `connection` is the value of Connection.
    """
    lines = [f"GET {path} HTTP/1.1", f"Host: {name}", f"Connection: {connection}"]
    lines += [f"{header}: {value}" for header, value in (*HANDSHAKE, *headers)]
    with socket.create_connection((addresses()[name], 80), 30) as opened, opened.makefile("rb") as stream:
        opened.sendall("\r\n".join([*lines, "", ""]).encode())
        yield WebSocket(opened, stream)
