# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy is told of the nodes, and which variables its role refuses."""

import re

import pytest
import untrusted_roles

NODES = {"web1": "192.0.2.11", "web2": "2001:db8::12"}
GIVEN = {
    "load_balancer_ready_path": "/readyz",
    "load_balancer_ca_file": "",
    "load_balancer_nodes": NODES,
}
#: Of two balancers, this is the first one.
MOVING = {
    "inventory_hostname": "balancer1",
    "load_balancer_host_addresses": {"balancer1": "192.0.2.8", "balancer2": "192.0.2.9"},
    "load_balancer_virtual_addresses": ["192.0.2.10/24", "2001:db8::10/64"],
    "load_balancer_interface": "eth0",
    "ansible_facts": {"interfaces": ["lo", "eth0"], "all_ipv4_addresses": ["192.0.2.8"], "all_ipv6_addresses": []},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """A site of which nothing is wrong."""
    site = untrusted_roles.Site(tmp_path_factory.mktemp("controller"))
    site.given |= GIVEN
    return site


def sections(site: untrusted_roles.Site, **variables: object) -> dict[str, list[str]]:
    """Return the lines of the configuration by the sections that they are in.

    :param variables: Variables that are different.
    """
    found: dict[str, list[str]] = {}
    for line in site.made("load_balancer", "haproxy.cfg.j2", variables).splitlines():
        if line and not line.startswith((" ", "#")):
            lines = found.setdefault(line.strip(), [])
        elif line.strip() and not line.strip().startswith("#"):
            lines.append(line.strip())
    return found


def words(lines: list[str], first: str) -> set[str]:
    """Return the words of all lines that begin with a keyword."""
    return {word for line in lines for word in line.split() if line.startswith(f"{first} ")}


def test_nothing_is_wrong_with_the_nodes(site):
    assert site.faults("load_balancer", GIVEN) == []


@pytest.mark.parametrize("tls", ["passthrough", "terminate"])
def test_every_node_is_asked_for_its_readiness_over_verified_tls(site, tls):
    nodes = sections(site, load_balancer_tls=tls)["backend nodes"]
    assert any(line.startswith("http-check send meth GET uri /readyz ") for line in nodes)
    assert {"check-ssl", "required", "check-sni", "verifyhost"} <= words(nodes, "default-server")
    assert {line.split()[2] for line in nodes if line.startswith("server ")} == {"192.0.2.11:443", "[2001:db8::12]:443"}


def servers(site, nodes: dict[str, str], **variables: object) -> dict[str, list[str]]:
    """Return the words about each node, by its name."""
    lines = sections(site, load_balancer_nodes=nodes, **variables)["backend nodes"]
    return {line.split()[1]: line.split()[2:] for line in lines if line.startswith("server ")}


def test_balancer_that_starts_needs_no_dns(site):
    resolved = {"results": [{"item": "web2", "rc": 0, "stdout": "192.0.2.12 STREAM web2\n192.0.2.12 DGRAM"}]}
    found = servers(site, {"web1": "192.0.2.11", "web2": "web2.example.org"}, load_balancer__resolved=resolved)
    assert {name: words[0] for name, words in found.items()} == {"web1": "192.0.2.11:443", "web2": "192.0.2.12:443"}


def test_name_that_the_balancer_cannot_resolve_is_refused(site, monkeypatch):
    monkeypatch.setitem(site.given, "load_balancer_nodes", {"web1": "192.0.2.11", "web2": "web2.example.org"})
    monkeypatch.setitem(site.given, "load_balancer__resolved", {"results": [{"item": "web2", "rc": 2, "stdout": ""}]})
    (fault,) = site.faults("load_balancer", {})
    assert fault.startswith("load_balancer_nodes has web2, whose name web cannot resolve.")


def test_node_keeps_its_number_when_others_come_and_go(site):
    """Of what is passed through, the numbers decide which node a visitor has."""
    before = servers(site, {"web1": "192.0.2.11", "web2": "192.0.2.12"})
    after = servers(site, {"app": "192.0.2.10", "web2": "192.0.2.12", "web3": "192.0.2.13"})
    assert before["web2"] == after["web2"]
    numbers = [words[words.index("id") + 1] for words in after.values()]
    assert len({*numbers, before["web1"][2]}) == 4
    assert all(0 < int(number) < 2**31 for number in numbers)


@pytest.mark.parametrize(("ipv6", "form"), [(True, ":::{} v4v6"), (False, "*:{}")])
@pytest.mark.parametrize("tls", ["passthrough", "terminate"])
def test_balancer_listens_where_the_kernel_lets_it(site, tls, ipv6, form):
    state = site.given["base_system_host"] | {"ipv6": ipv6}
    made = sections(site, load_balancer_tls=tls, base_system_host=state)
    for port in (80, 443):
        front = made["frontend http" if port == 80 else "frontend https"]
        (bind,) = [line for line in front if line.startswith("bind ")]
        assert f"{bind} ".startswith(f"bind {form.format(port)} ")


def test_what_is_passed_through_is_not_read(site):
    made = sections(site)
    assert "mode tcp" in made["frontend https"]
    assert "mode tcp" in made["backend nodes"]
    assert not {"ssl", "cookie"} & words(made["frontend https"], "bind") | words(made["backend nodes"], "cookie")


def test_cookie_reaches_the_node_with_the_response_of_another_site(site):
    nodes = sections(site, load_balancer_tls="terminate")["backend nodes"]
    cookie = words(nodes, "cookie")
    assert {"__Host-flask_app-node", "httponly", "secure", '"SameSite=None"'} <= cookie
    assert all(line.split()[1] == line.split()[-1] for line in nodes if line.startswith("server "))
    assert "ssl" in words(nodes, "default-server")


def test_only_safe_requests_are_repeated(site):
    nodes = sections(site, load_balancer_tls="terminate")["backend nodes"]
    assert "http-request disable-l7-retry unless { method GET HEAD OPTIONS }" in nodes


@pytest.mark.parametrize("tls", ["passthrough", "terminate"])
def test_visitors_do_not_wait_for_a_node_that_is_lost(site, tls):
    made = sections(site, load_balancer_tls=tls)
    assert "option redispatch 1" in made["defaults"]
    assert {"tcp-ut", "fastinter"} <= words(made["backend nodes"], "default-server")
    assert "shutdown-sessions" not in words(made["backend nodes"], "default-server")
    assert "option srvtcpka" in made["backend nodes"]


@pytest.mark.parametrize("front", ["frontend http", "frontend https"])
def test_proxy_protocol_is_accepted_from_the_given_addresses_alone(site, front):
    def accepted(**variables: object) -> list[str]:
        lines = sections(site, **variables)[front]
        assert "accept-proxy" not in words(lines, "bind")
        return [line for line in lines if "expect-proxy" in line]

    assert accepted() == []
    assert accepted(load_balancer_proxy_protocol_from=["192.0.2.1", "2001:db8::/32"]) == [
        "tcp-request connection expect-proxy layer4 if { src 192.0.2.1 }",
        "tcp-request connection expect-proxy layer4 if { src 2001:db8::/32 }",
    ]


@pytest.mark.parametrize("tells", [True, False])
def test_nodes_are_told_the_visitors_addresses_if_they_expect_it(site, tells):
    told = words(sections(site, load_balancer_proxy_protocol=tells)["backend nodes"], "default-server")
    assert ("send-proxy-v2" in told) is ("check-send-proxy" in told) is tells


def test_redirect_goes_to_the_name_of_the_site_whatever_was_asked_for(site):
    made = sections(site, load_balancer_https_port=8443)["frontend http"]
    assert f"http-request redirect prefix https://{untrusted_roles.NAME}:8443 code 301" in made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("load_balancer_site", "Site"),
        ("load_balancer_server_name", "app.example.org\n"),
        ("load_balancer_server_name", "app.example.org code 301"),
        ("load_balancer_nodes", {}),
        ("load_balancer_nodes", {"a b": "192.0.2.1"}),
        ("load_balancer_nodes", {"web1": "192.0.2.1:443"}),
        ("load_balancer_nodes", {"web1": "192.0.2.1 backup"}),
        ("load_balancer_nodes", {"web1": "$HOME"}),
        ("load_balancer_ready_path", ""),
        ("load_balancer_ready_path", "/ready z"),
        ("load_balancer_ca_file", "/missing.pem#"),
        ("load_balancer_http_port", 443),
        ("load_balancer_node_port", 0),
        ("load_balancer_connections", 0),
        ("load_balancer_response_seconds", "60"),
        ("load_balancer_check_seconds", True),
        ("load_balancer_proxy_protocol", "yes"),
        ("load_balancer_proxy_protocol_from", ["192.0.2.1 }"]),
        ("load_balancer_proxy_protocol_from", ["balancer.example.org"]),
        ("load_balancer_tls", "terminate"),
        ("load_balancer_tls", "both"),
        ("load_balancer_virtual_addresses", ["192.0.2.10"]),
        ("load_balancer_virtual_addresses", ["192.0.2.10/24 dev lo"]),
        ("load_balancer_virtual_addresses", ["balancer.example.org/24"]),
        ("load_balancer_virtual_router_id", 0),
        ("load_balancer_virtual_router_id", 256),
        ("load_balancer_virtual_router_id", "51"),
    ],
)
def test_value_is_refused(site, name, value):
    faults = site.faults("load_balancer", {**GIVEN, name: value, "ansible_check_mode": False})
    assert any(name in fault for fault in faults)


