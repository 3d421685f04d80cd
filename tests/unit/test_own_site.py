# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's own site is requested by its name, and without the proxies of the environment."""

import json
import socket
import ssl
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from threading import Thread

import pytest
from ansible_collections.campus.flask_sso.plugins.module_utils.own_site import ask_server, connection_state
from ansible_collections.campus.flask_sso.plugins.modules import own_site
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "app.example.org"


class Page(BaseHTTPRequestHandler):
    """Answers with the request."""

    def do_GET(self) -> None:
        """Answer; three paths have a status of their own."""
        self.send_response({"/missing": 404, "/broken": 503, "/away": 302}.get(self.path, 200))
        self.send_header("Location", "https://nowhere.invalid/")
        self.end_headers()
        self.wfile.write(f"{self.server.sni} {self.headers['Host']} {self.path}".encode())

    def log_message(self, *_arguments) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> ssl.SSLContext:
    """The server's side of TLS, with an untrusted certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pair: Path = tmp_path_factory.mktemp("tls") / "pair.pem"
    pair.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context


@pytest.fixture(params=["https", "http"])
def address(request, monkeypatch) -> Iterator[str]:
    """The address of a site on this host. Its name leads nowhere, and the proxies of the environment do not answer."""
    for scheme in ("http", "https", "all"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.sni = None
        if request.param == "https":
            context = request.getfixturevalue("tls")
            context.sni_callback = lambda _socket, name, _context: setattr(server, "sni", name)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"{request.param}://{NAME}:{server.server_port}"
        server.shutdown()


@pytest.fixture
def ask(run_module):
    """Ask for a page with the module."""
    return partial(run_module, own_site)


def test_the_site_is_asked_by_its_name(ask, address):
    """The name is in TLS and in the Host header, though it leads nowhere and no proxy answers."""
    name_in_tls = NAME if address.startswith("https") else None
    result = ask(url=f"{address}/page?a=b#part")
    assert result["content"] == f"{name_in_tls} {address.split('/')[2]} /page?a=b"
    assert (result["status"], result["msg"], result["changed"]) == (200, "200 OK", False)


class AnyFamily(ThreadingHTTPServer):
    """Listens at an address of either family."""

    def __init__(self, address: str) -> None:
        """Listen, at a port that is free."""
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sni = None
        super().__init__((address, 0), Page)


@pytest.mark.parametrize("listening", ["127.0.0.2", "::1"])
def test_site_that_listens_at_another_address_alone_is_asked_there(ask, listening):
    """An administrator's "Listen 192.0.2.1:443", for which there is no other address in a test."""
    with AnyFamily(listening) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://{NAME}:{server.server_port}"
        assert (ask(url=f"{url}/page")["status"], connection_state(url, 5)) == (200, "served")
        server.shutdown()
    assert "refused" in ask(url=url)["msg"]


def test_server_that_hangs_at_another_address_is_silent_and_not_closed():
    """Its backlog is full, as httpd's whose processes all end as soon as they start."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = [socket.create_connection(("127.0.0.2", port), 1)]
        try:
            while True:
                waiting.append(socket.create_connection(("127.0.0.2", port), 0.2))
        except OSError:
            assert connection_state(f"http://{NAME}:{port}", 0.2) == "silent"
        finally:
            for connection in waiting:
                connection.close()


@pytest.mark.parametrize(("path", "status"), [("", 200), ("/missing", 404), ("/broken", 503), ("/away", 302)])
def test_every_answer_is_an_answer(ask, address, path, status):
    """The caller decides about it, and no redirection is followed."""
    assert ask(url=address + path)["status"] == status


def test_further_pages_come_in_their_order(ask, address):
    result = ask(url=f"{address}/missing", also=[f"{address}/page", f"{address}/broken"])
    assert result["status"] == 404
    assert [page["status"] for page in result["also"]] == [200, 503]
    assert [page["content"].split()[-1] for page in result["also"]] == ["/page", "/broken"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://app.example.org:1/", "refused"),
        ("ftp://app.example.org/", '"ftp://app.example.org/" is not an http or https address'),
        ("https:///page", "is not an http or https address"),
        ("https://app.example.org:nine/", "nine"),
    ],
)
def test_reason_for_no_response_is_reported(ask, url, reason):
    result = ask(url=url)
    assert result["failed"]
    assert reason in result["msg"]


def test_what_does_not_speak_tls_is_no_answer(ask, address):
    """Nor is TLS an answer to plain HTTP."""
    other = address.replace("https:", "http:") if address.startswith("https") else address.replace("http:", "https:")
    assert ask(url=other, timeout=5)["failed"]


class Uwsgi(StreamRequestHandler):
    """Answers a uwsgi packet with the variables in it, or with nothing."""

    def handle(self) -> None:
        """Read the packet and answer."""
        kind, size, modifier = struct.unpack("<BHB", self.rfile.read(4))
        assert (kind, modifier) == (0, 0)
        packet = self.rfile.read(size)
        texts = []
        while packet:
            (length,) = struct.unpack("<H", packet[:2])
            texts.append(packet[2 : 2 + length].decode())
            packet = packet[2 + length :]
        variables = dict(zip(texts[::2], texts[1::2], strict=True))
        if variables["PATH_INFO"] != "/silent":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(variables).encode())


@pytest.fixture(params=["uwsgi", "http"])
def application(request, tmp_path) -> Iterator[tuple[str, str]]:
    """The socket of an application's server, and the protocol that it speaks."""
    path = str(tmp_path / "app.sock")
    with ThreadingUnixStreamServer(path, {"uwsgi": Uwsgi, "http": Page}[request.param]) as server:
        server.sni = None
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield path, request.param
        server.shutdown()


def test_server_of_an_application_is_asked_through_its_socket(application):
    """As httpd would ask it for a page of the site."""
    path, protocol = application
    with ask_server(path, protocol, f"https://{NAME}/a%20page?b=c", 5) as answer:
        assert answer.status == 200
        text = answer.read().decode()
    if protocol == "http":
        assert text == f"None {NAME} /a%20page?b=c"
    else:
        found = json.loads(text)
        assert (found["PATH_INFO"], found["QUERY_STRING"], found["HTTP_HOST"]) == ("/a page", "b=c", NAME)
        assert (found["SERVER_PORT"], found["HTTPS"]) == ("443", "on")


def test_server_that_hangs_up_has_not_answered(tmp_path):
    path = str(tmp_path / "app.sock")
    with ThreadingUnixStreamServer(path, Uwsgi) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        with pytest.raises(HTTPException):
            ask_server(path, "uwsgi", f"http://{NAME}/silent", 5)
        server.shutdown()
    with pytest.raises(OSError, match="refused"):
        ask_server(path, "uwsgi", f"http://{NAME}/", 5)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", "served", id="an alert, as it wants a certificate"),
        pytest.param(b"", "silent", id="the end of the connection, as the process crashes"),
        pytest.param(None, "silent", id="nothing, as no process takes the connection"),
    ],
)
def test_port_alone_does_not_serve(answer: bytes | None, state: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        if answer is not None:
            Thread(target=serve, daemon=True).start()
        assert connection_state(f"https://{NAME}:{server.getsockname()[1]}/", 0.5) == state


def test_port_where_nothing_listens_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert connection_state(f"https://{NAME}:{port}/", 0.5) == "closed"
