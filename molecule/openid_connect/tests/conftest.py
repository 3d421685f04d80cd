# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A visitor who has logged in."""

import bench_client
import httpx
import pytest
import testinfra
from testinfra.host import Host


@pytest.fixture
def user(visitor: httpx.Client) -> httpx.Client:
    """Return a client that is logged in as an administrator."""
    bench_client.saml_login(visitor, "/login", "ghopper")
    assert visitor.get("/api/me").json()["identifier"] == "ghopper"
    return visitor


@pytest.fixture(scope="session")
def provider() -> Host:
    """Return the host of the provider."""
    return testinfra.get_host(f"docker://{bench_client.containers()[bench_client.IDP_HOST].name}")
