# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the tests of a reused role: visitors from outside, and further runs of the playbook."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import bench_client
import httpx
import pytest
import releases
from releases import Run

SCENARIO = Path(__file__).parents[1]
stranger = partial(releases.stranger, "http://reuse.example.org")
visitors = partial(bench_client.visitors, connect=stranger)


@pytest.fixture
def deploy(tmp_path) -> Callable[..., Run]:
    """Deploy a release, see releases."""
    return releases.releases(SCENARIO, tmp_path)


@pytest.fixture
def page() -> Callable[..., httpx.Response]:
    """Fetch a page through Apache, from outside."""

    def fetch(path: str = "/", **options) -> httpx.Response:
        with stranger() as client:
            return client.get(path, **options)

    return fetch