def test_client_certificates_are_passed_through(site):
    variables = {"flask_sso_authentication": "client_certificates", "load_balancer_tls": "terminate"}
    assert any("load_balancer_tls: passthrough" in fault for fault in site.faults("load_balancer", variables))


def test_host_that_serves_something_else_is_refused(site):
    host = {"listeners": [{"port": 443, "name": "apache2"}], "packages": []}
    faults = site.faults("load_balancer", {"base_system_host": host, "load_balancer_https_port": 443})
    assert any("apache2" in fault for fault in faults)


def keepalived(site: untrusted_roles.Site, **variables: object) -> dict[str, list[str]]:
    """Return the words in the innermost blocks of keepalived's configuration, by what precedes the block.

    :param variables: Variables that are different.
    """
    made = site.made("load_balancer", "keepalived.conf.j2", MOVING | variables)
    text = "\n".join(line for line in made.splitlines() if not line.lstrip().startswith("#"))
    return {block: words.split() for block, words in re.findall(r"(\w+) \{([^{}]*)\}", text)}


def test_nothing_is_wrong_with_an_address_that_moves(site):
    assert site.faults("load_balancer", MOVING) == []


def test_balancers_know_each_other_by_their_own_addresses(site):
    made = [keepalived(site, inventory_hostname=name) for name in MOVING["load_balancer_host_addresses"]]
    assert [blocks["unicast_peer"] for blocks in made] == [["192.0.2.9"], ["192.0.2.8"]]


