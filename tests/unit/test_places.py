# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a site is, and where a run leaves its artifacts."""

from contextlib import nullcontext

import pytest
from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.campus.flask_sso.plugins.filter.https_address import https_address
from ansible_collections.campus.flask_sso.plugins.lookup.artifact import LookupModule
from untrusted_roles import Site


@pytest.mark.parametrize(("port", "address"), [(443, ""), ("443", ""), (8443, ":8443"), ("8443", ":8443")])
def test_port_is_in_the_address_unless_browsers_take_it_anyway(port, address):
    assert https_address("app.example.org", port) == f"https://app.example.org{address}"


def artifact(**variables) -> list[str]:
    """Look up two paths."""
    templar = Templar(DataLoader(), variables=variables)
    return LookupModule(loader=None, templar=templar).run(["web", "private_ca/crl.pem"], variables)


def test_artifacts_are_beside_the_inventory():
    assert artifact(inventory_dir="/site") == ["/site/artifacts/web", "/site/artifacts/private_ca/crl.pem"]


@pytest.mark.parametrize(
    ("patterns", "sources", "refused"),
    [
        ([], ["/site"], True),
        (["^old$"], ["/site/"], True),
        ([], ["/"], True),
        ([], ["/sit"], False),
        (["^artifacts$"], ["/site"], False),
        ([], ["/site/hosts.yml"], False),
        ([], ["web,"], False),
    ],
)
def test_artifacts_do_not_become_hosts(monkeypatch, patterns, sources, refused):
    monkeypatch.setattr(constants, "INVENTORY_IGNORE_PATTERNS", patterns)
    with pytest.raises(AnsibleLookupError, match="ignore_patterns = ") if refused else nullcontext():
        artifact(inventory_dir="/site", ansible_inventory_sources=sources)
    assert artifact(inventory_dir="/site", ansible_inventory_sources=sources, flask_sso_artifacts="/kept")


def test_artifacts_are_in_the_directory_of_the_variable():
    named = trust_as_template("{{ base }}/kept")
    found = artifact(inventory_dir="/site", flask_sso_artifacts=named, base="/var")
    assert found == ["/var/kept/web", "/var/kept/private_ca/crl.pem"]


def test_a_relative_path_is_absolute_for_tasks_that_run_in_another_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert artifact(flask_sso_artifacts="kept")[0] == f"{tmp_path}/kept/web"
    assert artifact(flask_sso_artifacts="~/kept")[0] == "/home/me/kept/web"


@pytest.mark.parametrize(
    ("source", "kind", "wanted"),
    [
        ("myapp", "directory", "{here}/myapp"),
        ("", "directory", ""),
        ("myapp", "git", "{here}/myapp"),
        ("https://git.example.org/myapp", "git", "https://git.example.org/myapp"),
        ("myapp.whl", "package", "{here}/myapp.whl"),
        ("./myapp", "package", "{here}/myapp"),
        # A name in the package index, whatever is here.
        ("myapp", "package", "myapp"),
        ("other==1.0", "package", "other==1.0"),
    ],
)
def test_the_source_is_relative_to_where_ansible_is_started(tmp_path, monkeypatch, source, kind, wanted):
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp.whl").touch()
    monkeypatch.chdir(tmp_path)
    name = "flask_app__source_path" if kind == "directory" else "flask_app__fetched_source"
    given = {"flask_app_source": source, "flask_app_source_type": kind}
    assert site.made("flask_app", name, given) == wanted.format(here=tmp_path)


@pytest.mark.parametrize("directory", [{}, {"inventory_dir": None}])
def test_artifacts_without_an_inventory_need_the_variable(directory):
    with pytest.raises(AnsibleLookupError, match="Write a directory into flask_sso_artifacts"):
        artifact(**directory)


@pytest.mark.parametrize(("role", "server"), [("uwsgi_proxy", "uwsgi"), ("reverse_proxy", "gunicorn")])
def test_proxy_and_application_of_a_play_meet_at_the_same_socket(tmp_path, role, server):
    """Also in a play of one's own, where no part is chosen. Another site has a socket of its own."""
    site = Site(tmp_path)
    given = {"flask_app_server": server, "flask_app_socket": "/run/mine.sock"}
    assert site.made(role, f"{role}_backend", given) == "unix:/run/mine.sock"
    other = site.made(role, f"{role}_backend", given | {f"{role}_site": "other"})
    assert other.startswith("unix:/run/other")
