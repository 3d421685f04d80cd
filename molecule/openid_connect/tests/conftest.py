# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A visitor who has logged in, and a provider that is down."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import bench_client
import httpx
import pytest
import testinfra

ISSUER = f"https://{bench_client.IDP_HOST}/auth/realms/cern"


@pytest.fixture
def user(visitor: httpx.Client) -> httpx.Client:
    """Return a client that is logged in as an administrator."""
    bench_client.saml_login(visitor, "/login", "ghopper")
    assert visitor.get("/api/me").json()["identifier"] == "ghopper"
    return visitor


@pytest.fixture(scope="session")
def provider_down() -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which the provider does not run."""
    host = testinfra.get_host(f"docker://{bench_client.containers()[bench_client.IDP_HOST].name}")

    @contextmanager
    def down() -> Iterator[None]:
        host.check_output("systemctl stop openid-provider")
        try:
            yield
        finally:
            host.check_output("systemctl start openid-provider")
            wait_for_provider()

    return down


def wait_for_provider() -> None:
    """Wait until the provider answers."""
    deadline = time.monotonic() + 60
    with bench_client.client() as session:
        while session.get(f"{ISSUER}/.well-known/openid-configuration").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
