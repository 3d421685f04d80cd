# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document is downloaded to the bytes that its server sent."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import metadata_download

DOCUMENTS = {
    "/latin": "<p>Zürich</p>".encode("latin-1"),
    "/large": b"x" * 5000,
}


class Handler(BaseHTTPRequestHandler):
    """Answers with a document; "/short" ends before the length that it has announced."""

    def do_GET(self):
        """Answer a request."""
        document = DOCUMENTS.get(self.path, b"")
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Type", "application/samlmetadata+xml; charset=utf-8")
        if self.path == "/short":
            self.send_header("Transfer-Encoding", "chunked")
            document = b"ff\r\nshort"
        self.end_headers()
        self.wfile.write(document)

    def log_message(self, *_arguments):
        """Print nothing."""


@pytest.fixture(scope="module")
def server():
    """Run a server; return its address."""
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def download(server, run_module):
    """Download a document; return the result."""
    return lambda path: run_module(metadata_download, check_mode=True, url=server + path, max_bytes=1000)


def test_the_bytes_come_as_the_server_sent_them_whatever_it_says_of_their_encoding(download):
    assert base64.b64decode(download("/latin")["content_base64"]) == DOCUMENTS["/latin"]


def test_of_a_document_that_is_too_large_no_more_is_read_than_shows_that(download):
    assert len(base64.b64decode(download("/large")["content_base64"])) == 1001


@pytest.mark.parametrize(("path", "reason"), [("/missing", "404"), ("/short", "response is incomplete")])
def test_a_document_that_does_not_come_is_an_error_with_its_reason(download, path, reason):
    result = download(path)
    assert result["failed"] is True
    assert reason in result["msg"]
