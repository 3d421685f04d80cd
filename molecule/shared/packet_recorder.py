# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace the application at its Unix socket, and answer each request with the uwsgi packet that arrived.

Runs on the host of the application, as root, with the socket's path as its argument. The application's own socket
is kept aside and comes back when the standard input ends.
"""

import json
import os
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Iterator


class Recorder(socketserver.StreamRequestHandler):
    """Answers one request with JSON: the size that its packet claims, and the variables in it, in order."""

    def handle(self) -> None:
        """Read one packet; a connection without one gets no answer."""
        header = self.rfile.read(4)
        if len(header) == 4:
            _, size, _ = struct.unpack("<BHB", header)
            answer = {"size": size, "variables": list(read_variables(self.rfile.read(size)))}
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(answer).encode())
            self.connection.shutdown(socket.SHUT_WR)
            self.rfile.read()  # whatever follows the packet; httpd would take a reset for an error


def read_variables(packet: bytes) -> Iterator[tuple[str, str]]:
    """Yield the names and values in a packet; what is cut off at its end is left out."""

    def text(start: int) -> tuple[str, int]:
        end = start + 2 + int.from_bytes(packet[start : start + 2], "little")
        return packet[start + 2 : end].decode("latin-1"), end

    end = 0
    while end < len(packet):
        name, end = text(end)
        value, end = text(end)
        if end <= len(packet):
            yield name, value


def main(path: str) -> None:
    """Record until the standard input ends."""
    kept = f"{path}.kept"
    os.rename(path, kept)
    try:
        with socketserver.ThreadingUnixStreamServer(path, Recorder) as server:
            os.chown(path, os.stat(kept).st_uid, os.stat(kept).st_gid)
            os.chmod(path, 0o660)
            threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
            print("recording", flush=True)
            sys.stdin.read()
            server.shutdown()
    finally:
        os.rename(kept, path)


if __name__ == "__main__":
    main(sys.argv[1])
