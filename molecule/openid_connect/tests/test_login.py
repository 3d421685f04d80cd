# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user logs in at the provider, comes back with all claims, and logs out everywhere."""

import bench_client
import httpx
import lxml.html
import pytest

CALLBACK = f"{bench_client.SITE}/openid-connect/callback"
RADIO_TELESCOPES = [f"radio-telescope-{number}" for number in range(1, 601)]


def asks_for_password(page: httpx.Response) -> bool:
    """Return whether a page is the provider's login page."""
    at_provider = page.url.host == bench_client.IDP_HOST
    return at_provider and bool(lxml.html.fromstring(page.content).xpath("//input[@type='password']"))


def log_out(session: httpx.Client) -> httpx.Response:
    """Log out here, confirm it at the provider, and return the page that the user comes back to."""
    page = session.get("/logout")
    assert page.url.host == bench_client.IDP_HOST
    return bench_client.submit_form(session, page, logout="yes")


def test_request_asks_for_a_code_that_only_this_site_can_use(visitor: httpx.Client) -> None:
    """It has a challenge (PKCE), a state and a nonce, and nothing but the code comes back through the browser."""
    asked = visitor.get("/login", follow_redirects=False).next_request.url
    assert str(asked.copy_with(query=None)) == "https://auth.cern.ch/auth/realms/cern/protocol/openid-connect/auth"
    assert (asked.params["response_type"], asked.params["redirect_uri"]) == ("code", CALLBACK)
    assert (asked.params["code_challenge_method"], len(asked.params["code_challenge"])) == ("S256", 43)
    assert (asked.params["client_id"], asked.params["scope"]) == ("flask-example", "openid")
    assert all(len(asked.params[name]) >= 27 for name in ("state", "nonce"))


def test_user_comes_back_to_the_page_first_asked_for(visitor: httpx.Client) -> None:
    """The code arrives in the address, and then the page that needed a login is there."""
    page, journey = bench_client.saml_login(visitor, "/profile?from=bookmark", "ghopper")
    assert [set(step.url.params) for step in journey if step.url.path == "/openid-connect/callback"] == [
        {"code", "state", "iss"}
    ]
    assert (page.status_code, str(page.url)) == (200, f"{bench_client.SITE}/profile?from=bookmark")
    assert "Grace Hopper" in page.text


@pytest.mark.parametrize(
    ("user", "name", "email", "groups"),
    [
        ("ghopper", "Grace Hopper", "grace.hopper@example.org", ["flask-sso-admins", "compiler-builders", "fleet"]),
        ("enoether", "Emmy Noether", "", []),
        ("mcurie", "Maria Skłodowska-Curie", "maria.sklodowska-curie@example.org", ["institut-du-radium"]),
        ("jbell", "Jocelyn Bell Burnell", "jocelyn.bell@example.org", RADIO_TELESCOPES),
    ],
    ids=["everything", "missing-claims", "accented-name", "600-groups"],
)
def test_application_shows_the_claims_under_the_names_of_the_saml_profile(
    visitor: httpx.Client, user: str, name: str, email: str, groups: list[str]
) -> None:
    """Every value arrives unchanged, and a missing one is no error."""
    page, _ = bench_client.saml_login(visitor, "/login", user)
    text = lxml.html.fromstring(page.content).text_content()
    assert (page.status_code, str(page.url)) == (200, f"{bench_client.SITE}/")
    assert all(value in text for value in (name, email, *groups))
    me = visitor.get("/api/me").json()
    assert (me["identifier"], me["name"], me["email"], me["groups"]) == (user, name, email, groups)
    assert (me["authentication"], me["session"]["identity_provider"]) == (
        "openid_connect",
        "https://auth.cern.ch/auth/realms/cern",
    )


def test_application_gets_the_listed_claims_and_no_token(user: httpx.Client, recorder: None) -> None:
    """Neither a token nor the session's cookie reaches the application; a missing claim has its default."""
    variables = dict(user.get("/").json()["variables"])
    assert variables["REMOTE_USER"] == variables["upn"] == "ghopper"
    assert variables["Group"] == "flask-sso-admins;compiler-builders;fleet"
    assert variables["Department"].encode("latin-1").decode() == "Université"
    assert {name for name in variables if "OIDC" in name.upper()} <= {
        f"OIDC_CLAIM_{name}" for name in ("iss", "sub", "sid", "acr", "auth_time", "iat")
    }
    assert "__Host-openid_connect" not in variables.get("HTTP_COOKIE", "")


def test_user_without_the_identifying_claim_gets_no_session(visitor: httpx.Client) -> None:
    """Nobody is logged in under another name."""
    page, _ = bench_client.saml_login(visitor, "/login", "hleavitt")
    said = " ".join(lxml.html.fromstring(page.content).text_content().split())
    assert "You are not logged in" in said
    assert "Remote user could not be set" in said
    assert "write to root@localhost" in said
    assert visitor.get("/api/me").status_code == 401


def test_wrong_password_is_refused(visitor: httpx.Client) -> None:
    """Neither the provider nor the site starts a session."""
    with pytest.raises(bench_client.LoginError):
        bench_client.saml_login(visitor, "/login", "ghopper", "not the password")
    assert visitor.get("/api/me").status_code == 401


def test_cookies_are_for_this_site_over_tls_only(visitor: httpx.Client) -> None:
    """No script reads them, no other host of the domain can set them, no foreign form sends them."""
    _, journey = bench_client.saml_login(visitor, "/login", "ghopper")
    cookies = [
        cookie.lower()
        for step in journey
        if step.url.host == bench_client.HOST
        for cookie in step.headers.get_list("Set-Cookie")
    ]
    assert len(cookies) >= 3
    for cookie in cookies:
        assert cookie.startswith("__host-")
        assert all(part in cookie for part in ("; secure", "; httponly", "; path=/"))
        assert "domain=" not in cookie
        assert "; samesite=lax" in cookie or "expires=thu, 01" in cookie


def test_log_out_ends_the_session_everywhere(user: httpx.Client) -> None:
    """A stolen cookie is worth nothing afterwards, and the next login asks for the password."""
    with bench_client.client(cookies=user.cookies) as thief:
        assert thief.get("/api/me").status_code == 200
        assert str(log_out(user).url.copy_with(query=None)) == f"{bench_client.SITE}/"
        for session in [user, *[thief] * 20]:
            assert session.get("/api/me").status_code == 401
        assert asks_for_password(user.get("/login"))
        assert asks_for_password(thief.get("/login"))


def test_script_gets_an_error_instead_of_a_redirect(visitor: httpx.Client) -> None:
    """A browser's script cannot log in, so it is told."""
    for headers in (
        {"X-Requested-With": "XMLHttpRequest"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Accept": "application/json"},
    ):
        assert visitor.get("/login", headers=headers, follow_redirects=False).status_code == 401
