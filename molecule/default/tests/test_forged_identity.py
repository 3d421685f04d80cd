# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that a client writes into a request gives it an identity."""

import bench_client
import httpx
import pytest

NAMES = [
    "ADFS_EMAIL",
    "ADFS_LOGIN",
    "Auth_Type",
    "EmailAddress",
    "Group",
    "Persistent_ID",
    "Remote_User",
    "Shib_Application_ID",
    "Shib_Authentication_Instant",
    "Shib_Handler",
    "Shib_Identity_Provider",
    "Shib_Session_ID",
    "SSL_Client_S_DN",
    "SSL_Client_Verify",
    "X_Forwarded_User",
    "X_Remote_User",
    "displayName",
    "upn",
]
SPELLINGS = [str.upper, str.lower, lambda name: name.replace("_", "-"), "HTTP_{}".format, "HTTP-{}".format]
# httpx keeps each spelling; httpd accepts 100 fields.
FORGED = [(spell(name), "ghopper") for name in NAMES for spell in SPELLINGS]
GARBAGE = ["", "x", "_" + 32 * "0", "../../etc/passwd", "_'\"<>&%00", 3000 * "a"]
OPEN = ["/", "/api/me", "/healthz", "/no/such/page"]
PROTECTED = ["/login", "/login/", "/login?next=/profile", "//login", "/./login", "/%6cogin", "/profile"]


def leads_to_login(response: httpx.Response) -> bool:
    """Return whether a response is a redirect to the identity provider, or to the page that redirects there."""
    target = response.next_request and response.next_request.url
    return bool(target) and (target.host == bench_client.IDP_HOST or target.path in ("/login", "//login"))


def is_anonymous(session: httpx.Client, headers) -> bool:
    """Return whether the application treats requests with these headers as anonymous."""
    me = session.get("/api/me", headers=headers)
    login = session.get("/login", headers=headers, follow_redirects=False)
    return me.status_code == 401 and leads_to_login(login)


@pytest.mark.parametrize("name", NAMES)
def test_header_is_no_identity(visitor: httpx.Client, name: str) -> None:
    """In no spelling, one at a time."""
    for spell in SPELLINGS:
        assert is_anonymous(visitor, [(spell(name), "ghopper")]), spell(name)


@pytest.mark.parametrize("path", OPEN)
def test_headers_change_nothing_on_open_paths(visitor: httpx.Client, path: str) -> None:
    """All of them together get the same page as a request without headers."""
    forged, plain = visitor.get(path, headers=FORGED), visitor.get(path)
    assert (forged.status_code, forged.text) == (plain.status_code, plain.text)


@pytest.mark.parametrize("path", PROTECTED)
def test_headers_open_no_protected_path(visitor: httpx.Client, path: str) -> None:
    """All of them together are redirected like a request without a session."""
    forged = visitor.get(f"{bench_client.SITE}{path}", headers=FORGED, follow_redirects=False)
    assert leads_to_login(forged) or forged.status_code in (403, 404)
    assert "ghopper" not in forged.text


def test_header_becomes_nothing_but_an_http_variable(recorder: None, visitor: httpx.Client) -> None:
    """The variables of the application but HTTP_* and the id of a request stay the same with the headers."""

    def beyond_http(headers: list[tuple[str, str]]) -> list[list[str]]:
        variables = visitor.get("/", headers=headers).json()["variables"]
        assert bool(headers) == ("ghopper" in dict(variables).values())
        return [variable for variable in variables if not variable[0].startswith(("HTTP_", "UNIQUE_ID"))]

    assert beyond_http(FORGED) == beyond_http([])


def test_headers_add_nothing_to_a_session(visitor: httpx.Client) -> None:
    """A user stays the same, and an attribute that was not sent stays missing."""
    bench_client.saml_login(visitor, "/login", "enoether")
    plain = visitor.get("/api/me").json()
    assert (plain["identifier"], plain["email"]) == ("enoether", "")
    assert visitor.get("/api/me", headers=FORGED).json() == plain


def test_session_cookie_cannot_be_guessed_or_doubled(visitor: httpx.Client) -> None:
    """Garbage is not a session; in addition to a valid cookie it does not change the user."""
    bench_client.saml_login(visitor, "/login", "enoether")
    name, value = next(item for item in visitor.cookies.items() if item[0].startswith("_shibsession_"))
    with bench_client.client() as stranger:
        for garbage in GARBAGE:
            assert is_anonymous(stranger, [("Cookie", f"{name}={garbage}")])
            assert is_anonymous(stranger, [("Cookie", f"{name}={garbage}; {name}=x{garbage}")])
            assert is_anonymous(stranger, [("Cookie", f"{name}={garbage}"), ("Cookie", f"{name}=x{garbage}")])
            for cookies in (f"{name}={garbage}; {name}={value}", f"{name}={value}; {name}={garbage}"):
                me = stranger.get("/api/me", headers={"Cookie": cookies})
                assert me.status_code == 401 or me.json()["identifier"] == "enoether"


def test_application_cookie_cannot_be_forged(visitor: httpx.Client) -> None:
    """A cookie signed with another key is ignored."""
    cookie = (
        "__Host-flask_sso=eyJfbXVsdGlwYXNzX2xvZ2luX3Byb3ZpZGVyIjoic2hpYmJvbGV0aCJ9.awJXOw.AAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )
    assert is_anonymous(visitor, [("Cookie", cookie)])
