# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger copies the example of a role's README, writes the names of his provider into it, and it works.

All run on one host, in this order.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import bench_client
import examples
import pytest
import releases

testinfra_hosts = ["ansible://web"]

SITE = "https://app.example.org"
#: The providers that the examples are about, as the bench has them.
PROVIDERS = {
    "https://idp.example.org/shibboleth": "https://idp.university.example/metadata",
    "https://idp.example.org/metadata.xml": "https://idp.university.example/simplesamlphp/saml2/idp/metadata.php",
    "https://idp.example.org": "https://llng.example.org/",
}
REGISTER = examples.ROOT / "molecule/shared/register_sp.yml"
#: What the message of a first run has of the provider's key.
FINGERPRINT = re.compile(r"signing key ([0-9a-f]{64})")
APPLICATION = """
from flask import Flask

application = Flask(__name__)
application.get("/")(lambda: "This is the application.")
"""


@pytest.fixture
def attempt(tmp_path: Path):
    """Run a playbook of a README, the first one if not told otherwise, beside the application that it names."""
    # A path is relative to where ansible-playbook is started, which is not where the playbook is.
    controller, plays = tmp_path / "controller", tmp_path / "collection/playbooks"
    controller.mkdir()
    for place in (tmp_path / "myapp", plays / "app"):
        place.mkdir(parents=True)
        (place / "wsgi.py").write_text(APPLICATION)
        # What app_saml needs in addition to Flask, in versions that fit together.
        for name in ("requirements.txt", "requirements-saml.txt"):
            shutil.copy(examples.ROOT / "app" / name, place)

    def attempt(role: str, keys: str = "[]", number: int = 0, **variables: object) -> releases.Run:
        text = examples.playbooks(examples.ROOT / "roles" / role / "README.md")[number]
        for name, here in PROVIDERS.items():
            text = text.replace(name, here)
        playbook = plays / f"{role}.yml"
        # The bench has one host for all roles; the provider is in its inventory, too.
        playbook.write_text(re.sub("hosts: (all|balancers)", "hosts: web", text.replace("keys: []", f"keys: {keys}")))
        return releases.run_playbook(playbook, variables, directory=controller)

    return attempt


@pytest.fixture
def run(attempt):
    """Run it, and require that it ends without a fault or a warning."""

    def run(role: str, **options: object) -> None:
        done = attempt(role, **options)
        assert done.code == 0, done.said
        assert "[WARNING]" not in done.said, done.said

    return run


@pytest.fixture
def reported_key(attempt):
    """Run an example that has no key of the identity provider yet; return the key that it says to write."""

    def reported_key(role: str) -> str:
        done = attempt(role)
        assert done.code != 0, done.said
        (key,) = set(FINGERPRINT.findall(done.said))
        return f"['{key}']"

    return reported_key


def test_base_system_brings_the_system_up_to_date(run):
    run("base_system")


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


def test_saml_sp_reads_the_metadata(run, reported_key):
    run("saml_sp", keys=reported_key("saml_sp"))


@pytest.fixture
def empty_site(host):
    """Remove what the earlier examples have put into the virtual host.

    No reload: a process that starts during one may miss it, and go on with the earlier configuration.
    """
    host.run_test("rm --force /etc/apache2/flask_sso/*/*.conf && systemctl restart apache2")


@pytest.mark.usefixtures("empty_site")
def test_apache_ssl_removes_the_fragments_of_a_former_server(run, host):
    run("uwsgi_proxy")
    listed = "cd /etc/apache2 && ls flask_sso/flask_app/40-*.conf mods-enabled/flask_sso-40-*.conf"
    assert {"flask_sso/flask_app/40-uwsgi.conf", "mods-enabled/flask_sso-40-uwsgi.conf"} <= set(
        host.check_output(listed).split()
    )
    run("apache_ssl", number=1)
    wanted = ["flask_sso/flask_app/40-http.conf", "mods-enabled/flask_sso-40-http.conf"]
    assert host.check_output(listed).split() == wanted
    assert "proxy_uwsgi" not in host.check_output("apache2ctl -M")


@pytest.mark.usefixtures("empty_site")
def test_shibboleth_sp_lets_users_of_the_provider_in(run, reported_key):
    run("shibboleth_sp", keys=reported_key("shibboleth_sp"))
    assert releases.run_playbook(REGISTER, {"bench_service_providers": ["app.example.org"]}).code == 0
    with bench_client.client() as visitor:
        page, trace = bench_client.saml_login(visitor, SITE, "vrubin")
        assert {response.url.host for response in trace} == {"app.example.org", "idp.university.example"}
        # The example has no content.
        assert (page.url, page.status_code) == (f"{SITE}/", 404)


@pytest.mark.usefixtures("empty_site")
def test_openid_connect_sends_visitors_to_the_provider(run):
    run("openid_connect", vault_client_secret="from-the-provider")  # noqa: S106
    with bench_client.client(follow_redirects=False) as visitor:
        login = visitor.get(SITE)
    assert login.is_redirect, login.text
    assert login.next_request.url.host == "llng.example.org"
    assert login.next_request.url.params["client_id"] == "app"


@pytest.mark.usefixtures("empty_site")
def test_app_saml_makes_an_application_that_logs_users_in(run, reported_key, tmp_path):
    shutil.copytree(examples.ROOT / "app/flask_sso_app", tmp_path / "myapp/flask_sso_app")
    (tmp_path / "myapp/wsgi.py").write_text("from flask_sso_app.wsgi import application\n")
    attributes = {"identifier": "eppn", "name": "displayName", "email": "mail", "groups": "affiliation"}
    run(
        "app_saml",
        keys=reported_key("app_saml"),
        flask_app_requirements="requirements-saml.txt",
        flask_app_environment={"FLASK_SSO_ATTRIBUTES": attributes},
    )
    assert releases.run_playbook(REGISTER, {"bench_service_providers": ["app.example.org"]}).code == 0
    with bench_client.client() as visitor:
        page, trace = bench_client.saml_login(visitor, f"{SITE}/login", "vrubin")
    assert "Vera Rubin" in page.text
    assert {response.url.host for response in trace} == {"app.example.org", "idp.university.example"}


def test_load_balancer_answers_for_nodes_that_are_down(run, host):
    """It needs a host of its own, so httpd leaves this one."""
    host.run_test("systemctl disable --now apache2")
    run("load_balancer", load_balancer_connections=400)  # a container opens few files
    assert host.service("haproxy").is_running
    assert {"tcp://0.0.0.0:443", "tcp://0.0.0.0:80"} <= set(host.socket.get_listening_sockets())
