# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No user gets another user's session, and nothing that a client writes into a request gives it an identity."""

from urllib.parse import quote

import bench_client
import httpx
import pytest

CALLBACK = "/openid-connect/callback"
ISSUER = quote("https://auth.cern.ch/auth/realms/cern", safe="")
TARGET = quote(f"{bench_client.SITE}/profile", safe="")
NAMES = [
    "EmailAddress",
    "OIDC_CLAIM_iss",
    "OIDC_CLAIM_sub",
    "OIDC_CLAIM_cern_upn",
    "OIDC_id_token_payload",
    "OIDC_userinfo_json",
    "OIDC_access_token",
    "Remote_User",
    "X_Gate_upn",
    "upn",
]
SPELLINGS = [str, str.upper, lambda name: name.replace("_", "-"), "HTTP_{}".format]
FORGED = [(spell(name), '{"iss": "x", "sub": "ghopper"}') for name in NAMES for spell in SPELLINGS]


def callback_of(session: httpx.Client, user: str) -> httpx.URL:
    """Log in as `user` up to the provider's answer; return the address that it redirects to."""
    login = session.get("/login")
    page = session.post(login.url, data={"username": user, "password": bench_client.password()}, follow_redirects=False)
    while page.next_request.url.host == bench_client.IDP_HOST:
        page = session.send(page.next_request, follow_redirects=False)
    return page.next_request.url


@pytest.mark.parametrize(
    "query",
    [
        f"iss={ISSUER}&target_link_uri={TARGET}",
        f"iss={ISSUER}",
        f"target_link_uri={TARGET}",
        f"login_hint=ghopper&iss={ISSUER}",
        f"disc_user=ghopper&target_link_uri={TARGET}",
        f"state=x&iss={ISSUER}",
        f"code=x&iss={ISSUER}&target_link_uri={TARGET}",
        f"state=x&error=access_denied&iss={ISSUER}&target_link_uri={TARGET}",
        f"xstate=x&xcode=x&iss={ISSUER}",
        f"state=x&code=x&target_link_uri={TARGET}",
        f"logout={TARGET}&iss={ISSUER}",
        "logout=get",
        "logout=img",
        f"logout=backchannel&iss={ISSUER}",
        "state=x&code=x&logout=backchannel",
        "refresh=x",
        "session=check",
        "",
    ],
)
def test_redirect_uri_begins_no_login(user: httpx.Client, query: str) -> None:
    """A victim with a planted session cannot be sent to a login that would happen in it."""
    for session_cookie in (user.cookies, None):
        with bench_client.client(cookies=session_cookie, follow_redirects=False) as victim:
            for method in ("GET", "POST"):
                answer = victim.request(method, f"{CALLBACK}?{query}")
                assert (answer.status_code, "Location" in answer.headers) == (403, False), method


@pytest.mark.parametrize("path", ["/%20openid-connect/callback", "/openid-connect%09/callback", f"{CALLBACK}%20"])
@pytest.mark.parametrize(
    "query",
    [
        f"iss={ISSUER}&target_link_uri={TARGET}",
        f"logout={bench_client.SITE}/",
        "logout=get",
        "state=x&code=x",
        "session=check",
    ],
)
def test_white_space_makes_no_other_redirect_uri(user: httpx.Client, path: str, query: str) -> None:
    """The module ignores it when it compares paths, and httpd does not."""
    for method in ("GET", "POST"):
        answer = user.request(method, f"{path}?{query}", follow_redirects=False)
        assert (answer.status_code, "Location" in answer.headers) == (403, False), method
    assert user.get("/api/me").status_code == 200


def test_refused_login_has_a_readable_page(visitor: httpx.Client) -> None:
    """Such as one that the user has cancelled at the provider."""
    page = visitor.get(f"{CALLBACK}?state=x&error=access_denied&error_description=%3Cb%3E")
    assert page.status_code == 403
    assert "The login was cancelled, or the provider refused it." in page.text
    assert "<b>" not in page.text


def test_another_browser_cannot_use_the_answer(visitor: httpx.Client) -> None:
    """The code of one browser's login gives another one no session, nor with a state of its own."""
    stolen = callback_of(visitor, "ghopper")
    with bench_client.client() as other:
        own = other.get("/login", follow_redirects=False).next_request.url.params["state"]
        for state in (stolen.params["state"], own, "x"):
            other.get(stolen.copy_set_param("state", state))
            assert other.get("/api/me").status_code == 401


