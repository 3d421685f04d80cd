# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every address is either given or in one of the other networks."""

from ipaddress import ip_address, ip_network

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.flask_sso.plugins.filter.other_networks import other_networks
from hypothesis import given
from hypothesis import strategies as st

NETWORKS = st.builds(
    lambda address, cut: f"{address}/{min(cut, address.max_prefixlen)}", st.ip_addresses(), st.integers(0, 128)
)


@given(st.lists(NETWORKS, max_size=2), st.ip_addresses())
def test_address_is_given_or_in_exactly_one_other_network(networks, address):
    others = [network for network in other_networks(networks) if address in ip_network(network)]
    assert len(others) == (not any(address in ip_network(network, strict=False) for network in networks))


def test_neighbours_of_an_address_are_others():
    others = [ip_network(network) for network in other_networks(["192.0.2.7"])]
    for text, is_other in [("192.0.2.6", True), ("192.0.2.7", False), ("192.0.2.8", True), ("::1", True)]:
        assert any(ip_address(text) in network for network in others) is is_other


def test_httpd_accepts_every_prefix():
    assert all(ip_network(network).prefixlen for network in other_networks([]))


@pytest.mark.parametrize("text", ["balancer.example.org", "192.0.2.7/33", ""])
def test_what_is_no_network_is_an_error(text):
    with pytest.raises(AnsibleFilterError):
        other_networks([text])
