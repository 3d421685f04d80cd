# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles know about distributions is read from general to specific, and every family has all that its role uses."""

import re
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible_collections.campus.flask_sso.plugins.lookup import platform

ROLES = Path(__file__).parents[2] / "roles"
FAMILIES = ("debian", "redhat")


def values(role: str, family: str) -> dict:
    """Read the values of a role for a family."""
    return yaml.safe_load((ROLES / role / "vars/platforms" / f"{family}.yml").read_text("utf-8"))


def ask(family: str, distribution: str, version: str, role: str = "httpd_platform") -> dict:
    """Look up the values of a role for a host."""
    facts = {
        "os_family": family,
        "distribution": distribution,
        "distribution_major_version": version.partition(".")[0],
        "distribution_version": version,
    }
    (found,) = platform.LookupModule().run([role], {"inventory_hostname": "web", "ansible_facts": facts})
    return found


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Have a role `name` whose files are written by a function of their names and contents."""
    monkeypatch.setattr(platform, "ROLES", tmp_path)
    directory = tmp_path / "name/vars/platforms"
    directory.mkdir(parents=True)

    def write(**files: dict) -> None:
        for stem, content in files.items():
            (directory / f"{stem.replace('_', '-')}.yml").write_text(yaml.safe_dump(content), "utf-8")

    return write


def test_a_later_value_replaces_an_earlier_one(write):
    write(
        redhat={"a": 0, "b": 0, "c": 0, "d": 0, "e": [0, 1]},
        redhat_9={"b": 1, "c": 1, "d": 1, "e": []},
        almalinux={"c": 2, "d": 2},
        almalinux_9={"d": 3},
        redhat_10={"a": 4},
        rocky={"a": 5},
    )
    assert ask("RedHat", "AlmaLinux", "9.6", "name") == {"a": 0, "b": 1, "c": 2, "d": 3, "e": []}


def test_the_familys_file_is_enough(write):
    write(debian={"a": 0})
    assert ask("Debian", "Ubuntu", "24.04", "name") == {"a": 0}


def test_files_are_read_once(write):
    write(debian={"a": 0})
    assert ask("Debian", "Debian", "12.5", "name") == {"a": 0}
    write(debian={"a": 1})
    assert ask("Debian", "Debian", "12.5", "name") == {"a": 0}


@pytest.mark.parametrize(
    ("family", "distribution", "version"),
    [
        ("Suse", "openSUSE Leap", "15.6"),
        ("Debian", "Debian", "11.11"),
        ("Debian", "Ubuntu", "22.04"),
        ("Debian", "Linux Mint", "22.1"),
        ("Debian", "Kali", "2026.1"),
        ("RedHat", "AlmaLinux", "8.10"),
        ("RedHat", "Fedora", "44"),
        ("RedHat", "Amazon", "2023"),
    ],
)
def test_another_distribution_or_an_older_release_is_refused_in_one_sentence(family, distribution, version):
    with pytest.raises(AnsibleLookupError) as refused:
        ask(family, distribution, version)
    assert str(refused.value) == (
        f"web runs {distribution} {version}. Use a host with Debian 12 or 13, Ubuntu 24.04, or AlmaLinux, RHEL, "
        "Rocky Linux or another of their family, version 9 or 10."
    )


@pytest.mark.parametrize(
    ("family", "distribution", "version"),
    [
        ("Debian", "Debian", "14.0"),
        ("Debian", "Ubuntu", "26.04"),
        ("RedHat", "CentOS", "9"),
        ("RedHat", "OracleLinux", "10.1"),
    ],
)
def test_a_later_release_is_tried(family, distribution, version):
    assert ask(family, distribution, version)["service"]


def test_a_play_without_facts_is_told_so():
    with pytest.raises(AnsibleLookupError, match="The fact 'os_family' of web is not known"):
        platform.LookupModule().run(["name"], {"inventory_hostname": "web"})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", sorted(path.parent.parent.name for path in ROLES.glob("*/vars/platforms")))
def test_every_family_has_what_the_role_uses_and_no_more(role, family):
    texts = [path.read_text("utf-8") for path in (ROLES / role).rglob("*") if path.suffix in {".yml", ".j2"}]
    assert {name for text in texts for name in re.findall(rf"{role}__platform\.(\w+)", text)} == values(
        role, family
    ).keys()


@pytest.mark.parametrize(
    "path", sorted(ROLES.glob("*/vars/platforms/*.yml")), ids=lambda path: f"{path.parents[2].name}-{path.stem}"
)
def test_values_are_no_templates(path):
    assert "{{" not in path.read_text("utf-8")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_applications_socket_is_for_the_group_of_httpd(family):
    assert values("flask_app", family)["socket_group"] == values("httpd_platform", family)["group"]
