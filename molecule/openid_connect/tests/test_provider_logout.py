# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A logout at the provider ends the session here (back-channel logout), and no other sender's message does."""

from typing import Any

import bench_client
import httpx
import pytest
import tokens
from bench_fixtures import recording
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from testinfra.host import Host

ADDRESS = "/openid-connect/callback?logout=backchannel"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
# What is different from a logout token that the provider signs.
FORGERIES = tokens.FORGERIES | {
    "no-event": {"events": None},
    "another-event": {"events": {"https://evil.example": {}}},
    "an-id-token": {"nonce": "x"},
    "old": {"iat": tokens.LONG_AGO, "exp": None},
}


def session_id(user: httpx.Client, web: Host) -> str:
    """Return the provider's identifier of a user's session."""
    with recording(web):
        return dict(user.get("/").json()["variables"])["OIDC_CLAIM_sid"]


def logout_token(key: RSAPrivateKey, kid: str = "bench", alg: str = "RS256", **changes: Any) -> str:
    """Return a logout token of the provider, but for the changes."""
    content = tokens.claims(**{"events": {EVENT: {}}} | changes)
    return tokens.sign(content, key, typ="logout+jwt", kid=kid, alg=alg)


def identifier(session: httpx.Client) -> str | None:
    """Return who is logged in."""
    return session.get("/api/me").json().get("identifier")


def test_logout_at_the_provider_ends_the_session_of_a_closed_browser(user: httpx.Client) -> None:
    """The browser is closed meanwhile; its cookies, saved before, are worth nothing afterwards."""
    saved = list(user.cookies.jar)
    user.close()
    bench_client.log_out_at_provider(user.cookies)
    with bench_client.client() as reopened:
        for cookie in saved:
            reopened.cookies.jar.set_cookie(cookie)
        for _ in range(20):
            assert reopened.get("/api/me").status_code == 401
        page = reopened.get("/profile")
        assert (page.url.host, "password" in page.text) == (bench_client.IDP_HOST, True)


def test_logout_at_the_provider_ends_no_other_session(user: httpx.Client, visitor: httpx.Client) -> None:
    """Neither that of the same user in another browser, nor another user's."""
    with bench_client.client() as elsewhere, bench_client.client() as colleague:
        bench_client.saml_login(elsewhere, "/login", "ghopper")
        bench_client.saml_login(colleague, "/login", "cpayne")
        bench_client.log_out_at_provider(user.cookies)
        assert user.get("/api/me").status_code == 401
        assert (identifier(elsewhere), identifier(colleague)) == ("ghopper", "cpayne")


def test_logout_survives_a_restart_in_between(user: httpx.Client, web: Host) -> None:
    """Which session belongs to which of the provider is not only in the memory of httpd."""
    web.check_output("systemctl restart apache2")
    assert bench_client.get_after_restart(user, "/api/me").json()["identifier"] == "ghopper"
    bench_client.log_out_at_provider(user.cookies)
    assert user.get("/api/me").status_code == 401


def test_logout_token_works_once(user: httpx.Client, web: Host, provider_key: RSAPrivateKey) -> None:
    """This is the message that the next test forges: as the provider sends it, it ends the session."""
    token = logout_token(provider_key, sid=session_id(user, web))
    answer = user.post(ADDRESS, data={"logout_token": token})
    assert (answer.status_code, answer.text, "Set-Cookie" in answer.headers) == (200, "", False)
    assert user.get("/api/me").status_code == 401
    assert user.post(ADDRESS, data={"logout_token": token}).status_code == 400


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
def test_forged_logout_token_ends_nothing(
    user: httpx.Client, web: Host, provider_key: RSAPrivateKey, forged: dict[str, Any]
) -> None:
    """It is refused, and the user stays logged in."""
    token = logout_token(**{"key": provider_key, "sid": session_id(user, web)} | forged)
    assert user.post(ADDRESS, data={"logout_token": token}).status_code == 400
    assert identifier(user) == "ghopper"


@pytest.mark.parametrize("garbage", ["", "x", "x.y.z", "eyJhbGciOiJub25lIn0.e30."])
def test_garbage_is_no_logout_token(user: httpx.Client, garbage: str) -> None:
    """It is refused, and httpd goes on."""
    assert user.post(ADDRESS, data={"logout_token": garbage}).status_code == 400
    assert identifier(user) == "ghopper"


def test_token_of_an_unknown_session_ends_nothing(user: httpx.Client, provider_key: RSAPrivateKey) -> None:
    """A logout token for a session that the site does not know is answered, and ends nothing."""
    answer = user.post(ADDRESS, data={"logout_token": logout_token(provider_key, sid="unknown")})
    assert answer.status_code == 200
    assert identifier(user) == "ghopper"


def test_logout_address_takes_nothing_but_a_short_post(
    user: httpx.Client, web: Host, provider_key: RSAPrivateKey
) -> None:
    """Not even the provider's own token in another form: other parameters, another method, or a large body."""
    token = logout_token(provider_key, sid=session_id(user, web))
    for query in ("logout=backchannel&iss=x", "logout=backchannel&", "x=1&logout=backchannel", "logout=back"):
        assert user.post(f"/openid-connect/callback?{query}", data={"logout_token": token}).status_code == 403
    assert user.get(ADDRESS, params={"logout": "backchannel", "logout_token": token}).status_code == 403
    assert user.put(ADDRESS, data={"logout_token": token}).status_code == 403
    assert user.post(ADDRESS, data={"padding": 20000 * "x", "logout_token": token}).status_code in (400, 413)
    assert identifier(user) == "ghopper"
