# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes of the cluster change to SAML in the application. They share its database; the tests do this in order."""

from __future__ import annotations

import re
from collections.abc import Callable

import bench_client
import httpx
import lxml.html
from balanced import FIRST, SECOND, choose, copies, host, log_in, log_in_at_two, me, secret, stopped, visitor_of
from bench_fixtures import run_playbook

NODES = FIRST, SECOND
VARIABLES = {
    "flask_sso_authentication": "saml",
    "flask_app_requirements": "requirements-saml-postgresql.txt",
    "app_saml_store": "postgresql+psycopg://flask_app@store.example.org/flask_app?connect_timeout=3&tcp_user_timeout=5000"
    "&sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt",
    "flask_app_credentials": {
        "secret_key": "{{ lookup('ansible.builtin.file', cluster_files ~ '/secret_key') }}",
        "saml_store_password": "{{ cluster_database_password }}",
    },
}


def both(status: int) -> dict[str, int]:
    """Return this status for each of the nodes."""
    return dict.fromkeys(NODES, status)


def test_store_of_each_nodes_own_is_refused() -> None:
    """A login could not end at another node."""
    code, said = run_playbook("site.yml", VARIABLES | {"app_saml_store": "sqlite:////var/lib/flask_app/saml.sqlite"})
    assert code == 2, said
    assert "app_saml_store is not set, or each node's own" in said
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}


def test_nodes_change_to_saml_in_the_application() -> None:
    """The password is neither in the output, nor in the environment, nor readable by other accounts."""
    code, said = run_playbook("site.yml", VARIABLES, "--diff", "--limit", ",".join(NODES))
    assert code == 0, said
    password = secret("database_password")
    assert password not in said
    for node in NODES:
        found = bench_client.files_with(host(node), password, "/etc", "/srv", "/var/log", "/var/lib")
        (credential,) = map(host(node).file, found)
        assert (credential.user, credential.group, credential.mode) == ("root", "flask_app", 0o440)
        assert password not in host(node).check_output("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_login_begins_at_one_node_and_ends_at_another() -> None:
    with visitor_of(FIRST) as session:
        log_in_at_two(session)
        assert copies(session.cookies, NODES) == both(200)


def test_response_is_accepted_once_and_at_any_node() -> None:
    """It comes with all cookies of the login, which began at another node."""
    with visitor_of(FIRST) as session:
        form = session.get("/profile")
        kept = httpx.Cookies(session.cookies)
        page = bench_client.submit_form(session, form, username="ghopper", password=bench_client.password())
        (response,) = lxml.html.fromstring(page.content).forms
    assert response.action.endswith("/SAML2/POST")
    found = []
    for node in (SECOND, FIRST, SECOND):
        with bench_client.client() as visitor:
            visitor.cookies.update(kept)
            choose(visitor, node)
            answer = visitor.post(response.action, data=dict(response.form_values()), follow_redirects=False)
            found.append(answer.status_code)
    assert found == [303, 403, 403]


def test_logout_at_a_node_ends_the_session_at_all() -> None:
    """Also for a copy of the cookies that was made before."""
    with visitor_of(FIRST) as session:
        log_in(session)
        kept = httpx.Cookies(session.cookies)
        assert copies(kept, NODES) == both(200)
        choose(session, SECOND)
        session.get("/logout")
        assert copies(kept, NODES) == both(401)


def test_without_the_database_open_pages_are_served(report: Callable[[str], None]) -> None:
    """Who has a session gets a page that says why; the session goes on afterwards."""
    with visitor_of(FIRST) as session, visitor_of(FIRST) as visitor:
        log_in(session)
        with stopped("postgresql@15-main"):
            open_pages = {path: visitor.get(path).status_code for path in ("/healthz", "/", "/static/style.css")}
            known, login = session.get("/profile"), visitor.get("/login")
        report(f"Without the database: {open_pages}, a session {known.status_code}, a login {login.status_code}.")
        assert set(open_pages.values()) == {200}
        for answer in (known, login):
            assert answer.status_code == 503
            assert "The database of sessions does not answer." in answer.text
        assert me(session) == 200
