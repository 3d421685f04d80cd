# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of a site that is visited all the time: who is logged in, and who logs in meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread

import bench_client
import httpx
from load import Page

#: Whether this is `make test-long`, which has the machine for itself.
LONG = bool(os.environ.get("FLASK_SSO_LONG"))


def member(session: httpx.Client, user: str) -> Page:
    """Log a user in; return a page that shows the name of the session's user."""
    bench_client.saml_login(session, "/login", user)
    return Page("/api/me", bench_client.cookies_of(session), f'"{user}"')


@dataclass(frozen=True)
class Login:
    """When a login began and ended, and with which page or error."""

    began: float
    ended: float
    end: str

    @property
    def succeeded(self) -> bool:
        """Whether the user got the page that was asked for."""
        return self.end == "200 /profile"


def log_in(steps: Callable[[], tuple[httpx.Response, object]]) -> Login:
    """Go through the steps of a login; return what became of it."""
    began = time.monotonic()
    try:
        page, _ = steps()
        end = f"{page.status_code} {page.url.path}"
    except (bench_client.LoginError, httpx.HTTPError) as error:
        end = repr(error)
    return Login(began, time.monotonic(), end)


def new_visitor() -> httpx.Client:
    """Return an HTTP client with a connection for each request.

    A server may close a connection that is kept, at any time. A browser would repeat the request, httpx does not.
    """
    return bench_client.client(timeout=60, headers={"Connection": "close"})


@contextmanager
def logins(pause: float = 0.1) -> Iterator[list[Login]]:
    """Log in again and again, each time as a new visitor; yield the list of these logins."""
    done: list[Login] = []
    closing_time = Event()

    def visit() -> None:
        while not closing_time.wait(pause):
            with new_visitor() as session:
                done.append(log_in(partial(bench_client.saml_login, session, "/profile", "enoether")))

    visits = Thread(target=visit)
    visits.start()
    try:
        yield done
    finally:
        closing_time.set()
        visits.join()
