# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules are applied before the application, by attributes and by the authentication context."""

import bench_client
import httpx
import lxml.html
import pytest
from testinfra.host import Host

MFA = "https://refeds.org/profile/mfa"


@pytest.mark.parametrize("path", ["/for-admins", "/for-two-roles", "/for-second-factors"])
@pytest.mark.parametrize(("user", "status"), [("ghopper", 404), ("cpayne", 403)])
def test_rule_lets_through_whom_it_names(visitor: httpx.Client, path: str, user: str, status: int) -> None:
    """The application has no such pages: a 404 means that the request reached it, a 403 that it did not."""
    page, _ = bench_client.saml_login(visitor, path, user)
    assert (page.url.path, page.status_code) == (path, status)
    assert ("lacks a role, a group or a second factor" in page.text) is (status == 403)
    assert visitor.get("/api/me").json()["identifier"] == user


def test_second_factor_is_asked_for(visitor: httpx.Client) -> None:
    """The request to the identity provider has the authentication context of the path, and of no other path."""
    for path, asked in (("/for-second-factors", True), ("/login", False)):
        request = visitor.get(path, follow_redirects=False).next_request
        assert (MFA.encode() in bench_client.saml_request(request)) is asked


def test_user_without_a_required_attribute_sees_which_one(visitor: httpx.Client, web: Host) -> None:
    """A readable page names the attribute, the user and the contact; no session stays."""
    page, _ = bench_client.saml_login(visitor, "/login", "hleavitt")
    assert page.url.path == "/Shibboleth.sso/AttributeChecker"
    document = lxml.html.fromstring(page.content)
    assert document.xpath("//li//text()") == ["upn"]
    said = " ".join(document.text_content().split())
    assert "https://auth.cern.ch/auth/realms/cern" in said
    assert "root@localhost" in said
    assert visitor.get("/api/me").status_code == 401
    assert "hleavitt" not in page.text


def test_user_without_an_optional_attribute_is_let_in(visitor: httpx.Client) -> None:
    """Only required attributes are checked."""
    bench_client.saml_login(visitor, "/login", "enoether")
    assert visitor.get("/api/me").json()["identifier"] == "enoether"
