# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules are applied before the application, by attributes and by the authentication context."""

import bench_client
import httpx
import lxml.html
from testinfra.host import Host

MFA = "https://refeds.org/profile/mfa"


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
