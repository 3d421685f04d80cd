# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load on a site has its rate, and what goes wrong there is in its figures."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from load import RATE, Figures, Page, load

OPEN = Page("/")


class Site:
    """A small server; its pages do what their names say."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self.connections = 0
        self.requests = 0

    def run(self, started: threading.Event) -> None:
        """Serve until the loop is stopped."""
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1"))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()
        server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection; it has ten responses at most, and closes without a word at the next request."""
        self.connections += 1
        for _ in range(10):
            try:
                request = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            self.requests += 1
            path = request.split()[1]
            if path == "/silent":
                break
            if path == "/cut":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ncut")
                break
            status = "401 Unauthorized" if "Cookie: forgotten" in request else "200 OK"
            status = "503 Service Unavailable" if path == "/broken" else status
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello".encode())
        else:
            await reader.read(1)
        writer.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a server that runs."""
    site, started = Site(), threading.Event()
    thread = threading.Thread(target=site.run, args=[started])
    thread.start()
    started.wait()
    yield site
    site.loop.call_soon_threadsafe(site.loop.stop)
    thread.join()
    site.loop.close()


def figures(site: Site, *pages: Page, requests: int = 40, stop: float = 0, rate: float = RATE) -> Figures:
    """Load a site until it has had some requests, and stop it for a while after half of them; return the figures."""
    with load(f"http://site.example:{site.port}", list(pages), rate=rate) as found:
        await_requests(site, requests // 2)
        if stop:
            site.loop.call_soon_threadsafe(time.sleep, stop)
        await_requests(site, requests)
    return found


def await_requests(site: Site, number: int) -> None:
    """Wait until a site has had a number of requests, for half a minute at most."""
    deadline = time.monotonic() + 30
    while site.requests < number and time.monotonic() < deadline:
        time.sleep(0.01)


def test_connection_that_the_server_closes_is_no_failure(site: Site) -> None:
    """A browser repeats the request, too. One in eight has a connection of its own."""
    found = figures(site, OPEN, Page("/me", "a=1", "hello"), requests=200)
    assert (found.failed, found.lost) == ({}, [])
    assert found.repeated > 0
    assert found.requests == sum(found.protocols.values())
    assert found.connections == site.connections > found.requests / 8


def test_pause_is_measured_from_when_a_request_was_due(site: Site) -> None:
    found = figures(site, OPEN, Page("/me", "a=1"), stop=0.5)
    assert found.open_pause > 0.45
    assert found.session_pause > 0.45
    assert found.failed == {}


@pytest.mark.parametrize(
    ("page", "what"),
    [
        (Page("/broken"), "503 /broken"),
        (Page("/", text="bye"), "another text /"),
        (Page("/cut"), "RemoteProtocolError"),
        (Page("/silent"), "RemoteProtocolError"),
    ],
    ids=lambda value: getattr(value, "path", None),
)
def test_failures_are_counted(site: Site, page: Page, what: str) -> None:
    found = figures(site, page, requests=8, rate=40)
    assert sum(found.failed.values()) == found.requests
    assert all(what in failure for failure in found.failed)
    assert "failed" in str(found)


def test_sessions_that_are_lost_are_counted_once(site: Site) -> None:
    found = figures(site, OPEN, Page("/me", "kept=1"), Page("/me", "forgotten=1"))
    assert found.lost == ["forgotten=1"]
    assert found.failed == {}
