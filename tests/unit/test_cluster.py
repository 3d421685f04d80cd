# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of a cluster change one after the other once they serve, and have what a login needs on all of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from untrusted_roles import ROOT, own_variables, trusted

VARIABLES = own_variables() | {
    name: trusted(value)
    for file in ("parts", "site", "cluster")
    for name, value in yaml.safe_load((ROOT / f"playbooks/vars/{file}.yml").read_text("utf-8")).items()
}
AGREED = {
    "saml_sp_keys_directory": "/keys",
    "shibboleth_sp_sealer_file": "/keys/sealer.secret",
    "flask_app_credentials": {"secret_key": "k" * 64},
    "apache_ssl_certificate_source": "provided",
    "apache_ssl_proxy_protocol_from": ["192.0.2.10"],
}
BALANCERS = {"balancer": {}}


def value(expression: Any, nodes: dict[str, dict], balancers: dict[str, dict], **variables: Any) -> Any:
    """Return a template's value in a run for these nodes.

    :param expression: The template.
    :param nodes: What is known of each node.
    :param balancers: The same of the balancers; without any, the hosts are no cluster.
    :param variables: Variables of a node.
    """
    groups = {"flask_sso": list(nodes)} | ({"flask_sso_balancers": list(balancers)} if balancers else {})
    known = {"groups": groups, "hostvars": nodes | balancers}
    return Templar(loader=DataLoader(), variables=VARIABLES | known | variables).template(trusted(expression))


def play(name: str) -> dict[str, Any]:
    """Return the play of a playbook that changes nodes."""
    *_, found = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text("utf-8"))
    return found


def answers(*codes: int | None) -> dict[str, dict]:
    """Return nodes that have answered with these status codes, or not at all."""
    answers = [{"status": code} if code else {"msg": "refused"} for code in codes]
    return {f"web{number}": {"site_served": answer} for number, answer in enumerate(answers)}


@pytest.mark.parametrize(
    ("nodes", "balancers", "hosts_at_a_time"),
    [
        (answers(None, None, None), BALANCERS, 0),
        (answers(None, 200), BALANCERS, 1),
        (answers(200, 503), BALANCERS, 1),
        (answers(503, 503), BALANCERS, 0),
        ({"web0": {"site_served": {"skipped": True}}, "web1": {"site_served": {"skipped": True}}}, {}, 0),
        (answers(None) | {"not in this run": {}}, BALANCERS, 0),
    ],
    ids=["new nodes", "a new node among others", "a node has failed", "none serves", "no cluster", "new nodes alone"],
)
def test_site_is_changed_node_by_node_once_one_serves_it(nodes, balancers, hosts_at_a_time):
    assert value(play("site")["serial"], nodes, balancers) == hosts_at_a_time


@pytest.mark.parametrize("name", ["release", "rollback"])
@pytest.mark.parametrize(("balancers", "hosts_at_a_time"), [(BALANCERS, 1), ({}, 0)], ids=["cluster", "no cluster"])
def test_releases_are_changed_node_by_node(name, balancers, hosts_at_a_time):
    assert value(play(name)["serial"], {"web1": {}}, balancers) == hosts_at_a_time


def steps(task: dict[str, Any]) -> list[str]:
    """Return the names of the files of tasks that a task imports, also through a file of the playbooks."""
    file = task.get("ansible.builtin.include_tasks")
    if isinstance(file, str):
        included = yaml.safe_load((ROOT / "playbooks" / file).read_text("utf-8"))
        return [step for inner in included for step in steps(inner)]
    return [Path(task.get("ansible.builtin.import_tasks", "a change")).name]


@pytest.mark.parametrize("name", ["site", "release", "rollback"])
def test_node_is_outside_of_its_balancers_while_it_changes(name):
    done = [file for task in play(name)["tasks"] for file in steps(task)]
    taken_out, put_back = done.index("take_out.yml"), done.index("put_back.yml")
    assert "a change" in done[taken_out:put_back]


def faults(balancers: dict[str, dict], **variables: Any) -> list[str]:
    """Return what the checks of a cluster say about the variables of a node."""
    return faults_of({"web1": {}, "web2": {}}, balancers, **variables)


def faults_of(nodes: dict[str, dict], balancers: dict[str, dict], **variables: Any) -> list[str]:
    """Return what the checks of a cluster say about one of these nodes."""
    names = value("{{ cluster_checks }}", nodes, balancers, **variables)
    checks = [check for name in names for check in value(f"{{{{ {name} }}}}", nodes, balancers, **variables)]
    return [check["otherwise"] for check in checks if not check["that"]]


def test_nothing_is_wrong_with_nodes_that_agree():
    assert faults(BALANCERS, **AGREED) == []


@pytest.mark.parametrize("name", AGREED)
def test_what_nodes_have_to_agree_on_is_required_of_a_cluster_alone(name):
    variables = {other: agreed for other, agreed in AGREED.items() if other != name}
    (fault,) = faults(BALANCERS, **variables)
    assert name in fault
    assert faults({}, **variables) == []


def test_one_host_behind_a_balancer_shares_nothing():
    groups = {"groups": {"flask_sso": ["web1"], "flask_sso_balancers": ["balancer"]}}
    proxy = {"apache_ssl_proxy_protocol_from": AGREED["apache_ssl_proxy_protocol_from"]}
    assert faults_of({"web1": {}}, BALANCERS, **groups, **proxy) == []


