# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs use paths of their own with an access token of the provider, and nothing else opens these."""

import time
from typing import Any

import bench_client
import httpx
import pytest
import tokens
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LOGOUT_EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}
LATER = int(time.time()) + 100_000
ROBOT = {"sub": "robot", "cern_upn": "robot", "name": "Röbot", "cern_roles": ["user", "a;b"]}
# What is different from a token that is accepted.
UNACCEPTABLE = tokens.FORGERIES | {
    "no-expiry": {"exp": None},
    "not-yet-valid": {"nbf": LATER},
    "an-id-token": {"nonce": "x"},
    "an-id-token-of-a-refresh": {"at_hash": "x"},
    "an-id-token-of-keycloak": {"typ": "ID"},
    "a-logout-token": {"events": LOGOUT_EVENT},
    "without-a-user": {"cern_upn": None},
    "a-logout-token-by-its-header": {"form": "logout+jwt"},
    "an-id-token-that-does-not-say-so": {"form": "JWT"},
    "of-the-future": {"iat": LATER},
}


def access_token(
    key: RSAPrivateKey, kid: str = "bench", alg: str = "RS256", form: str = "at+jwt", **changes: Any
) -> str:
    """Return an access token of the provider, but for the changes."""
    return tokens.sign(tokens.claims(**ROBOT | changes), key, typ=form, kid=kid, alg=alg)


def bearer(token: str) -> dict[str, str]:
    """Return the header with a token."""
    return {"Authorization": f"Bearer {token}"}


def provider_token(site: str) -> str:
    """Return what the provider gives to a program for a site."""
    program = {"client_id": "flask-program", "client_secret": f"{bench_client.password()}program"}
    with bench_client.client() as session:
        answer = session.post(
            f"{tokens.ISSUER}/protocol/openid-connect/token",
            data={"grant_type": "client_credentials", "resource": site} | program,
        )
    return answer.json()["access_token"]


def test_program_gets_in_with_a_token_of_the_provider(visitor: httpx.Client) -> None:
    """The application knows it by name; there is neither a cookie nor a redirect."""
    answer = visitor.get("/hello", headers=bearer(provider_token(f"{bench_client.SITE}/")))
    assert (answer.status_code, answer.text) == (200, "Hello Nächtlicher Abgleich!")
    assert (answer.history, "Set-Cookie" in answer.headers, len(visitor.cookies)) == ([], False, 0)


def test_token_for_another_site_is_refused(visitor: httpx.Client) -> None:
    """Although the same provider gave it to the same program."""
    answer = visitor.get("/hello", headers=bearer(provider_token("https://another.example.org/")))
    assert answer.status_code == 401


def test_application_gets_the_same_variables_and_the_source(
    visitor: httpx.Client, provider_key: RSAPrivateKey, recorder: None
) -> None:
    """Values are escaped as those of users, and the token is not passed."""
    token = access_token(provider_key)
    variables = dict(visitor.get("/hello", headers=bearer(token)).json()["variables"])
    assert variables["REMOTE_USER"] == variables["upn"] == "robot"
    assert variables["displayName"].encode("latin-1").decode() == "Röbot"
    assert variables["CernRoles"] == r"user;a\;b"
    assert (variables["OIDC_SOURCE"], variables["OIDC_CLAIM_iss"]) == ("token", tokens.ISSUER)
    assert {name for name in variables if "OIDC" in name.upper()} <= {
        "OIDC_SOURCE",
        *(f"OIDC_CLAIM_{name}" for name in ("iss", "sub", "sid", "acr", "auth_time", "iat")),
    }
    assert not any(token in value for value in variables.values())


@pytest.mark.parametrize("different", UNACCEPTABLE.values(), ids=UNACCEPTABLE)
def test_unacceptable_token_is_refused(
    visitor: httpx.Client, provider_key: RSAPrivateKey, different: dict[str, Any]
) -> None:
    """With 401, as a program expects, and not with a login page."""
    answer = visitor.get("/hello", headers=bearer(access_token(**{"key": provider_key} | different)))
    assert (answer.status_code, answer.history) == (401, [])
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="programs", error="invalid_token"')


@pytest.mark.parametrize("header", ["", "x", "Bearer", "Bearer x", "Bearer a.b.c", "Bearer e30.e30.", "Basic eDp5"])
def test_garbage_is_no_token(visitor: httpx.Client, header: str) -> None:
    """Nor is nothing."""
    answer = visitor.get("/hello", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_token_counts_in_the_header_only(visitor: httpx.Client, provider_key: RSAPrivateKey) -> None:
    """Addresses are logged, and forms are sent by other sites."""
    token = access_token(provider_key)
    assert visitor.get("/hello", params={"access_token": token}).status_code == 401
    assert visitor.post("/hello", data={"access_token": token}).status_code == 401
    visitor.cookies.set("access_token", token, domain=bench_client.HOST)
    assert visitor.get("/hello").status_code == 401


def test_role_is_required_of_programs_too(visitor: httpx.Client, provider_key: RSAPrivateKey) -> None:
    """The application has no such page: a 404 means that the request reached it."""
    for roles, status in ((["user"], 403), (None, 403), (["user", "reader"], 404)):
        answer = visitor.get("/for-readers", headers=bearer(access_token(provider_key, cern_roles=roles)))
        assert (answer.status_code, answer.history) == (status, [])


def test_role_is_required_of_programs_for_a_method(visitor: httpx.Client, provider_key: RSAPrivateKey) -> None:
    """Other methods need a token, and no role."""
    for method, role, status in (("GET", "user", 404), ("POST", "user", 403), ("POST", "writer", 404)):
        headers = bearer(access_token(provider_key, cern_roles=[role]))
        assert visitor.request(method, "/for-programs", headers=headers).status_code == status
        assert visitor.request(method, "/for-programs").status_code == 401


def test_session_opens_no_path_of_programs(user: httpx.Client, provider_key: RSAPrivateKey) -> None:
    """So no other site can use a user's session there, and with a token, it is the program that comes."""
    assert user.get("/for-readers").status_code == 401
    assert user.get("/hello").status_code == 401
    assert user.get("/hello", headers=bearer(access_token(provider_key))).text == "Hello Röbot!"


def test_token_opens_no_path_of_users(visitor: httpx.Client, provider_key: RSAPrivateKey) -> None:
    """Neither one below that of programs, nor an open one gets an identity from it, nor is it another user's."""
    headers = bearer(access_token(provider_key, cern_upn="ghopper", cern_roles=["admin"]))
    for path in ("/login", "/for-admins", "/hello/users"):
        answer = visitor.get(path, headers=headers, follow_redirects=False)
        assert answer.next_request.url.host == bench_client.IDP_HOST
    assert visitor.get("/api/me", headers=headers).status_code == 401
    assert visitor.get("/openid-connect/callback", headers=headers).status_code == 403
    bench_client.saml_login(visitor, "/hello/users", "cpayne")
    assert visitor.get("/api/me", headers=headers).json()["identifier"] == "cpayne"


@pytest.mark.parametrize("key", [None, tokens.STRANGERS_KEY], ids=["without-a-token", "with-a-forged-one"])
def test_internal_request_opens_no_path_of_programs(user: httpx.Client, key: RSAPrivateKey | None) -> None:
    """The module verifies no token for the index of a directory, so it is closed, with or without a session."""
    headers = bearer(access_token(key)) if key else {}
    with bench_client.client() as visitor:
        for session in (user, visitor):
            assert session.get("/open/programs/", headers=headers).status_code in (401, 403)