def test_login_begins_a_session_of_its_own(user: httpx.Client) -> None:
    """An attacker who plants a session and a login's cookie in a browser does not share what the user gets there."""
    planted = user.cookies["__Host-openid_connect"]
    with bench_client.client() as attacker, bench_client.client() as victim:
        request = attacker.get("/login", follow_redirects=False).next_request
        for name, value in [*attacker.cookies.items(), ("__Host-openid_connect", planted)]:
            victim.cookies.set(name, value, domain=bench_client.HOST)
        bench_client.answer_provider(victim, victim.get(request.url), "cpayne")
        assert victim.get("/api/me").json()["identifier"] == "cpayne"
        own = [cookie.value for cookie in victim.cookies.jar if cookie.name == "__Host-openid_connect"]
    assert user.get("/api/me").json()["identifier"] == "ghopper"
    assert any(value != planted for value in own)


def test_answer_works_once(visitor: httpx.Client) -> None:
    """After the login, its address is of no use any more, not even with the cookies from before."""
    address = callback_of(visitor, "ghopper")
    with bench_client.client() as stranger, bench_client.client(cookies=visitor.cookies) as thief:
        visitor.get(address)
        assert visitor.get("/api/me").json()["identifier"] == "ghopper"
        for other in (stranger, thief):
            other.get(address)
            assert other.get("/api/me").status_code == 401


@pytest.mark.parametrize("change", [{"iss": "https://evil.example"}, {"iss": ""}, {"client_id": "another-site"}])
def test_answer_of_another_provider_is_refused(visitor: httpx.Client, change: dict[str, str]) -> None:
    """The provider writes into its answer who it is, so that no attacker can mix it up with another one."""
    visitor.get(callback_of(visitor, "ghopper").copy_merge_params(change))
    assert visitor.get("/api/me").status_code == 401


def test_login_started_too_long_ago_leads_to_the_first_page(visitor: httpx.Client) -> None:
    """Instead of an error about a state."""
    page = visitor.get(f"{CALLBACK}?state=x&code=x")
    assert (page.status_code, str(page.url)) == (200, f"{bench_client.SITE}/")


def test_many_started_logins_do_not_block_the_next(visitor: httpx.Client) -> None:
    """The oldest are forgotten, so that neither the cookies nor the server overflow."""
    for _ in range(20):
        assert visitor.get("/login", follow_redirects=False).status_code == 302
    assert len(visitor.cookies) <= 5
    bench_client.saml_login(visitor, "/login", "cpayne")
    assert visitor.get("/api/me").json()["identifier"] == "cpayne"


def test_other_site_cannot_log_users_out(user: httpx.Client) -> None:
    """Nor send them to a page elsewhere."""
    home = quote(f"{bench_client.SITE}/", safe="")
    answer = user.get(f"{CALLBACK}?logout={home}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    elsewhere = quote("https://evil.example/", safe="")
    answer = user.get(f"{CALLBACK}?logout={elsewhere}", follow_redirects=False)
    assert "evil.example" not in answer.headers.get("Location", "")
    assert user.get("/api/me").status_code == 200


def test_header_becomes_nothing_but_an_http_variable(recorder: None, visitor: httpx.Client) -> None:
    """The variables of the application but HTTP_* and the id of a request stay the same with the headers."""

    def beyond_http(headers: list[tuple[str, str]]) -> list[list[str]]:
        variables = visitor.get("/", headers=headers).json()["variables"]
        return [variable for variable in variables if not variable[0].startswith(("HTTP_", "UNIQUE_ID"))]

    assert beyond_http(FORGED) == beyond_http([])


def test_headers_give_no_identity(visitor: httpx.Client) -> None:
    """Neither to a visitor, nor another one to a user."""
    assert visitor.get("/api/me", headers=FORGED).status_code == 401
    assert visitor.get("/login", headers=FORGED, follow_redirects=False).next_request.url.host == bench_client.IDP_HOST
    bench_client.saml_login(visitor, "/login", "enoether")
    plain = visitor.get("/api/me").json()
    assert (plain["identifier"], plain["email"]) == ("enoether", "")
    assert visitor.get("/api/me", headers=FORGED).json() == plain


@pytest.mark.parametrize("garbage", ["", "x", 32 * "0", "../../etc/passwd", "_'\"<>&%00", 3000 * "a"])
def test_session_cookie_cannot_be_guessed(visitor: httpx.Client, garbage: str) -> None:
    """Garbage is no session."""
    answer = visitor.get("/api/me", headers={"Cookie": f"__Host-openid_connect={garbage}"})
    assert answer.status_code == 401
