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


@pytest.fixture
def weak_signatures() -> Iterator[None]:
    """Have the provider sign with the client secret, which it shares with everybody who knows that."""
    host = testinfra.get_host(f"docker://{bench_client.containers()[bench_client.IDP_HOST].name}")
    change = "sed -i '/signed_response_alg/s/{0}/{1}/' {2}/settings.json && systemctl restart openid-provider"
    directory = host.check_output("systemctl show --property=WorkingDirectory --value openid-provider")
    host.check_output(change.format("RS256", "HS256", directory))
    wait_for_provider()
    yield
    host.check_output(change.format("HS256", "RS256", directory))
    wait_for_provider()


def wait_for_provider() -> None:
    """Wait until the provider answers."""
    deadline = time.monotonic() + 60
    with bench_client.client() as session:
        while session.get(f"{ISSUER}/.well-known/openid-configuration").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
