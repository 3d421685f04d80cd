# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The balancers pass TLS through to the nodes, which have sessions in a store; afterwards they end it again."""

from __future__ import annotations

from collections.abc import Iterator

import bench_client
import pytest
from balanced import BALANCERS, COOKIE, NODES, ask, host, log_in, me
from bench_fixtures import run_playbook


@pytest.fixture(scope="module", autouse=True)
def passed_through() -> Iterator[None]:
    """Pass TLS through during these tests."""
    code, said = run_playbook("playbooks/balancers.yml", {"load_balancer_tls": "passthrough"})
    assert code == 0, said
    yield
    code, said = run_playbook("playbooks/balancers.yml", {})
    assert code == 0, said


def node_of_visitors(path: str, visitor: str) -> str:
    """Return the node that has got a request, whose log has the visitor's address."""
    logs = {node: host(node).run("grep -h %s /var/log/apache2/*access.log", path).stdout for node in NODES}
    (node,) = [node for node, log in logs.items() if log]
    assert all(visitor in line for line in logs[node].splitlines())
    return node


def test_nodes_end_tls_and_know_the_visitors_address(gateway: str) -> None:
    """All connections of an address go to one node."""
    for _ in range(4):
        with bench_client.client() as session:
            assert session.get("/passed-through").status_code == 404
            assert COOKIE not in session.cookies
    assert node_of_visitors("/passed-through", gateway)


def test_session_goes_on_at_another_node(gateway: str) -> None:
    """Also when the node of an address is taken out."""
    with bench_client.client() as session:
        log_in(session)
        session.get("/before", headers={"Connection": "close"})
        node = node_of_visitors("/before", gateway)
        for name in BALANCERS:
            ask(f"set server nodes/{node} state maint", name)
        try:
            session.get("/after", headers={"Connection": "close"})
            assert me(session) == 200
        finally:
            for name in BALANCERS:
                ask(f"set server nodes/{node} state ready", name)
    assert node_of_visitors("/after", gateway) != node
