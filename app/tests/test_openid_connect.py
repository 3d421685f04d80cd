# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of mod_auth_openidc give the same identity as the attributes of Shibboleth."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import SITE, Browser

from flask_sso_app import create_app

ISSUER = "https://auth.cern.ch/auth/realms/cern"
SESSION = {
    "OIDC_CLAIM_iss": ISSUER,
    "OIDC_CLAIM_sub": "mcurie",
    "OIDC_CLAIM_sid": "b6f1c0b7e8d9a4c3",
    "OIDC_CLAIM_acr": "https://refeds.org/profile/mfa",
    "OIDC_CLAIM_auth_time": "1769860800",
}
MARIA = SESSION | {
    "upn": "mcurie",
    "displayName": "Maria Skłodowska-Curie".encode().decode("latin-1"),
    "EmailAddress": "maria@example.org",
    "CernRoles": r"user;a\;b",
}
LOGOUT = "/openid-connect/callback?logout={return_url}"


@pytest.fixture
def browser() -> Browser:
    app = create_app({"SECRET_KEY": "tests", "AUTHENTICATION": "openid_connect", "LOGOUT_URI": LOGOUT})
    app.test_client_class = Browser
    return app.test_client()


def me(browser: Browser, environ: dict[str, str]) -> dict | None:
    return browser.get("/api/me", environ=environ).json


def test_identity_of_a_session(browser):
    assert me(browser, MARIA) == {
        "authentication": "openid_connect",
        "identifier": "mcurie",
        "name": "Maria Skłodowska-Curie",
        "email": "maria@example.org",
        "groups": [],
        "attributes": {
            "upn": ["mcurie"],
            "displayName": ["Maria Skłodowska-Curie"],
            "EmailAddress": ["maria@example.org"],
            "CernRoles": ["user", "a;b"],
        },
        "session": {
            "identity_provider": ISSUER,
            "authenticated_at": "2026-01-31T12:00:00+00:00",
            "context": "https://refeds.org/profile/mfa",
        },
    }


def test_program_with_a_token_is_known_as_one(browser):
    """It has the same identity as a user, but for its source."""
    user, program = me(browser, MARIA), me(browser, MARIA | {"OIDC_SOURCE": "token"})
    assert program == user | {"authentication": "bearer_token"}
    assert me(browser, {"OIDC_SOURCE": "token"} | {"upn": "mcurie"}) == {"error": "Not logged in."}


@pytest.mark.parametrize("missing", ["OIDC_CLAIM_iss", "OIDC_CLAIM_sub", "upn"])
def test_session_needs_an_issuer_a_subject_and_an_identifier(browser, missing):
    environ = {name: value for name, value in MARIA.items() if name != missing}
    assert browser.get("/api/me", environ=environ).status_code == 401
    assert browser.get("/login", environ=environ).status_code == 403


def test_two_identifiers_are_no_user(browser):
    assert browser.get("/api/me", environ=MARIA | {"upn": "mcurie;ghopper"}).status_code == 401


def test_empty_remote_user_is_no_user(browser):
    """mod_auth_openidc passes it on open paths to visitors without a session."""
    assert browser.get("/api/me", environ={"REMOTE_USER": "", "AUTH_TYPE": "openid-connect"}).status_code == 401


@pytest.mark.parametrize(
    "name", ["OIDC_CLAIM_iss", "OIDC-CLAIM-sub", "OIDC_SOURCE", "upn", "Remote-User", "X-Gate-upn"]
)
def test_forged_header_is_ignored(browser, name):
    assert browser.get("/api/me", headers={name: "ghopper"}).status_code == 401
    assert me(browser, MARIA) == browser.get("/api/me", headers={name: "ghopper"}, environ=MARIA).json


@pytest.mark.parametrize(("url", "target"), [("/profile?x=1", "/profile?x=1"), ("//evil.example", "/"), ("", "/")])
def test_login_returns_to_a_page_of_this_site(browser, url, target):
    response = browser.get("/login", query_string={"next": url}, environ=MARIA)
    assert (response.status_code, response.location) == (302, target)


def test_logout_goes_through_the_module_to_the_provider(browser):
    location = urlsplit(browser.get("/logout", environ=MARIA).location)
    assert (location.path, parse_qs(location.query)) == ("/openid-connect/callback", {"logout": [f"{SITE}/"]})


@pytest.mark.parametrize(("text", "year"), [("1769860800", "2026"), ("", None), ("x", None), ("9" * 30, None)])
def test_time_of_the_authentication_may_be_missing(browser, text, year):
    found = me(browser, MARIA | {"OIDC_CLAIM_auth_time": text})["session"]["authenticated_at"]
    assert (found and found[:4]) == year
