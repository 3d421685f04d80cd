# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that stay open: streams under every server, WebSockets under the one that speaks HTTP."""

import httpx
import pytest
from bench_websocket import websocket
from conftest import stranger

HTTP = [pytest.param({}, id="HTTP/1.1"), pytest.param({"http1": False, "http2": True}, id="HTTP/2")]
HOST = "servers.example.org"


@pytest.mark.parametrize("http", HTTP)
def test_event_arrives_before_the_next_is_made(host, server: str, http: dict) -> None:
    """Nothing between the application and the visitor keeps it: the stream only ends once its beginning was read."""
    with stranger(server, **http) as client, client.stream("GET", "/events") as answer:
        events = answer.iter_text()
        assert next(events).startswith("data: ")
        host.check_output(f"touch /var/lib/on_{server}/enough")
        assert "".join(events).endswith("data: end\n\n")


@pytest.mark.parametrize("server", ["gunicorn"], indirect=True)
@pytest.mark.parametrize("forged", ["X-Gate-REMOTE-ADDR", "x_gate_remote_addr", "X-Gate.Remote.Addr"])
def test_websocket_has_the_headers_of_httpd_alone(host, server: str, forged: str) -> None:
    with websocket(HOST, f"/{server}/echo", [(forged, "192.0.2.1"), ("Origin", f"http://{HOST}")]) as opened:
        assert opened.status == 101
        visitor = opened.receive()
        assert visitor in host.check_output("tail -n 50 /var/log/apache2/*access.log")
        assert visitor != "192.0.2.1"
        for text in ("", "Grüße", "x" * 125):
            opened.send(text)
            assert opened.receive() == text


@pytest.mark.parametrize("server", ["gunicorn"], indirect=True)
def test_websocket_from_a_page_of_another_site_is_refused(server: str, site: httpx.Client) -> None:
    """The browser would send the user's cookies with it. The same request without a WebSocket is no danger."""
    with websocket(HOST, f"/{server}/echo", [("Origin", "https://evil.example")]) as opened:
        assert opened.status == 403
    assert site.get("/", headers={"Origin": "https://evil.example"}).status_code == 200


@pytest.mark.parametrize("server", ["uwsgi", "mod_wsgi"], indirect=True)
def test_server_without_websockets_refuses_at_once(server: str, site: httpx.Client) -> None:
    """The protocols between httpd and these have no place for one; the connection does not hang."""
    with websocket(HOST, f"/{server}/echo") as opened:
        assert opened.status >= 400
    assert site.get("/").status_code == 200
