# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the tests of the applications: a user whom httpd has authenticated."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from bench_client import BenchTransport


@pytest.fixture
def site() -> Callable[..., httpx.Client]:
    """Return a function that opens a client of one of the host's names, as alice unless `auth` is another user."""

    def connect(name: str = "apps.example.org", **options) -> httpx.Client:
        settings = {"auth": ("alice", "alice"), "follow_redirects": True, "timeout": 60} | options
        return httpx.Client(transport=BenchTransport(), base_url=f"http://{name}", **settings)

    return connect


@pytest.fixture
def alice(site) -> Iterator[httpx.Client]:
    """Return alice's client of the site that has Django, Radicale and Trac."""
    with site() as session:
        yield session