def test_addresses_of_both_versions_of_ip_move(site):
    made = keepalived(site)
    assert made["virtual_ipaddress"] == ["192.0.2.10/24"]
    assert made["virtual_ipaddress_excluded"] == ["2001:db8::10/64", "preferred_lft", "0"]
    own = {"balancer1": "2001:db8::8", "balancer2": "2001:db8::9"}
    assert keepalived(site, load_balancer_host_addresses=own)["virtual_ipaddress"][0] == "2001:db8::10/64"


def test_balancer_may_be_the_first_of_several(site):
    alone = {"load_balancer_host_addresses": {"balancer1": "192.0.2.8"}}
    assert site.faults("load_balancer", MOVING | alone) == []
    assert "unicast_peer" not in keepalived(site, **alone)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("load_balancer_host_addresses", {"balancer1": "192.0.2.8", "balancer2": "balancer2.example.org"}),
        ("load_balancer_host_addresses", {"balancer1": "192.0.2.8", "balancer2": "192.0.2.9 }"}),
        ("load_balancer_host_addresses", {"balancer1": "192.0.2.8", "balancer2": "2001:db8::9"}),
        ("load_balancer_host_addresses", {"balancer1": "192.0.2.7"}),
        ("load_balancer_host_addresses", {"balancer2": "192.0.2.9"}),
        ("load_balancer_host_addresses", {}),
        ("load_balancer_virtual_addresses", ["2001:db8::10/64"]),
        ("load_balancer_virtual_addresses", ["192.0.2.9/24"]),
        ("load_balancer_interface", "eth1"),
        ("load_balancer_interface", ""),
    ],
)
def test_address_that_cannot_move_is_refused(site, name, value):
    assert any(name in fault for fault in site.faults("load_balancer", MOVING | {name: value}))
    if name != "load_balancer_virtual_addresses":
        still = MOVING | {name: value, "load_balancer_virtual_addresses": []}
        assert site.faults("load_balancer", still) == []


@pytest.mark.parametrize(("virtual", "packages"), [([], ["haproxy"]), (["192.0.2.10/24"], ["haproxy", "keepalived"])])
def test_keepalived_is_installed_if_an_address_moves(site, virtual, packages):
    variables = {"load_balancer_virtual_addresses": virtual}
    assert site.made("load_balancer", "load_balancer__packages", variables) == packages


def test_names_of_nodes_are_those_of_the_inventory(site):
    groups = {"all": ["web1", "web3", "balancer1"], "flask_sso": ["web1", "web3"]}
    faults = site.faults("load_balancer", {"groups": groups, "load_balancer_nodes": NODES})
    assert any("web2, which" in fault for fault in faults)
    assert site.faults("load_balancer", {"groups": groups | {"flask_sso": []}, "load_balancer_nodes": NODES}) == []
