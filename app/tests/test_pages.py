# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages, redirects after login and logout, and headers."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import pytest
from conftest import GRACE, SITE, Browser
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.exceptions import Forbidden

from flask_sso_app import create_app
from flask_sso_app.login import is_local_path


def test_start_page_links_to_login_and_logout(browser):
    assert 'href="/login"' in browser.get("/").text
    assert 'href="/logout"' in browser.get("/", environ=GRACE).text


def test_profile_needs_a_login(browser):
    answer = browser.get("/profile?tab=1")
    assert (answer.status_code, answer.location) == (302, "/login?next=/profile?tab%3D1")
    back = browser.get(answer.location, environ=GRACE)
    assert (back.status_code, back.location) == (302, "/profile?tab=1")


def test_api_without_login_returns_json(browser):
    answer = browser.get("/api/me")
    assert (answer.status_code, answer.json) == (401, {"error": "Not logged in."})


def test_health(browser):
    answer = browser.get("/healthz")
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "ok", "text/plain")


def test_login_cookie_is_small_and_has_security_flags(browser):
    (cookie,) = browser.get("/login", environ=GRACE).headers.getlist("Set-Cookie")
    assert len(cookie) < 300
    assert cookie.startswith("__Host-flask_sso=")
    assert set(cookie.split("; ")[1:]) == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}


@pytest.mark.parametrize("environ", [GRACE, {}])
def test_logout_ends_both_sessions(browser, environ):
    browser.get("/login", environ=GRACE)
    answer = browser.get("/logout", environ=environ)
    assert answer.location == "/Shibboleth.sso/Logout?return=https%3A//flask.example.org/"
    assert browser.get_cookie("__Host-flask_sso", domain="flask.example.org") is None


@pytest.mark.parametrize(
    ("site", "location"),
    [
        ("cross-site", "/"),
        ("same-origin", "/Shibboleth.sso/"),
        ("same-site", "/Shibboleth.sso/"),
        ("none", "/Shibboleth"),
    ],
)
def test_cross_site_link_does_not_log_out(browser, site, location):
    """It redirects to the start page, which has the button."""
    browser.get("/login", environ=GRACE)
    answer = browser.get("/logout", environ=GRACE, headers={"Sec-Fetch-Site": site})
    assert answer.location.startswith(location)
    kept = browser.get_cookie("__Host-flask_sso", domain="flask.example.org") is not None
    assert (kept, answer.location == "/") == ((site == "cross-site"),) * 2


OTHER_SITES = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "https://evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    " //evil.example",
    "profile",
    "",
]


@pytest.mark.parametrize("target", OTHER_SITES)
def test_login_does_not_redirect_to_another_site(browser, target):
    assert browser.get("/login", query_string={"next": target}, environ=GRACE).location == "/"


@given(st.text(alphabet="/\\:@?#. \t\r\n\0abé\u2028") | st.text() | st.text().map("/".__add__))
@example("/./\\evil.example")
def test_local_path_stays_on_this_site_in_browsers(url):
    if is_local_path(url):
        read = re.sub(r"[\t\r\n]", "", url.strip()).replace("\\", "/")
        assert urlsplit(urljoin(f"{SITE}/login", read))[:2] == ("https", "flask.example.org")


@given(st.from_regex(r"/([a-zé][a-z0-9é/._~-]{0,20})?(\?[a-z=&é]{0,20})?", fullmatch=True))
def test_ordinary_paths_are_local(url):
    assert is_local_path(url)


@pytest.mark.parametrize("environ", [GRACE, {}])
@pytest.mark.parametrize("path", ["/", "/login", "/profile", "/logout", "/api/me", "/nowhere"])
def test_pages_have_security_headers_and_are_not_cached(browser, path, environ):
    headers = browser.get(path, environ=environ).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert headers["Cache-Control"] == "no-store"
    assert "Cookie" in headers["Vary"]


@pytest.mark.parametrize("name", ["style.css", "groups.js", "icon.svg"])
def test_assets(browser, name):
    with browser.get(f"/static/{name}") as answer:
        assert answer.status_code == 200
        assert "no-store" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/", "/login", "/profile", "/nowhere"])
def test_pages_have_no_inline_code_and_no_external_resources(browser, path):
    for environ in (GRACE, {}):
        text = browser.get(path, environ=environ).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)|(src|href)=\"(https?:)?//", text)


def test_error_pages(browser):
    answer = browser.get("/nowhere")
    assert (answer.status_code, "Page not found" in answer.text) == (404, True)
    answer = browser.post("/")
    assert (answer.status_code, "GET" in answer.headers["Allow"]) == (405, True)


@pytest.mark.parametrize(
    ("fault", "code", "heading"),
    [(Forbidden, 403, "Access denied"), (ValueError, 500, "Internal error")],
)
def test_exception_is_a_page_without_details(fault, code, heading):
    app = create_app({"SECRET_KEY": "tests"})
    app.test_client_class = Browser

    @app.get("/fault")
    def view():
        raise fault("inner detail")

    answer = app.test_client().get("/fault")
    assert answer.status_code == code
    assert heading in answer.text
    assert "inner detail" not in answer.text


def test_untrusted_host_is_rejected():
    app = create_app({"SECRET_KEY": "tests", "TRUSTED_HOSTS": ["flask.example.org"]})
    app.test_client_class = Browser
    assert app.test_client().get("/").status_code == 200
    assert app.test_client().get("/logout", headers={"Host": "evil.example"}).status_code == 400
