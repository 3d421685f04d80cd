# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role that reads another's internal variable is reported, and a task that names a platform."""

from pathlib import Path

import boundaries
import pytest


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A collection with two roles and a playbook, which read nothing of each other."""
    for folder, text in {
        "playbooks": "- hosts: all",
        "roles/first/tasks": "- debug: {var: first__own}",
        "roles/second/tasks": "- debug: {var: second__own, msg: '{{ first_public }} __init__ other__thing'}",
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "main.yml").write_text(text + "\n", "utf-8")
    return tmp_path


def test_own_variables_and_public_ones_may_be_read(collection: Path):
    assert boundaries.faults(collection) == []


@pytest.mark.parametrize(
    ("folder", "variable", "place"),
    [
        ("roles/second/tasks", "first__own", "second/tasks/main.yml:1"),
        ("roles/first/tasks", "flask_sso__all", "first/tasks/main.yml:1"),
        ("playbooks", "second__own", "playbooks/main.yml:1"),
    ],
)
def test_an_internal_variable_of_another_is_refused(collection: Path, folder: str, variable: str, place: str):
    (collection / folder / "main.yml").write_text(f"- debug: {{var: {variable}}}\n", "utf-8")
    (wrong,) = boundaries.faults(collection)
    assert wrong.startswith(f"{place}: {variable} is internal to another role")


@pytest.mark.parametrize(
    ("folder", "line", "name"),
    [
        ("roles/first/tasks", "  when: ansible_facts['distribution'] == 'Debian'", "Debian"),
        ("roles/first/templates", "{% if ansible_facts['os_family'] == family %}", "os_family"),
        ("playbooks", "# Only for EL 9", "EL 9"),
    ],
)
def test_a_platform_is_named_in_data_only(collection: Path, folder: str, line: str, name: str):
    path = collection / folder / "named.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{line}\n", "utf-8")
    (wrong,) = boundaries.faults(collection)
    assert f"named.yml:1: {name} is a platform" in wrong


def test_data_and_documentation_may_name_platforms(collection: Path):
    for folder in ("roles/first/vars/platforms", "roles/first/meta"):
        (collection / folder).mkdir(parents=True)
        (collection / folder / "main.yml").write_text("name: Debian\n", "utf-8")
    assert boundaries.faults(collection) == []
