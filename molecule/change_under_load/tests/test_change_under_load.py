# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a site that is visited all the time. The tests do this in order; each prints the figures of a change."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import bench_client
import httpx
import pytest
import yaml
from bench_fixtures import run_playbook
from load import Figures, Page, load
from testinfra.host import Host
from visits import LONG, log_in, logins, new_visitor

SITE = "site.yml"
#: Requests a second that are sent, and that have to arrive. Other scenarios use this machine, too, in `make test`.
RATE, LEAST = (240, 200) if LONG else (120, 40)
USERS = ("ghopper", "cpayne", "mcurie", "enoether")
SCENARIO = Path(__file__).parents[1]
PLAYS = yaml.safe_load((SCENARIO / "converge.yml").read_text("utf-8"))
#: The variables of the deployment, with which the site goes on until it gets a newer uWSGI.
(EARLIER,) = [play["vars"] for play in PLAYS if "vars" in play]
SETTINGS = {
    "flask_app_environment": {
        "FLASK_SSO_TRUSTED_HOSTS": [bench_client.HOST],
        "FLASK_SSO_MORE_ATTRIBUTES": ["marker"],
    },
    "apache_ssl_security_headers": {"X-Content-Type-Options": "nosniff", "X-Change": "settings"},
    "apache_ssl_server_aliases": ["new.example.org"],
}
WIKI = "test -e /etc/shibboleth/sites/wiki-override.xml && test -e /etc/apache2/sites-enabled/flask_sso-wiki.conf"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Return the source of a release that says "released" when asked for its health."""
    source = tmp_path_factory.mktemp("source") / "app"
    shutil.copytree(bench_client.PROJECT / "app", source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pages = source / "flask_sso_app" / "pages.py"
    pages.write_text(pages.read_text().replace('Response("ok"', 'Response("released"'))
    return source


def attributes() -> dict:
    """Return the variables for a further attribute.

    The identity provider does not send it, so users get the default.
    """
    profile = yaml.safe_load((bench_client.PROJECT / "roles/saml_sp/profiles/cern.yml").read_text())
    marker = {"id": "marker", "name": "marker", "format": "basic", "default": "marked"}
    return {"saml_sp_attributes": [*profile["attributes"], marker]}


def members() -> list[Page]:
    """Log users in; return a page for each that shows the name of its session's user."""
    return [Page("/api/me", bench_client.login_cookies(user), f'"{user}"') for user in USERS]


def change(playbook: str, variables: dict) -> Figures:
    """Run a playbook that has to succeed while the site is visited; return the figures."""
    pages = [Page("/healthz"), Page("/"), Page("/static/style.css"), *members()]
    address = bench_client.addresses()[bench_client.HOST]
    with load(bench_client.SITE, pages, address, str(bench_client.CA), RATE) as figures:
        code, said = run_playbook(playbook, variables)
        time.sleep(1)  # old processes end
    assert code == 0, said
    assert figures.rate >= LEAST, figures
    assert set(figures.protocols) == {"HTTP/1.1", "HTTP/2"}
    assert figures.connections >= figures.requests // 8
    return figures


def health(visitor: httpx.Client) -> str:
    """Return what the application says when it is asked for its health."""
    return visitor.get("/healthz").raise_for_status().text


def settings(visitor: httpx.Client) -> str:
    """Return the header that the settings add, and the names in the certificate."""
    with visitor.stream("GET", "/healthz") as page:
        certificate = page.extensions["network_stream"].get_extra_info("ssl_object").getpeercert()
        return f"{page.headers['X-Change']} {sorted(name for _, name in certificate['subjectAltName'])}"


def uwsgi(web: Host) -> tuple[str, bool]:
    """Return the version of uWSGI that started last, and whether httpd has loaded the module of the newer one."""
    httpd = web.check_output("systemctl show --property=MainPID --value apache2")
    loaded = "mod_proxy_uwsgi-2.0.31" in web.check_output(f"cat /proc/{httpd}/maps")
    journal = web.check_output("journalctl --unit=flask_app.service --output=cat")
    return re.findall(r"Starting uWSGI ([0-9.]+)", journal)[-1], loaded


def test_release(visitor: httpx.Client, source: Path, report: Callable[[str], None], tmp_path: Path) -> None:
    """It is deployed with the same variables of a play as the site was, from a path as administrators write it."""
    release = str(bench_client.PROJECT / "playbooks/release.yml")
    playbook = tmp_path / "release.yml"
    playbook.write_text(yaml.safe_dump([{"ansible.builtin.import_playbook": release, "vars": EARLIER}]))
    figures = change(str(playbook), {"flask_app_source": os.path.relpath(source)})
    report(f"A release: {figures}.")
    assert (figures.failed, figures.lost) == ({}, [])
    assert health(visitor) == "released"


