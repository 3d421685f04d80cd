# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of requests a second, from a process of its own, and what became of them.

Requests begin when they are due, also while others wait: visitors do not come later because a server is slow. One in
eight has a new connection, every second one speaks HTTP/2, and in every second one the visitor is logged in.

A server may close a connection that is kept, at any time. As RFC 9110 (9.2.2) allows, and browsers do, a request that
got nothing from such a connection is repeated. It fails if it gets nothing from a new one.

A server with HTTP/2 that stops announces that by a GOAWAY without an error, and still answers what it got (RFC 9113,
6.8). httpcore does not wait for that, and h2 refuses what comes after it, so such a request is repeated, too.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import anyio
import h2.exceptions
import httpx

RATE = 240
#: How long a request may take before it fails, with the wait for a connection that is free.
PATIENCE = 60
#: As many connections as the browsers of some visitors keep.
KEPT = 16
#: httpx does not translate all errors of h2 and anyio, for example of a connection that is closed before a request.
ERRORS = (
    httpx.TransportError,
    h2.exceptions.ProtocolError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)

#: What httpcore and h2 say of a connection that the server has announced to close.
ANNOUNCED = ("ConnectionTerminated error_code:0,", "in state ConnectionState.CLOSED")


@dataclass(frozen=True)
class Page:
    """A page: the cookies that it is requested with, if its visitor is logged in, and a text that has to be in it."""

    path: str
    cookies: str = ""
    text: str = ""


