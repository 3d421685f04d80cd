# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of roles have digests that change when what they say does, and only then."""

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.campus.flask_sso.plugins.lookup import variable_digests
from untrusted_roles import ROOT

OTHERS = {"campus.flask_sso", "salt"}  # what is no variable


@pytest.fixture(autouse=True)
def roles(tmp_path, monkeypatch):
    """Have a role `gate` with two variables, each of another entry point."""
    monkeypatch.setattr(variable_digests, "ROLES", tmp_path)
    (tmp_path / "gate/meta").mkdir(parents=True)
    (tmp_path / "gate/meta/argument_specs.yml").write_text(
        "argument_specs: {main: {options: {gate_name: {type: str}}}, remove: {options: {gate_size: {type: int}}}}\n"
    )
    variable_digests.options.cache_clear()
    variable_digests.version.cache_clear()


class HostVars(dict):
    """Ansible's variables of hosts, as they are written."""

    raw_get = dict.__getitem__


def digests(
    inventory: dict[str, Any], elsewhere: dict[str, Any] | None = None, salt: str = "0", **options: Any
) -> dict[str, str]:
    """Look up the digests of a host's variables; `elsewhere` are those of plays and roles."""
    scope = {"inventory_hostname": "web", "inventory_dir": "/site", **(elsewhere or {}), **inventory}
    templar = Templar(DataLoader(), variables=scope)
    variables = scope | {"hostvars": HostVars(web=inventory)}
    plugin = variable_digests.LookupModule(loader=None, templar=templar)
    (found,) = plugin.run(["gate"], variables, salt=salt, **options)
    return found


def test_variables_of_the_inventory_count_that_belong_to_the_role_or_to_all():
    given = {"gate_name": "a", "gate_size": 1, "gate_preflight": {}, "flask_sso_site": "b", "other_name": "c"}
    assert set(digests(given, {"flask_sso_parts": []})) == {"gate_name", "gate_size", "flask_sso_site"} | OTHERS
    assert set(digests(given, exclude=["gate_size"])) == {"gate_name", "flask_sso_site"} | OTHERS


def test_another_value_has_another_digest():
    assert digests({"gate_size": 1}) == digests({"gate_size": 1})
    assert digests({"gate_size": 1}) != digests({"gate_size": 2})
    assert digests({"gate_name": {"a": 1, "b": 2}}) == digests({"gate_name": {"b": 2, "a": 1}})


def test_what_a_template_says_counts_and_not_how_it_is_written():
    template = trust_as_template("{{ base }}.example.org")
    assert digests({"gate_name": template}, {"base": "a"}) == digests({"gate_name": "a.example.org"})
    assert digests({"gate_name": template}, {"base": "b"}) != digests({"gate_name": "a.example.org"})
    assert digests({"gate_name": template}) == digests({"gate_name": template})  # without a value


def test_place_of_the_inventory_does_not_count():
    written = trust_as_template("{{ inventory_dir }}/key.pem")
    assert digests({"gate_name": written}) == digests({"gate_name": written}, {"inventory_dir": "/home/a/site"})


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("templates/site.conf.j2", True),
        ("defaults/main.yml", True),
        ("README.md", False),
        ("templates/.site.swp", False),
    ],
)
def test_another_version_of_the_roles_counts(tmp_path, path, counts):
    before = digests({})["campus.flask_sso"]
    (tmp_path / "gate" / path).parent.mkdir(exist_ok=True)
    (tmp_path / "gate" / path).write_text("new")
    variable_digests.version.cache_clear()
    assert (digests({})["campus.flask_sso"] != before) is counts


def test_no_value_can_be_read_from_a_digest():
    assert "secret" not in str(digests({"gate_name": "secret"}))


def test_a_list_of_probable_secrets_has_other_digests_for_each_host():
    first, second = (digests({"gate_name": "secret"}, salt="") for _host in range(2))
    assert first["gate_name"] != second["gate_name"]
    assert len(first["salt"]) == 32
    assert digests({"gate_name": "secret"}, salt=first["salt"]) == first


@pytest.mark.parametrize(
    ("tasks", "module", "keyword"),
    [
        ("preflight", "campus.flask_sso.application_state", {"no_log": True}),
        ("record", "ansible.builtin.copy", {"diff": False}),
    ],
)
def test_digests_are_in_no_output(tasks, module, keyword):
    path = ROOT / f"roles/flask_app/tasks/{tasks}.yml"
    (task,) = [task for task in yaml.safe_load(path.read_text("utf-8")) if module in task]
    assert task.items() >= keyword.items()
