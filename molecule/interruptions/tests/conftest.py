# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that change everything about a site, and what it serves, seen from outside."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import bench_client
import pytest
import releases
import yaml
from releases import Run
from testinfra.host import Host

SERVICES = "shibd flask_app apache2"


@dataclass(frozen=True)
class Served:
    """The changes that the application, httpd, shibd and the certificate show."""

    application: str
    httpd: str
    shibd: str
    certificate: str

    def only(self, *names: str) -> bool:
        """Return whether these are the only changes that are served."""
        return set(astuple(self)) <= set(names)


@dataclass(frozen=True)
class Change:
    """A change of everything about the site: a release, a header, an attribute and a certificate have its name."""

    name: str
    variables: dict

    def deploy(self, kill_at: int = 0, watch: Callable[[str], object] = str, **variables: object) -> Run:
        """Deploy the site with the change, or kill the run when it begins a task; see releases.run_playbook."""
        site = bench_client.PROJECT / "site.yml"
        return releases.run_playbook(site, self.variables | variables, watch=watch, KILL_AT_TASK=str(kill_at))


def change(name: str, directory: Path) -> Change:
    """Return a change; the source of its release is written to `directory`."""
    source = directory / name
    shutil.copytree(bench_client.PROJECT / "app", source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pages = source / "flask_sso_app" / "pages.py"
    pages.write_text(pages.read_text().replace('Response("ok"', f'Response("{name}"'))
    profile = yaml.safe_load((bench_client.PROJECT / "roles/saml_sp/profiles/cern.yml").read_text())
    # The identity provider does not send it, so users get the default.
    marker = {"id": "marker", "name": "marker", "format": "basic", "default": name}
    variables = {
        "flask_app_source": str(source),
        "flask_app_environment": {
            "FLASK_SSO_TRUSTED_HOSTS": [bench_client.HOST],
            "FLASK_SSO_MORE_ATTRIBUTES": ["marker"],
        },
        "apache_ssl_security_headers": {"X-Content-Type-Options": "nosniff", "X-Change": name},
        "apache_ssl_server_aliases": [f"{name}.example.org"],
        "saml_sp_attributes": [*profile["attributes"], marker],
    }
    return Change(name, variables)


def served() -> Served:
    """Return what the site serves to a user who visits it and logs in."""
    with bench_client.client(timeout=30) as session:
        with session.stream("GET", "/healthz") as page:
            certificate = page.extensions["network_stream"].get_extra_info("ssl_object").getpeercert()
            release = page.read().decode()
        assert page.status_code == 200, release
        (alias,) = {name for _, name in certificate["subjectAltName"]} - {bench_client.HOST}
        bench_client.saml_login(session, "/login", "cpayne")
        (marker,) = session.get("/api/me").json()["attributes"]["marker"]
    return Served(release, page.headers["X-Change"], marker, alias.partition(".")[0])


def restart(web: Host) -> None:
    """Restart the services, as an administrator would."""
    web.check_output(f"systemctl restart {SERVICES}")


@pytest.fixture(scope="module")
def changes(tmp_path_factory) -> Iterator[Change]:
    """Return changes, each of them with another name."""
    directory = tmp_path_factory.mktemp("changes")
    return (change(f"change{number}", directory) for number in itertools.count(1))


@pytest.fixture(scope="module")
def course(changes) -> tuple[int, int]:
    """Change everything without an interruption; return the number of the first task with a change, and of the last."""
    first = next(changes)
    run = first.deploy()
    assert run.code == 0, run.said
    assert served().only(first.name)
    tasks, begins = re.search(r"kill_at_task: (\d+) tasks, the first change in number (\d+)", run.said).groups()
    return int(begins), int(tasks)
