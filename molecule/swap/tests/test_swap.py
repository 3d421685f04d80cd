# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site goes from one server to the next, from shibd to the application, and back; each step changes one variable."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import bench_client
import httpx
import pytest
from bench_fixtures import run_playbook
from client_certificates import TWINS, person, refused, visit
from testinfra.host import Host

FRAGMENTS = "/etc/apache2/flask_sso/flask_app"
RECORD = "/etc/flask_app/releases/variables"  # for release.yml; a run empties it before its first change
MODULES = {"uwsgi": "proxy_uwsgi_module", "mod_wsgi": "wsgi_module", "gunicorn": "proxy_http_module"}
FRAGMENT_FILES = {"uwsgi": "40-uwsgi.conf", "mod_wsgi": "40-mod-wsgi.conf", "gunicorn": "40-http.conf"}
UNITS = {"uwsgi": "flask_app", "gunicorn": "flask_app-gunicorn"}


@dataclass(frozen=True)
class Step:
    """The authentication and the server of the site."""

    server: str
    authentication: str
    module: str = "packaged"

    @property
    def variables(self) -> dict[str, str]:
        """The variables for them."""
        return {
            "flask_sso_app_server": self.server,
            "flask_sso_authentication": self.authentication,
            "mod_wsgi_app_module": self.module,
        }


# Another authentication alone, another server alone, and both at once.
STEPS = [
    Step("uwsgi", "saml"),
    Step("gunicorn", "saml"),
    Step("gunicorn", "shibboleth"),
    Step("mod_wsgi", "shibboleth"),
    Step("mod_wsgi", "saml"),
    Step("uwsgi", "shibboleth", "compiled"),
    Step("mod_wsgi", "shibboleth", "compiled"),
]


def files(web: Host) -> str:
    """Return checksums of every file that httpd, shibd or the application starts with."""
    directories = "/etc/apache2/*-enabled /etc/apache2/flask_sso /etc/shibboleth /etc/flask_app /etc/systemd/system"
    return web.check_output(f"find {directories} -type f -not -path {RECORD} -exec sha256sum {{}} + | sort --key=2")


def test_failed_change_of_server_leaves_no_unused_file(web: Host, visitor: httpx.Client) -> None:
    """The worker beside the new server cannot run, and no later reload of httpd uses either."""
    before = files(web)
    variables = Step("gunicorn", "shibboleth").variables | {"flask_app_workers": [{"name": "x", "command": ["false"]}]}
    code, said = run_playbook("site.yml", variables)
    assert code == 2
    assert "flask_app-gunicorn.service could not run with its new files" in said
    assert "it was removed, as it did not exist before" in said
    assert "Files that no service has loaded were rolled back" in said
    assert files(web) == before
    assert web.file(RECORD).content_string == "{}\n"  # release.yml relies on no run that has failed
    web.check_output("systemctl reload apache2")
    assert visitor.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("before", "step"),
    pairwise([Step("uwsgi", "shibboleth"), *STEPS]),
    ids=lambda step: f"{step.server}+{step.authentication}",
)
def test_site_changes_over_and_keeps_serving(web: Host, visitor: httpx.Client, before: Step, step: Step) -> None:
    """No request fails meanwhile, the login works without a new registration, and no old process keeps running."""
    web.check_output("systemctl restart apache2")  # as it had never loaded the modules of another step
    with bench_client.visitors("/healthz", "/", "/healthz") as answers:
        code, said = run_playbook("site.yml", step.variables)
    assert code == 0, said
    assert len(answers) > 100
    failed = [answer for answer in answers if not answer.startswith("200 ")]
    # At a reload, httpd removes mod_wsgi's socket before it creates the new one: a moment of 503.
    assert len(failed) <= (10 if before.server == "mod_wsgi" else 0), failed
    assert all(answer.startswith("503 ") for answer in failed)

    page, _ = bench_client.saml_login(visitor, "/profile", "jbell")
    assert (page.status_code, page.url.path) == (200, "/profile")
    me = visitor.get("/api/me").json()
    assert (me["identifier"], len(me["groups"])) == ("jbell", 600)
    assert me["authentication"] == ("saml" if step.authentication == "saml" else "shibboleth")
    assert str(visitor.get("/logout").url) == f"{bench_client.SITE}/"
    assert visitor.get("/api/me").status_code == 401

    loaded = set(web.check_output("apachectl -M").split())
    assert [server for server, module in MODULES.items() if module in loaded] == [step.server]
    assert ("mod_shib" in loaded) == (step.authentication == "shibboleth")
    wanted = ["20-shibboleth.conf"] * (step.authentication == "shibboleth") + [FRAGMENT_FILES[step.server]]
    assert [name for name in sorted(web.file(FRAGMENTS).listdir()) if name.endswith(".conf")] == wanted
    for server, unit in UNITS.items():
        for name in (f"{unit}.service", f"{unit}.socket"):
            assert web.service(name).is_running == (server == step.server), name
            assert web.file(f"/etc/systemd/system/{name}").exists == (server == step.server)
    assert web.service("shibd").is_running == (step.authentication == "shibboleth")
    assert bench_client.complaints(web) == ""
    if step.server == "mod_wsgi":
        maps = web.check_output("cat /proc/$(systemctl show --property=MainPID --value apache2)/maps")
        assert ("/mod_wsgi-6" in maps) == (step.module == "compiled")


def test_people_with_certificates_get_in_with_mod_wsgi_too(web: Host) -> None:
    """A third authentication, on the same host; shibd is stopped, and no other visitor gets a page."""
    variables = Step("mod_wsgi", "client_certificates", "compiled").variables
    code, said = run_playbook(
        "site.yml", variables | {"private_ca_people": [{"id": "ghopper", "name": "Grace Hopper"}]}
    )
    assert code == 0, said
    assert visit(person("ghopper"), headers=TWINS).text == "Hello Grace Hopper!"
    assert refused(None)
    assert not web.service("shibd").is_running
    assert not web.service("shibd").is_enabled


def test_rollback_does_not_undo_a_change_of_server(web: Host) -> None:
    """The playbooks also work without facts and source: the one that lists, and the one that rolls back."""
    before = files(web)
    code, said = run_playbook("playbooks/releases.yml", {})
    assert code == 0, said
    assert said.count(": built 20") >= 2
    assert said.count("(current)") == 1
    code, said = run_playbook("playbooks/rollback.yml", {})
    assert code == 2
    assert 'flask_app_server is "mod_wsgi" and was "uwsgi"' in said
    assert files(web) == before


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"flask_app_memory": "1G", "apache_ssl_hsts_seconds": 60},
            "apache_ssl_hsts_seconds, flask_sso_app_server, flask_sso_authentication, mod_wsgi_app_module changed.",
        ),
        ({"flask_sso_site": "wiki"}, "has no site wiki that site.yml has deployed to its end."),
    ],
    ids=["another server, authentication and header", "another site"],
)
def test_release_that_is_not_enough_is_refused(web: Host, variables: dict, sentence: str) -> None:
    """Whatever else the variables change, and where there is no site; httpd is not looked at for it."""
    before = files(web)
    code, said = run_playbook("playbooks/release.yml", variables)
    assert code == 2
    assert sentence in said
    assert "changed=0 " in said
    assert files(web) == before


def test_authentication_that_does_not_exist_is_refused() -> None:
    """With the ones that do."""
    code, said = run_playbook("site.yml", {"flask_sso_authentication": "carrier_pigeon"})
    assert code == 2
    assert "Write one of shibboleth, openid_connect, saml, client_certificates and one of" in said
    assert "one of uwsgi, gunicorn, mod_wsgi" in said
