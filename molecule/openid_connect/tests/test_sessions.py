# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions outlive restarts of every service, and only root and httpd read what they are made of."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import bench_client
import httpx
import pytest
import yaml
from bench_fixtures import run_playbook
from load import Page, load
from testinfra.host import Host
from visits import LONG

#: Requests a second that are sent, and that have to arrive. Other scenarios use this machine, too, in `make test`.
RATE, LEAST = (240, 200) if LONG else (120, 40)
VARIABLES = yaml.safe_load((Path(__file__).parents[1] / "converge.yml").read_text("utf-8"))[0]["vars"]
SECRETS = "/etc/ssl/flask_sso/flask_app-openid-connect"
LOG = "/var/log/apache2/error.log"
SESSIONS = "/var/cache/apache2/flask_app-openid-connect"


@pytest.mark.parametrize("command", ["reload apache2", "restart apache2", "restart flask_app"])
def test_session_survives(user: httpx.Client, web: Host, command: str) -> None:
    """No user has to log in again after a change."""
    web.check_output(f"systemctl {command}")
    # A connection that was kept may meet the end of an old process.
    answer = bench_client.get_after_restart(user, "/api/me", seconds=30 if command == "restart apache2" else 1)
    assert answer.json()["identifier"] == "ghopper"


def test_session_needs_no_provider(
    user: httpx.Client, provider_down: Callable[[], AbstractContextManager[None]]
) -> None:
    """Users who are logged in do not notice that the provider is down."""
    with provider_down():
        assert user.get("/profile").status_code == 200


@pytest.mark.parametrize("name", ["client.conf", "passphrase.conf"])
def test_secret_is_readable_by_root_only(web: Host, name: str) -> None:
    """And it is nowhere else in httpd's configuration."""
    secret = web.file(f"{SECRETS}/{name}")
    assert (secret.user, secret.mode, web.file(SECRETS).mode) == ("root", 0o600, 0o700)
    text = secret.content_string.split(maxsplit=1)[1].strip('"\n')
    assert len(text) >= 32
    assert bench_client.files_with(web, text[:32], "/etc/apache2", "/srv", "/var/log") == []


def test_log_for_debugging_has_no_secrets(web: Host, visitor: httpx.Client) -> None:
    """What opens a session stays out of it, even if an administrator sets the level of all modules."""
    settings = "/etc/apache2/mods-enabled/zz-debugging.conf"
    start = web.file(LOG).size + 1
    web.check_output(f"echo LogLevel debug > {settings} && systemctl reload apache2")
    try:
        bench_client.saml_login(visitor, "/login", "ghopper")
    finally:
        web.check_output(f"rm {settings} && systemctl reload apache2")
    logged = web.check_output(f"tail --bytes=+{start} {LOG}")
    assert ":debug]" in logged
    for secret in (visitor.cookies["__Host-openid_connect"], "access_token", "id_token", "code_verifier"):
        assert secret not in logged


def test_sessions_are_encrypted_and_httpds_own(user: httpx.Client, web: Host) -> None:
    """The files show neither who is logged in nor which cookie they are for."""
    for directory in (SESSIONS, *web.file(SESSIONS).listdir()):
        found = web.file(os.path.join(SESSIONS, directory))
        assert (found.user, found.mode) == ("www-data", 0o700)
    cookie = user.cookies["__Host-openid_connect"]
    files = web.check_output("find %s -type f", SESSIONS)
    assert files
    assert cookie not in files
    for text in ("ghopper", "access_token", cookie):
        assert bench_client.files_with(web, text, SESSIONS) == []


def test_change_under_load_loses_no_session(
    visitor: httpx.Client, tmp_path: Path, report: Callable[[str], None]
) -> None:
    """In one run: a release, and new settings of httpd and the application. The next tests deploy the site again."""
    source = tmp_path / "app"
    shutil.copytree(bench_client.PROJECT / "app", source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pages = source / "flask_sso_app" / "pages.py"
    pages.write_text(pages.read_text().replace('Response("ok"', 'Response("released"'))
    changed = {
        "flask_app_source": str(source),
        "flask_app_environment": {"FLASK_SSO_TRUSTED_HOSTS": [bench_client.HOST], "FLASK_SSO_MORE_ATTRIBUTES": ["x"]},
        "apache_ssl_security_headers": {"X-Content-Type-Options": "nosniff", "X-Change": "settings"},
    }
    members = [Page("/api/me", bench_client.login_cookies(user), f'"{user}"') for user in ("ghopper", "cpayne")]
    address = bench_client.addresses()[bench_client.HOST]
    with load(bench_client.SITE, [Page("/healthz"), *members], address, str(bench_client.CA), RATE) as figures:
        code, said = run_playbook("site.yml", VARIABLES | changed)
        time.sleep(1)  # old processes end
    report(f"A release and new settings: {figures}.")
    assert code == 0, said
    assert (figures.failed, figures.lost) == ({}, [])
    assert figures.rate >= LEAST
    answer = visitor.get("/healthz")
    assert (answer.text, answer.headers["X-Change"]) == ("released", "settings")
