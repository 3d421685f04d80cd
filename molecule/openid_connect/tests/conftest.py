# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A visitor who has logged in, and a provider that is down, has another key, or says what it should not."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import bench_client
import httpx
import pytest
import testinfra
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from testinfra.host import Host
from tokens import ISSUER


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


@pytest.fixture(scope="session")
def provider_directory(provider: Host) -> str:
    """Return the directory with the provider's settings and its key."""
    return provider.check_output("systemctl show --property=WorkingDirectory --value openid-provider")


@pytest.fixture(scope="session")
def provider_key(provider: Host, provider_directory: str) -> RSAPrivateKey:
    """Return the key that the provider signs with."""
    return load_pem_private_key(provider.file(f"{provider_directory}/signing-key.pem").content, None)


@pytest.fixture(scope="session")
def provider_down(provider: Host) -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which the provider does not run."""

    @contextmanager
    def down() -> Iterator[None]:
        provider.check_output("systemctl stop openid-provider")
        try:
            yield
        finally:
            provider.check_output("systemctl start openid-provider")
            wait_for_provider()

    return down


@pytest.fixture
def provider_says(provider: Host, provider_directory: str) -> Iterator[Callable[..., None]]:
    """Return a function with which the provider's answers at a route have other content, until the test ends."""
    changed = []

    def say(route: str, **content: Any) -> None:
        changed.append(f"{provider_directory}/{route}.json")
        provider.check_output("printf %%s %s > %s", json.dumps(content), changed[-1])

    yield say
    provider.check_output(f"rm --force {' '.join(changed)}")


@pytest.fixture
def rolled_key(provider: Host, provider_directory: str) -> Iterator[None]:
    """Have the provider sign with a new key, until the test ends; it publishes no other one."""

    def restart_after(command: str) -> None:
        provider.check_output(f"cd {provider_directory} && {command} && systemctl restart openid-provider")
        wait_for_provider()

    generate = "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"
    keep = "cp signing-key.pem old.pem"
    restart_after(f"sed -i '/key_id/s/bench/rolled/' settings.json && {keep} && {generate} > signing-key.pem")
    yield
    restart_after("sed -i '/key_id/s/rolled/bench/' settings.json && cat old.pem > signing-key.pem")


def wait_for_provider() -> None:
    """Wait until the provider answers."""
    deadline = time.monotonic() + 60
    with bench_client.client() as session:
        while session.get(f"{ISSUER}/.well-known/openid-configuration").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
