# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user logs in at the provider, comes back with all claims, and logs out everywhere."""

import bench_client
import httpx
import lxml.html
from login_tests import *  # noqa: F403 (tests that pytest finds here, too)
from login_tests import asks_for_password
from testinfra.host import Host

CALLBACK = f"{bench_client.SITE}/openid-connect/callback"


def log_out(session: httpx.Client) -> httpx.Response:
    """Log out here, confirm it at the provider, and return the page that the user comes back to."""
    page = session.get("/logout")
    assert page.url.host == bench_client.IDP_HOST
    return bench_client.submit_form(session, page, logout="yes")


def test_doctor_finds_no_fault(web: Host) -> None:
    """It follows the login to the provider, as a browser does."""
    assert bench_client.complaints(web) == ""
    assert "FS706 The provider knows this site" in web.check_output("flask-sso-doctor --only FS706")


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


def test_code_of_a_login_is_in_no_log(web: Host, visitor: httpx.Client) -> None:
    """The request with which it came is in the access log, without its query."""
    _, journey = bench_client.saml_login(visitor, "/login", "ghopper")
    (came,) = [step.url for step in journey if step.url.path == "/openid-connect/callback"]
    assert '"GET /openid-connect/callback HTTP/' in web.check_output("tail --lines 9 /var/log/apache2/*-access.log")
    logs = web.check_output("cat /var/log/apache2/*.log; journalctl --no-pager --output cat")
    assert not [name for name in ("code", "state") if came.params[name] in logs]


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
    """No user is logged in under another name."""
    page, _ = bench_client.saml_login(visitor, "/login", "hleavitt")
    said = " ".join(lxml.html.fromstring(page.content).text_content().split())
    assert "You are not logged in" in said
    assert "Remote user could not be set" in said
    assert "write to root@localhost" in said
    assert visitor.get("/api/me").status_code == 401


def test_cookies_are_for_this_site_over_tls_only(visitor: httpx.Client) -> None:
    """No script reads them, no other host of the domain can set them, no form of another site sends them."""
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
        answer = visitor.get("/login", headers=headers, follow_redirects=False)
        assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/json")
        assert answer.json() == {"error": "Not logged in."}
