# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster changes to OpenID Connect. Its nodes share the sessions, in Redis; the tests do this in order."""

from __future__ import annotations

import time
from collections.abc import Callable

import bench_client
import httpx
from balanced import (
    COOKIE,
    FIRST,
    NODES,
    SECOND,
    STORE,
    THIRD,
    choose,
    container,
    copies,
    host,
    log_in,
    log_in_at_two,
    me,
    readdress,
    secret,
    stopped,
    visitor_of,
    wait_for,
)
from bench_fixtures import run_playbook

SECRETS = "/etc/ssl/flask_sso/flask_app-openid-connect"
SESSION = "__Host-openid_connect"
CLIENT_SECRET = "{{ lookup('ansible.builtin.file', flask_sso_artifacts ~ '/bench/client-secret') }}"
VARIABLES = {
    "flask_sso_authentication": "openid_connect",
    "openid_connect_client_id": "flask-example",
    "openid_connect_client_secret": CLIENT_SECRET,
    "openid_connect_session_store": "{{ cluster_store }}",
    "openid_connect_passphrase": "{{ cluster_passphrase }}",
}
#: Prints all keys of the store, how many seconds each is kept, and its value.
READ = 'redis-cli --scan | while read -r key; do echo "$key $(redis-cli ttl $key) $(redis-cli --raw get $key)"; done'
#: Asks the store for all keys, without a password.
ASK = """
import socket
with socket.create_connection(("store.example.org", 6379), 10) as store:
    store.sendall(b"KEYS *\\r\\n")
    print(store.recv(1000).decode())
"""


def everywhere(status: int) -> dict[str, int]:
    """Return this status for each node."""
    return dict.fromkeys(NODES, status)


def callbacks() -> int:
    """Return how many requests all nodes have had from the provider itself."""
    count = "cat /var/log/apache2/*.log | grep -c 'POST /openid-connect/callback'"
    return sum(int(host(node).run(count).stdout) for node in NODES)


def test_nodes_change_to_openid_connect(report: Callable[[str], None]) -> None:
    """What is secret is neither in the output nor readable by other accounts than root."""
    began = time.monotonic()
    code, said = run_playbook("site.yml", VARIABLES, "--diff")
    assert code == 0, said
    report(f"The nodes change to OpenID Connect, one after the other, in {time.monotonic() - began:.0f} s.")
    for name in ("store_password", "passphrase"):
        assert secret(name) not in said
        for node in NODES:
            found = bench_client.files_with(host(node), secret(name), "/etc", "/srv", "/var/log", "/var/lib/flask_sso")
            assert found == [f"{SECRETS}/store.conf"] * (name == "store_password")
            assert all(host(node).file(path).mode == 0o600 for path in found)
    keys = {host(node).file(f"{SECRETS}/passphrase.conf").content_string.split()[-1].strip('"') for node in NODES}
    assert len(keys) == 1
    assert not any(key in said for key in keys)
    for node in NODES:
        assert (host(node).file(SECRETS).user, host(node).file(SECRETS).mode) == ("root", 0o700)
        assert host(node).file(f"{SECRETS}/passphrase.conf").mode == 0o600
        assert not host(node).file("/var/cache/apache2/flask_app-openid-connect").exists


def test_login_begins_at_one_node_and_ends_at_another() -> None:
    with visitor_of(FIRST) as session:
        log_in_at_two(session)
        assert copies(session.cookies) == everywhere(200)


def test_session_survives_the_node_where_it_began() -> None:
    with visitor_of(THIRD) as session:
        log_in(session)
        container(THIRD).kill()
        wait_for(THIRD, "DOWN")
        assert session.get("/api/me").json()["name"] == "Grace Hopper"
        assert session.cookies[COOKIE] != THIRD
        container(THIRD).start()
        readdress(THIRD)
        wait_for(THIRD, "UP", 120)
        assert copies(session.cookies) == everywhere(200)


def test_logout_at_a_node_ends_the_session_at_all() -> None:
    """Also for a copy of the cookies that was made before."""
    with visitor_of(FIRST) as session:
        log_in(session)
        kept = httpx.Cookies(session.cookies)
        assert copies(kept) == everywhere(200)
        choose(session, SECOND)
        bench_client.submit_form(session, session.get("/logout"), logout="yes")
        assert session.cookies[COOKIE] == SECOND
        assert me(session) == 401
        assert copies(kept) == everywhere(401)


def test_logout_at_the_provider_reaches_one_node_and_ends_the_session_at_all() -> None:
    with visitor_of(FIRST) as session, visitor_of(FIRST) as colleague:
        log_in(session)
        log_in(colleague, "cpayne")
        before = callbacks()
        bench_client.log_out_at_provider(session.cookies)
        assert copies(session.cookies) == everywhere(401)
        assert copies(colleague.cookies) == everywhere(200)
    assert callbacks() == before + 1


def test_store_is_closed_and_holds_nothing_readable() -> None:
    with visitor_of(FIRST) as session:
        log_in(session)
        said = host(STORE).check_output(f"export REDISCLI_AUTH={secret('store_password')}; {READ}")
        entries = [line.split(" ", 2) for line in said.splitlines()]
        cookie = session.cookies[SESSION]
    assert any(key.startswith("s:") for key, _, _ in entries), entries  # a session
    assert all(0 < int(seconds) <= 86400 for _, seconds, _ in entries), entries
    for text in ("ghopper", "Grace", "Hopper", "example.org", "token", cookie, secret("passphrase")):
        assert text not in said
    for node in NODES:
        assert host(node).check_output("python3 -c %s", ASK).startswith("-NOAUTH")


def test_without_the_store_open_pages_are_served_and_logins_fail(report: Callable[[str], None]) -> None:
    """When it is back, users can log in again."""
    with visitor_of(FIRST) as session, visitor_of(FIRST) as visitor:
        log_in(session)
        with stopped("redis-server"):
            began = time.monotonic()
            open_pages = {path: visitor.get(path).status_code for path in ("/healthz", "/", "/static/style.css")}
            known = session.get("/api/me", follow_redirects=False)
            page, _ = bench_client.saml_login(visitor, "/profile", "cpayne")
            took = time.monotonic() - began
        back = me(session)
        report(f"Open pages and a login that fails took {took:.1f} s without the store. {open_pages}, {known}, {back}.")
        assert set(open_pages.values()) == {200}
        assert known.status_code == 401
        assert back == 200  # Redis has saved its data when it was stopped
    assert page.status_code == 500
    assert "The login could not be completed." in page.text
    said = host(FIRST).run("flask-sso-doctor --only FS918")
    assert said.rc != 0
    assert "The store of sessions, store.example.org:6379, did not answer" in " ".join(said.stdout.split())
    with visitor_of(SECOND) as session:
        log_in(session)
        assert copies(session.cookies) == everywhere(200)
