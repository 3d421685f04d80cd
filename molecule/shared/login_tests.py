# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests for every site whose users have accounts at an identity provider; the tests of a scenario import them."""

import bench_client
import httpx
import lxml.html
import pytest

RADIO_TELESCOPES = [f"radio-telescope-{number}" for number in range(1, 601)]


def asks_for_password(page: httpx.Response) -> bool:
    """Return whether a page is the identity provider's login page."""
    at_provider = page.url.host == bench_client.IDP_HOST
    return at_provider and bool(lxml.html.fromstring(page.content).xpath("//input[@type='password']"))


@pytest.mark.parametrize(
    ("user", "name", "email", "groups"),
    [
        ("ghopper", "Grace Hopper", "grace.hopper@example.org", ["flask-sso-admins", "compiler-builders", "fleet"]),
        ("enoether", "Emmy Noether", "", []),
        ("mcurie", "Maria Skłodowska-Curie", "maria.sklodowska-curie@example.org", ["institut-du-radium"]),
        ("jbell", "Jocelyn Bell Burnell", "jocelyn.bell@example.org", RADIO_TELESCOPES),
    ],
    ids=["everything", "missing-attributes", "accented-name", "600-groups"],
)
def test_application_shows_the_attributes_of_the_identity_provider(
    visitor: httpx.Client, user: str, name: str, email: str, groups: list[str]
) -> None:
    """Every value arrives unchanged, under the same names, and a missing one is no error."""
    page, _ = bench_client.saml_login(visitor, "/login", user)
    text = lxml.html.fromstring(page.content).text_content()
    assert (page.status_code, str(page.url)) == (200, f"{bench_client.SITE}/")
    assert all(value in text for value in (name, email, *groups))
    me = visitor.get("/api/me").json()
    assert (me["identifier"], me["name"], me["email"], me["groups"]) == (user, name, email, groups)
    assert me["session"]["identity_provider"] == "https://auth.cern.ch/auth/realms/cern"


def test_wrong_password_is_refused(visitor: httpx.Client) -> None:
    """Neither the identity provider nor the site starts a session."""
    with pytest.raises(bench_client.LoginError):
        bench_client.saml_login(visitor, "/login", "ghopper", "not the password")
    assert visitor.get("/api/me").status_code == 401


@pytest.mark.parametrize("path", ["/for-admins", "/for-two-roles", "/for-second-factors"])
@pytest.mark.parametrize(("user", "status"), [("ghopper", 404), ("cpayne", 403)])
def test_rule_lets_through_whom_it_names(visitor: httpx.Client, path: str, user: str, status: int) -> None:
    """The application has no such pages: a 404 means that the request reached it, a 403 that it did not."""
    page, _ = bench_client.saml_login(visitor, path, user)
    assert (page.url.path, page.status_code) == (path, status)
    assert ("lacks a role, a group or a second factor" in page.text) is (status == 403)
    assert visitor.get("/api/me").json()["identifier"] == user


@pytest.mark.parametrize(("user", "status"), [("ghopper", 404), ("cpayne", 403)])
def test_rule_for_a_method_leaves_the_others_to_every_user(visitor: httpx.Client, user: str, status: int) -> None:
    """Of those who are logged in. The application has no such page: a 404 means that the request reached it."""
    for method in ("GET", "POST", "DELETE"):
        assert visitor.request(method, "/for-writers", follow_redirects=False).status_code != 404
    page, _ = bench_client.saml_login(visitor, "/for-writers", user)
    assert (page.url.path, page.status_code) == ("/for-writers", 404)
    for method, expected in (("HEAD", 404), ("DELETE", 404), ("POST", status)):
        assert visitor.request(method, "/for-writers/1").status_code == expected


def test_user_logs_in_and_out_in_chromium() -> None:
    """From a page that needs a login to the password and back, out again, and the password is asked for once more.

    All of it without an error in the browser's console.
    """
    complaints = []
    with bench_client.browser() as page:
        page.on("console", lambda message: complaints.append((message.location["url"], message.text)))
        page.on("pageerror", lambda error: complaints.append((page.url, str(error))))
        bench_client.browser_login(page, f"{bench_client.SITE}/profile", "mcurie")
        assert page.url == f"{bench_client.SITE}/profile"
        assert "Maria Skłodowska-Curie" in page.locator("main").inner_text()

        page.get_by_role("link", name="Log out").click()
        confirmation, again = page.get_by_role("button", name="Log out"), page.get_by_role("link", name="Log in").first
        confirmation.or_(again).first.wait_for()
        if confirmation.is_visible():  # the provider asks
            confirmation.click()
        again.click()
        page.wait_for_url(lambda address: bench_client.IDP_HOST in address)
        assert page.locator("input[type=password]").is_visible()
    assert [complaint for complaint in complaints if complaint[0].startswith(bench_client.SITE)] == []
