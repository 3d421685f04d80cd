# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules are applied before the application, by attributes and by the authentication context."""

import bench_client
import httpx
import pytest

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
    """The request to the provider has the authentication context of the path, and of no other path."""
    for path, asked in (("/for-second-factors", MFA), ("/login", None)):
        request = visitor.get(path, follow_redirects=False).next_request
        assert request.url.params.get("acr_values") == asked


def test_internal_request_opens_no_protected_path(visitor: httpx.Client) -> None:
    """A directory whose index is a protected page shows it to users only; the application has no such page."""
    assert visitor.get("/open/").status_code == 401
    bench_client.saml_login(visitor, "/login", "cpayne")
    assert visitor.get("/open/").status_code == 404
