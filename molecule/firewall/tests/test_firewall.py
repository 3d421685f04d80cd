# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's ports are open in each firewall, and no other port is."""

import socket

import bench_client
import pytest

testinfra_hosts = ["ansible://flask_sso"]
STRANGER = 8080
RELOAD = {
    "nftables": "systemctl restart nftables",
    "ufw": "ufw reload",
    "firewalld": "firewall-cmd --complete-reload",
}


def firewall(host):
    """The firewall that the host is named after."""
    return host.backend.get_hostname().removeprefix("flask-sso-").removesuffix(bench_client.LANE)


@pytest.fixture(scope="module")
def name(host):
    """The host's name on the network."""
    return f"{firewall(host)}.example.org"


@pytest.fixture(scope="module", autouse=True)
def stranger(host):
    """A program that listens on a port that is not open in the firewall."""
    host.run_test(f"systemd-run --quiet --unit=stranger python3 -m http.server {STRANGER}")
    host.run_test(f"timeout 5 sh -c 'until ss -ltn | grep -q :{STRANGER}; do sleep 0.1; done'")
    yield
    host.run_test("systemctl stop stranger")


def reachable(name, port):
    """Whether a connection from outside succeeds."""
    try:
        socket.create_connection((bench_client.addresses()[name], port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("again", [False, True], ids=["now", "after a restart of the firewall"])
def test_the_site_is_reachable_and_nothing_else_is(host, name, again):
    """Ports 80 and 443 answer from outside, also when the firewall has read its files again; 8080 does not."""
    if again:
        host.run_test(RELOAD[firewall(host)])
    assert host.socket(f"tcp://0.0.0.0:{STRANGER}").is_listening
    assert {port: reachable(name, port) for port in (80, 443, STRANGER)} == {80: True, 443: True, STRANGER: False}


def test_the_site_answers_through_the_firewall(name):
    """TLS with the host's own certificate works from outside."""
    with bench_client.client() as session:
        assert session.get(f"https://{name}/").status_code in (403, 404)
