# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the tests of all servers: each test with `server` runs once for every server."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import releases
from releases import Run

SCENARIO = Path(__file__).parents[1]
CONNECTORS = {"uwsgi": "uwsgi_proxy", "gunicorn": "reverse_proxy", "mod_wsgi": "mod_wsgi_app"}
SITE = "http://servers.example.org"


def stranger(server: str, **options) -> httpx.Client:
    """Return a client of the application under a server."""
    return releases.stranger(f"{SITE}/{server}", **options)


@pytest.fixture(params=CONNECTORS)
def server(request, host) -> str:
    """Return the server that runs the application.

    All tests have `host` by this: pytest runs those without it last, where the application is another release.
    """
    return request.param


@pytest.fixture
def site(server) -> Iterator[httpx.Client]:
    """Return a client of the application."""
    with stranger(server) as client:
        yield client


@pytest.fixture
def deploy(server, tmp_path) -> Callable[..., Run]:
    """Deploy a release for the server, see releases."""
    run = releases.releases(SCENARIO, tmp_path)
    return partial(run, playbook="server.yml", flask_app_server=server, connector=CONNECTORS[server])


@pytest.fixture
def roll_back(server) -> Callable[..., Run]:
    """Roll the application back, with further variables."""

    def run(**variables: str) -> Run:
        return releases.run_playbook(SCENARIO / "rollback.yml", {"flask_app_server": server} | variables)

    return run
