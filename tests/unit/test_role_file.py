# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of any role is found and, if it is a template, rendered with the task's variables."""

from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.campus.flask_sso.plugins.lookup import role_file


@pytest.fixture
def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A role "proxy" with a file and templates."""
    monkeypatch.setattr(role_file, "ROLES", tmp_path)
    for path, text in {
        "files/guard.c": "{{ name }}\n",
        "templates/site.conf.j2": "# {{ ansible_managed }}\n{% if 1 %}\n{{ name }}\\n\n{% endif %}\n"
        "{% include 'part.j2' %}\n",
        "templates/part.j2": "a part for {{ name }}",
    }.items():
        (tmp_path / "proxy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proxy" / path).write_text(text, "utf-8")
    return tmp_path / "proxy"


def text(path: str, template_vars: dict | None = None, **variables: str) -> str:
    """Look up a file of the role."""
    loader = DataLoader()
    plugin = role_file.LookupModule(loader=loader, templar=Templar(loader, variables=variables))
    (found,) = plugin.run([path], variables, template_vars=template_vars)
    return found


def test_a_file_is_returned_as_it_is(role: Path):
    assert text("proxy/files/guard.c", name="unused") == "{{ name }}\n"


def test_a_template_is_rendered_with_those_beside_it(role: Path):
    rendered = text("proxy/templates/site.conf.j2", name=trust_as_template("{{ other }}"), other="example")
    assert rendered == "# Ansible managed\nexample\\n\na part for example\n"


def test_a_variable_of_the_call_goes_before_that_of_the_task(role: Path):
    rendered = text("proxy/templates/part.j2", {"name": "the call"}, name="the task")
    assert rendered == "a part for the call"


def test_what_the_configuration_says_of_managed_files_changes_none(role: Path, monkeypatch):
    written = {"ansible_managed": "by root\non 2026-01-01"}
    monkeypatch.setattr(role_file, "generate_ansible_template_vars", lambda *_path: written)
    assert text("proxy/templates/site.conf.j2", name="x").startswith("# Ansible managed\nx\\n")


def test_a_variable_of_the_site_can_say_who_manages_files(role: Path):
    assert text("proxy/templates/site.conf.j2", name="x", ansible_managed="ours").startswith("# ours\n")


def test_a_missing_file_is_named(role: Path):
    with pytest.raises(AnsibleLookupError, match=r"proxy/templates/gone\.j2 is no file"):
        text("proxy/templates/gone.j2")
