# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running site gets another provider, LemonLDAP::NG, which shares no code with the one before.

Its issuer ends with a slash, it signs with RS512, takes the secret in the body of a request and asks for consent, and
it has no back-channel logout. These tests come after those of test_switch.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import bench_client
import httpx
import lxml.html
import pytest
from bench_fixtures import run_playbook

PORTAL_HOST = "llng.example.org"
PORTAL = f"https://{PORTAL_HOST}/"
SECRET = "{{ lookup('ansible.builtin.file', flask_sso_artifacts ~ '/bench/lemonldap-secret') }}"
VARIABLES = {
    "flask_sso_authentication": "openid_connect",
    "openid_connect_profile": "generic",
    "openid_connect_issuer": PORTAL,
    "openid_connect_client_id": "campus-site",
    "openid_connect_client_secret": SECRET,
    "openid_connect_client_authentication": "client_secret_post",
    "openid_connect_signature_algorithm": "RS512",
    "openid_connect_scopes": ["openid", "profile", "email", "groups"],
    "openid_connect_attributes": [
        {"id": "upn", "name": "sub"},
        {"id": "displayName", "name": "name"},
        {"id": "EmailAddress", "name": "email"},
        {"id": "Group", "name": "groups"},
    ],
    "openid_connect_audience": "campus-api",
    "flask_sso_protected": [
        {"path": "/login"},
        {"path": "/for-timelords", "attributes": {"Group": ["timelords"]}},
        {"path": "/hello", "programs": True},
    ],
    "apache_ssl_extra_modules": ["dir"],
}


@pytest.fixture(scope="module", autouse=True)
def earlier_session() -> Iterator[httpx.Client]:
    """Deploy the site with the other provider; return a client that has logged in at the first one before."""
    with bench_client.client() as session:
        bench_client.saml_login(session, "/login", "ghopper")
        assert session.get("/api/me").json()["identifier"] == "ghopper"
        code, said = run_playbook("site.yml", VARIABLES)
        assert code == 0, said
        yield session


@pytest.fixture
def doctor_who(visitor: httpx.Client) -> httpx.Client:
    """Return a client that is logged in."""
    log_in(visitor, "/login", "dwho")
    assert visitor.get("/api/me").json()["identifier"] == "dwho"
    return visitor


def asks_for_password(page: httpx.Response) -> bool:
    """Return whether a page is that with which the provider begins a login."""
    return page.url.host == PORTAL_HOST and bool(lxml.html.fromstring(page.content).xpath("//input[@name='password']"))


def log_in(session: httpx.Client, path: str, user: str, secret: str = "") -> httpx.Response:
    """Open a page of the site, log in and consent. The provider's users have their names as their passwords."""
    page = session.get(path)
    assert asks_for_password(page)
    page = bench_client.submit_form(session, page, user=user, password=secret or user)
    if page.url.host == PORTAL_HOST and not asks_for_password(page):
        page = bench_client.submit_form(session, page, confirm="1")
    return page


def log_out(session: httpx.Client) -> None:
    """Log out here and at the provider, which sends the user back."""
    page = session.get("/logout")
    assert PORTAL_HOST in [step.url.host for step in page.history]
    assert str(page.url.copy_with(query=None)) == f"{bench_client.SITE}/"


def test_session_of_the_first_provider_is_none(earlier_session: httpx.Client) -> None:
    """Another provider may give the same identifier to another user."""
    assert earlier_session.get("/api/me").status_code == 401
    assert asks_for_password(earlier_session.get("/login"))


def test_application_gets_the_claims_under_its_own_names(visitor: httpx.Client) -> None:
    """A secret with special characters arrives, and so does the page that was asked for."""
    page = log_in(visitor, "/profile?from=bookmark", "dwho")
    assert (page.status_code, str(page.url)) == (200, f"{bench_client.SITE}/profile?from=bookmark")
    me = visitor.get("/api/me").json()
    assert (me["identifier"], me["name"], me["email"]) == ("dwho", "Doctor Who", "dwho@badwolf.org")
    assert sorted(me["groups"]) == ["timelords", "users"]
    assert me["session"]["identity_provider"] == PORTAL


def test_wrong_password_starts_no_session(visitor: httpx.Client) -> None:
    """Neither here nor at the provider."""
    assert asks_for_password(log_in(visitor, "/login", "dwho", "not the password"))
    assert visitor.get("/api/me").status_code == 401


@pytest.mark.parametrize(("user", "status"), [("dwho", 404), ("rtyler", 403)])
def test_rule_lets_through_whom_it_names(visitor: httpx.Client, user: str, status: int) -> None:
    """The application has no such page: a 404 means that the request reached it."""
    page = log_in(visitor, "/for-timelords", user)
    assert (page.url.path, page.status_code) == ("/for-timelords", status)
    assert visitor.get("/api/me").json()["identifier"] == user


def test_log_out_ends_the_session_everywhere(doctor_who: httpx.Client) -> None:
    """The user comes back, a stolen cookie is worth nothing, and the next login asks for the password."""
    with bench_client.client(cookies=doctor_who.cookies) as thief:
        assert thief.get("/api/me").status_code == 200
        log_out(doctor_who)
        for session in (doctor_who, thief):
            assert session.get("/api/me").status_code == 401
            assert asks_for_password(session.get("/login"))


def test_logout_at_the_provider_ends_nothing_here_as_the_sheet_says(doctor_who: httpx.Client) -> None:
    """It has no back-channel logout. A logout here then works, too, although there is nothing left to end there."""
    sheet = (bench_client.PAPERS / "openid-connect-registration.md").read_text()
    assert "without it, a logout there ends no session here" in sheet
    doctor_who.get(PORTAL, params={"logout": "1"})
    assert doctor_who.get("/api/me").status_code == 200
    log_out(doctor_who)
    assert doctor_who.get("/api/me").status_code == 401
    assert asks_for_password(doctor_who.get("/login"))


def test_program_gets_in_with_a_token_of_the_provider(visitor: httpx.Client) -> None:
    """Which has an audience of its own, as its tokens do not say what they are."""
    credentials = ("campus-program", bench_client.password())
    answer = visitor.post(
        f"{PORTAL}oauth2/token", auth=credentials, data={"grant_type": "client_credentials", "scope": "x"}
    )
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert visitor.get("/hello", headers=headers).status_code == 200
    assert visitor.get("/hello").status_code == 401
