# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machine is reached by SSH."""

from __future__ import annotations

import bench_client
import pytest
import testinfra
from testinfra.host import Host


@pytest.fixture(scope="session")
def web() -> Host:
    """Return the host that serves the site."""
    files = bench_client.ARTIFACTS / "vm"
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    address = (files / "address").read_text()
    return testinfra.get_host(f"ssh://root@{address}", ssh_identity_file=str(files / "key"), ssh_extra_args=options)