def test_sites_without_saml_need_no_keys_of_a_service_provider():
    variables = AGREED | {
        "saml_sp_keys_directory": "",
        "shibboleth_sp_sealer_file": "",
        "flask_sso_authentication": "client_certificates",
        "client_certificates_mode": "optional",
    }
    assert faults(BALANCERS, **variables) == []


def test_client_certificate_cannot_be_required_of_balancers():
    variables = AGREED | {"flask_sso_authentication": "client_certificates"}
    (fault,) = faults(BALANCERS, **variables)
    assert 'flask_sso_authentication is "client_certificates"' in fault
    assert faults({}, **variables) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("saml_sp_keys_directory", ("/keys", "/Keys")),
        ("shibboleth_sp_sealer_file", ("/secret", "/secret2")),
        ("flask_app_credentials", ({"secret_key": "a" * 64}, {"secret_key": "b" * 64})),
    ],
)
def test_value_of_each_node_is_refused(name, values):
    nodes = {f"web{number}": AGREED | {name: value} for number, value in enumerate(values)}
    (fault,) = faults_of(nodes, BALANCERS, **nodes["web0"])
    assert name in fault
    assert "not the same on all nodes of the cluster" in fault
    assert "aaaa" not in fault


def test_balancers_that_tell_no_addresses_need_not_be_known():
    balancers = {"balancer": {"load_balancer_proxy_protocol": False}}
    assert faults(balancers, **AGREED | {"apache_ssl_proxy_protocol_from": []}) == []


@pytest.mark.parametrize(("trusted_addresses", "wrong"), [(["192.0.2.10"], True), (["192.0.2.8", "192.0.2.9"], False)])
def test_connections_of_balancers_come_from_their_own_addresses(trusted_addresses, wrong):
    balancers = {f"balancer{number}": {"load_balancer_virtual_addresses": ["192.0.2.10/24"]} for number in (1, 2)}
    found = faults(balancers, **AGREED | {"apache_ssl_proxy_protocol_from": trusted_addresses})
    assert any("balancer1, balancer2" in fault for fault in found) is bool(found) is wrong


SHARED_SESSIONS = {
    "openid_connect_session_store": {"host": "store.example.org", "password": "p" * 32},
    "openid_connect_passphrase": "p" * 64,
}


def openid_connect(**variables: Any) -> dict[str, Any]:
    """Return the variables of a cluster with OpenID Connect."""
    of_saml = {"saml_sp_keys_directory": "", "shibboleth_sp_sealer_file": ""}
    return AGREED | of_saml | {"flask_sso_authentication": "openid_connect"} | variables


def test_sessions_of_openid_connect_are_in_a_store_of_all_nodes():
    assert faults(BALANCERS, **openid_connect(**SHARED_SESSIONS)) == []


@pytest.mark.parametrize("name", SHARED_SESSIONS)
def test_sessions_of_openid_connect_that_nodes_do_not_share_are_refused_in_a_cluster_alone(name):
    empty = {name: type(SHARED_SESSIONS[name])()}
    (fault,) = faults(BALANCERS, **openid_connect(**SHARED_SESSIONS | empty))
    assert fault.startswith(f"{name} is not set")
    assert faults({}, **openid_connect(**SHARED_SESSIONS | empty)) == []
    assert faults(BALANCERS, **AGREED | SHARED_SESSIONS | empty) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_store_of_each_node_is_none_of_all(host):
    store = {"openid_connect_session_store": {"host": host, "password": "p" * 32}}
    (fault,) = faults(BALANCERS, **openid_connect(**SHARED_SESSIONS | store))
    assert "or each node's own" in fault


@pytest.mark.parametrize(
    ("store", "shared"),
    [
        ("", False),
        ("sqlite:////var/lib/flask_app/saml.sqlite", False),
        ("postgresql+psycopg://app@db.example.org/app?connect_timeout=3", True),
    ],
)
def test_sessions_of_saml_in_the_application_are_in_a_database_of_all_nodes(store, shared):
    variables = AGREED | {"flask_sso_authentication": "saml", "shibboleth_sp_sealer_file": "", "app_saml_store": store}
    found = faults(BALANCERS, **variables)
    assert [fault.partition(" is not set")[0] for fault in found] == ["app_saml_store"] * (not shared)
    assert faults({}, **variables) == []
    assert faults(BALANCERS, **AGREED | {"app_saml_store": store}) == []


def test_sessions_of_saml_in_the_application_need_a_database_in_a_cluster():
    variables = AGREED | {"flask_sso_authentication": "saml", "shibboleth_sp_sealer_file": ""}
    (fault,) = faults(BALANCERS, **variables)
    assert fault.startswith("app_saml_store is not set")


@pytest.mark.parametrize(
    ("run", "leaves"),
    [
        ({}, True),
        ({"ansible_run_tags": ("configure",)}, True),
        ({"ansible_run_tags": ("preflight",)}, False),
        ({"ansible_check_mode": True}, False),
    ],
    ids=["all of it", "a part", "the preflight", "check mode"],
)
def test_node_leaves_its_balancers_if_the_run_may_change_it(run, leaves):
    run = {"ansible_check_mode": False, "ansible_run_tags": ("all",)} | run
    assert value("{{ site_balanced }}", {"web1": {}}, BALANCERS, **run) is leaves


@pytest.mark.parametrize("name", ["site", "release"])
def test_services_load_their_files_before_the_node_is_put_back(name):
    """Also in a run with tags, which passes over tasks without any."""
    blocks = [task["block"] for task in play(name)["tasks"] if "rescue" in task]
    (flush,) = [task for block in blocks for task in block if task.get("ansible.builtin.meta") == "flush_handlers"]
    assert flush["tags"] == ["always"]