def test_rollback(visitor: httpx.Client, report: Callable[[str], None]) -> None:
    figures = change("playbooks/rollback.yml", {})
    report(f"A rollback: {figures}.")
    assert (figures.failed, figures.lost) == ({}, [])
    assert health(visitor) == "ok"


def test_settings_and_certificate(visitor: httpx.Client, report: Callable[[str], None]) -> None:
    """Of the application and of httpd; the certificate has a further name."""
    figures = change(SITE, EARLIER | SETTINGS)
    report(f"New settings and a certificate: {figures}.")
    assert (figures.failed, figures.lost) == ({}, [])
    assert settings(visitor) == f"settings {sorted((bench_client.HOST, 'new.example.org'))}"


def test_reloads_during_slow_downloads(web: Host, visitor: httpx.Client) -> None:
    """Every process of httpd has downloads that last, and lives on for them; others are served at once."""
    large = "/srv/flask_app/current/app/flask_sso_app/static/large.bin"
    web.check_output(f"truncate --size=64M {large}")
    with ExitStack() as downloads:
        for _reload in range(3):
            for _download in range(12):
                client = downloads.enter_context(bench_client.client())
                began = downloads.enter_context(client.stream("GET", "/static/large.bin"))
                assert began.status_code == 200
            web.check_output("systemctl reload apache2")
            before = time.monotonic()
            assert visitor.get("/healthz", headers={"Connection": "close"}).status_code == 200
            assert time.monotonic() - before < 10
    web.check_output(f"rm {large}")


def test_upgrade_of_uwsgi(web: Host, report: Callable[[str], None]) -> None:
    """It brings a release, and another module for httpd."""
    assert uwsgi(web) == ("2.0.30", False)
    figures = change(SITE, SETTINGS)
    report(f"An upgrade of uWSGI, and a module that is built again: {figures}.")
    assert (figures.failed, figures.lost) == ({}, [])
    assert uwsgi(web) == ("2.0.31", True)


def test_further_site(web: Host, report: Callable[[str], None]) -> None:
    figures = change("molecule/sites/wiki.yml", {})
    report(f"A further site: {figures}.")
    assert (figures.failed, figures.lost) == ({}, [])
    assert web.run(WIKI).succeeded


def test_removal_of_a_site(web: Host, report: Callable[[str], None]) -> None:
    figures = change("playbooks/remove.yml", {"flask_sso_site": "wiki"})
    report(f"The removal of a site: {figures}.")
    assert (figures.failed, figures.lost) == ({}, [])
    assert web.run(WIKI).failed


def reload_of_shibd(playbook: str, variables: dict) -> str:
    """Run a playbook that changes what shibd has loaded; return the figures.

    No session ends and no login fails, not even that of a user who had the password's page open meanwhile.
    """
    with new_visitor() as session, logins() as done:
        form = session.get("/profile")
        figures = change(playbook, variables)
        waited = log_in(partial(bench_client.answer_provider, session, form, "cpayne"))
    assert (figures.failed, figures.lost) == ({}, [])
    assert waited.succeeded, waited
    assert [login for login in done if not login.succeeded] == []
    longest = max(login.ended - login.began for login in done)
    return f"{figures}. {len(done)} logins succeeded meanwhile, the longest of them in {longest:.1f} s."


def marker() -> list[str] | None:
    """Log in; return the values of the further attribute."""
    with bench_client.client() as visitor:
        bench_client.saml_login(visitor, "/login", "cpayne")
        return visitor.get("/api/me").json()["attributes"].get("marker")


def test_attribute(report: Callable[[str], None]) -> None:
    report(f"A further attribute: {reload_of_shibd(SITE, SETTINGS | attributes())}")
    assert marker() == ["marked"]


def test_step_of_a_key_rotation(visitor: httpx.Client, report: Callable[[str], None]) -> None:
    """The first one publishes the next keys. The same run has no further attribute any more."""
    variables = SETTINGS | {"shibboleth_sp_rotation": "publish"}
    report(f"Keys are published: {reload_of_shibd('playbooks/rotate_sp_keys.yml', variables)}")
    assert len(bench_client.sp_certificates(visitor, "signing")) == 2
    assert not marker()
