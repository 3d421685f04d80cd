# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger copies the example of a role's README, and it works.

All run on one host, in this order. Not run are those of base_system, which brings a system up to date, of
shibboleth_sp, openid_connect and app_saml, which need the provider that they name, and of load_balancer, which needs a
host of its own.
"""

from __future__ import annotations

from pathlib import Path

import bench_client
import examples
import pytest
import releases

SITE = "https://app.example.org"
APPLICATION = """
from flask import Flask

application = Flask(__name__)
application.get("/")(lambda: "This is the application.")
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run the first playbook of a README, beside the application that it names."""
    for place in ("myapp", "playbooks/app"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "wsgi.py").write_text(APPLICATION)
        (tmp_path / place / "requirements.txt").write_text("flask==3.1.3\n")

    def run(role: str) -> None:
        playbook = tmp_path / "playbooks" / f"{role}.yml"
        playbook.write_text(examples.playbooks(examples.ROOT / "roles" / role / "README.md")[0])
        done = releases.run_playbook(playbook, {})
        assert done.code == 0, done.said
        assert "[WARNING]" not in done.said, done.said

    return run


def test_apache_ssl_serves_a_directory(run):
    run("apache_ssl")
    with bench_client.client() as visitor:
        pages = {path: visitor.get(SITE + path).text for path in ("/", "/about/", "/about")}
        about = "This is the page /about/.\n"
        assert pages == {"/": "This is the page /.\n", "/about/": about, "/about": about}
        assert visitor.get(f"{SITE}/none").status_code == 404


def test_mod_wsgi_app_serves_an_application(run):
    run("mod_wsgi_app")
    with bench_client.client() as visitor:
        assert visitor.get(f"{SITE}/").text == "This is the application."


@pytest.mark.parametrize(
    "role",
    [
        "httpd_platform",
        "private_ca",
        "flask_app",
        "uwsgi_proxy",
        "client_certificates",
        "reverse_proxy",
        "selinux_policy",
        "doctor",
    ],
)
def test_the_example_runs(run, role):
    run(role)
