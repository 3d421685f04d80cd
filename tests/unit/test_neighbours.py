# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that changes what sites share knows which hosts are one machine, and whether their sites agree."""

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from untrusted_roles import ROOT, trusted

VARIABLES = yaml.safe_load((ROOT / "playbooks/vars/neighbours.yml").read_text("utf-8"))
WEB = {"ansible_host": "web"}


def value(name: str, *sites: dict) -> list[str]:
    """Return a variable of the first of these sites, in a run for all of them."""
    names = [f"site{number}" for number in range(len(sites))]
    known = {"groups": {"flask_sso": names}, "inventory_hostname": "site0", "ansible_play_hosts_all": names}
    known["hostvars"] = dict(zip(names, sites, strict=True))
    return Templar(loader=DataLoader(), variables=trusted(VARIABLES) | known).template(trusted(f"{{{{ {name} }}}}"))


@pytest.mark.parametrize(
    ("app", "wiki", "neighbours"),
    [
        (WEB, WEB, ["site1"]),
        (WEB | {"ansible_port": 22}, WEB, ["site1"]),
        (WEB | {"ansible_port": 2222}, WEB | {"ansible_port": "2222"}, ["site1"]),
        ({"ansible_host": "127.0.0.1", "ansible_port": 2222}, {"ansible_host": "127.0.0.1", "ansible_port": 2200}, []),
        (WEB, {"ansible_host": "other"}, []),
        ({}, {}, []),
        ({"ansible_connection": "local"}, {"ansible_connection": "ansible.builtin.local"}, ["site1"]),
        ({"ansible_connection": "local", "ansible_host": "app"}, WEB | {"ansible_connection": "local"}, ["site1"]),
        ({"ansible_connection": "local"}, {}, []),
        ({"ansible_connection": "ssh"}, {"ansible_connection": "ssh"}, []),
    ],
)
def test_hosts_of_one_address_and_port_are_one_machine(app, wiki, neighbours):
    assert value("neighbours", app, wiki) == neighbours


@pytest.mark.parametrize("name", ["site", "remove", "rotate_sp_keys"])
def test_what_sites_share_is_changed_for_one_at_a_time(name):
    *_, play = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text("utf-8"))
    checks = [task["campus.flask_sso.preflight"]["checks"] for task in every(play["tasks"]) if is_preflight(task)]
    assert "vars/neighbours.yml" in play["vars_files"]
    assert any("neighbours_checks" in names for names in checks)


def every(tasks: list[dict]) -> list[dict]:
    """List tasks with those of their blocks."""
    inner = [task.get(part, []) for task in tasks for part in ("block", "rescue", "always")]
    return [*tasks, *(task for part in inner for task in every(part))]


def is_preflight(task: dict) -> bool:
    """Return whether a task evaluates checks."""
    return "checks" in task.get("campus.flask_sso.preflight", {})


@pytest.mark.parametrize(
    "sites",
    [
        ({},),
        (WEB | {"apache_ssl_processes": 4}, WEB | {"apache_ssl_processes": 4, "apache_ssl_hsts_seconds": 0}),
        (WEB, {"ansible_host": "other", "apache_ssl_processes": 4}),
        (WEB, {"apache_ssl_processes": 4}),
    ],
    ids=["alone", "same value", "another host", "another host by its name"],
)
def test_sites_that_agree_or_are_apart_are_accepted(sites):
    assert value("neighbours_disagreements", *sites) == []


def test_sites_of_one_name_have_one_virtual_host():
    """So they agree about its settings; a third site with a name of its own need not."""
    host = WEB | {"flask_sso_site": "portal", "apache_ssl_hsts_seconds": 0}
    beside = WEB | {"flask_sso_site": "wiki", "flask_sso_beside": "portal"}
    other = WEB | {"flask_sso_site": "shop", "apache_ssl_hsts_seconds": 1}
    for sites in [(host, beside, other), (beside, host, other)]:
        (said,) = value("neighbours_disagreements", *sites)
        assert said.startswith("apache_ssl_hsts_seconds (")
        assert " / 1" not in said
    assert value("neighbours_disagreements", host, beside | {"apache_ssl_hsts_seconds": 0}, other) == []
    assert value("neighbours_disagreements", other, host, beside) == []


def test_sites_that_disagree_are_named_with_their_values():
    sites = (WEB, WEB | {"apache_ssl_processes": 4, "apache_ssl_sandbox": False})
    disagreements = ["apache_ssl_processes (not set / 4)", "apache_ssl_sandbox (not set / False)"]
    assert value("neighbours_disagreements", *sites) == disagreements
