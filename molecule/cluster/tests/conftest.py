# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visitors of the cluster find its address."""

from collections.abc import Iterator

import bench_client
import docker
import pytest
from balanced import address


@pytest.fixture(scope="session", autouse=True)
def visitors_know_the_address() -> Iterator[None]:
    """Send visitors to the address of the site, which no container has by itself."""
    bench_client.MOVING[bench_client.HOST] = address()
    bench_client.addresses.cache_clear()
    yield
    bench_client.MOVING.clear()
    bench_client.addresses.cache_clear()


@pytest.fixture(scope="module")
def gateway() -> str:
    """Return the address from which the visitors of these tests come."""
    network = docker.from_env().networks.get(bench_client.NETWORK)
    return network.attrs["IPAM"]["Config"][0]["Gateway"]