@dataclass
class Figures:
    """What became of the requests.

    `failed` has what went wrong, and how often: a status, an error or another text. A visitor whose session was not
    recognized is in `lost`, with the cookies. `open_pause` and `session_pause` are the longest time in seconds from
    when a request was due to its response, for pages without and with a session, and `processor` the seconds of
    processor time that the visitors took.
    """

    requests: int = 0
    seconds: float = 0
    processor: float = 0
    connections: int = 0
    repeated: int = 0
    open_pause: float = 0
    session_pause: float = 0
    protocols: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests in a second."""
        return self.requests / self.seconds

    def __str__(self) -> str:
        """Return them in a line."""
        reasons = "".join(f", {count} x {what}" for what, count in self.failed.items())
        return (
            f"{self.requests} requests in {self.seconds:.0f} s, {self.rate:.0f} a second, "
            f"{self.connections} new connections, {self.repeated} repeated; "
            f"{sum(self.failed.values())} failed{reasons}; {len(self.lost)} sessions lost; longest pause "
            f"{self.open_pause:.2f} s, with a session {self.session_pause:.2f} s; "
            f"{self.processor / self.seconds:.2f} of a processor for the visitors"
        )


class Crowd:
    """The visitors of a site: it is at `address`, and `ca` is the file of the CA that it is verified against."""

    def __init__(self, site: str, address: str, ca: str | None, pages: list[Page]) -> None:
        parts = urlsplit(site)
        self.host = parts.netloc
        self.urls = {page.path: httpx.URL(f"{site}{page.path}").copy_with(host=address) for page in pages}
        timeout = dict.fromkeys(("connect", "read", "write"), PATIENCE)
        self.options = {"sni_hostname": parts.hostname, "timeout": timeout}
        self.open = itertools.cycle([page for page in pages if not page.cookies] or pages)
        self.members = itertools.cycle([page for page in pages if page.cookies] or pages)
        self.figures, self.failed, self.protocols = Figures(), Counter(), Counter()
        # Connections of both protocols are not made from one context, as httpcore sets in it what it offers.
        self.contexts = {http2: ssl.create_default_context(cafile=ca) for http2 in (False, True)}
        # Who is logged in has other connections than who is not, who so need not wait if shibd lets the others wait.
        limits = httpx.Limits(max_connections=KEPT)
        self.kept = {
            (http2, member): self.transport(http2, limits=limits)
            for http2, member in itertools.product((False, True), repeat=2)
        }

    def transport(self, http2: bool, **options) -> httpx.AsyncHTTPTransport:
        """Return a pool of connections, which offer HTTP/2 or not."""
        return httpx.AsyncHTTPTransport(verify=self.contexts[http2], http2=http2, **options)

    async def visit(self, number: int, due: float) -> None:
        """Request a page, and count what comes."""
        http2 = number // 8 % 2 == 0
        page = next(self.members if number // 16 % 2 else self.open)
        try:
            async with asyncio.timeout(PATIENCE):
                if number % 8:
                    response = await self.request(self.kept[http2, bool(page.cookies)], page)
                else:
                    async with self.transport(http2) as transport:
                        response = await self.request(transport, page)
        except Exception as error:  # noqa: BLE001 (whatever it is, the request has failed)
            self.failed[repr(error)] += 1
        else:
            self.protocols[response.extensions["http_version"].decode()] += 1
            if page.cookies and response.status_code in (302, 401):
                self.figures.lost = sorted({*self.figures.lost, page.cookies})
            elif response.status_code != 200:
                self.failed[f"{response.status_code} {page.path}"] += 1
            elif page.text not in response.text:
                self.failed[f"another text {page.path}"] += 1
        pause = time.monotonic() - due
        if page.cookies:
            self.figures.session_pause = max(self.figures.session_pause, pause)
        else:
            self.figures.open_pause = max(self.figures.open_pause, pause)
        self.figures.requests += 1

    async def request(self, transport: httpx.AsyncHTTPTransport, page: Page) -> httpx.Response:
        """Return the response; raise one of the ERRORS if there is none."""
        headers = {"Host": self.host} | ({"Cookie": page.cookies} if page.cookies else {})
        url = self.urls[page.path]
        while True:
            steps = set()

            async def trace(step: str, _: object, steps: set[str] = steps) -> None:
                steps.add(step)

            request = httpx.Request("GET", url, headers=headers, extensions=self.options | {"trace": trace})
            try:
                response = await transport.handle_async_request(request)
                await response.aread()
            except ERRORS as error:
                announced = any(text in str(error) for text in ANNOUNCED)
                timeout = isinstance(error, httpx.TimeoutException)
                answered = any(step.endswith("receive_response_headers.complete") for step in steps)
                if not announced and (timeout or answered or "connection.connect_tcp.started" in steps):
                    raise
                self.figures.repeated += 1
            else:
                return response
            finally:
                self.figures.connections += "connection.connect_tcp.started" in steps

    async def come(self, rate: float, closing_time: asyncio.Event) -> None:
        """Request pages until closing time, and wait for the last responses."""
        began, before = time.monotonic(), time.process_time()
        async with asyncio.TaskGroup() as visits:
            for number in itertools.count():
                due = began + number / rate
                await asyncio.sleep(max(0, due - time.monotonic()))
                if closing_time.is_set():
                    break
                visits.create_task(self.visit(number, due))
            self.figures.seconds = time.monotonic() - began
        # What is left of a connection to a host that is gone may never be closed.
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                for transport in self.kept.values():
                    await transport.aclose()
        self.figures.failed, self.figures.protocols = dict(self.failed), dict(self.protocols)
        self.figures.processor = time.process_time() - before


@contextmanager
def load(
    site: str, pages: list[Page], address: str = "127.0.0.1", ca: str | None = None, rate: float = RATE
) -> Iterator[Figures]:
    """Request the pages of a site `rate` times a second; the figures are complete when the block has ended.

    Raises subprocess.CalledProcessError if the process that sends the requests ends before that.
    """
    figures = Figures()
    task = {"site": site, "address": address, "ca": ca, "rate": rate, "pages": [vars(page) for page in pages]}
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(f"{json.dumps(task)}\n")
        process.stdin.flush()
        process.stdout.readline()  # the requests begin
        try:
            yield figures
        finally:
            said, _ = process.communicate()  # the end of its standard input is closing time
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    vars(figures).update(json.loads(said))


async def main() -> None:
    """Read from a line of standard input what to request, do so until the input ends, and print the figures."""
    task = json.loads(sys.stdin.readline())
    crowd = Crowd(task["site"], task["address"], task["ca"], [Page(**page) for page in task["pages"]])
    closing_time, loop = asyncio.Event(), asyncio.get_running_loop()

    def close() -> None:
        loop.remove_reader(sys.stdin)
        closing_time.set()

    loop.add_reader(sys.stdin, close)
    print("begun", flush=True)
    await crowd.come(task["rate"], closing_time)
    print(json.dumps(vars(crowd.figures)))


if __name__ == "__main__":
    asyncio.run(main())
