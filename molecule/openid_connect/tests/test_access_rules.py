# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules are applied before the application, by attributes and by the authentication context."""

import bench_client
import httpx

MFA = "https://refeds.org/profile/mfa"


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


def test_internal_request_has_the_method_of_the_visitor(visitor: httpx.Client) -> None:
    """The index of a directory is looked up with GET, and gets the POST."""
    bench_client.saml_login(visitor, "/login", "cpayne")
    assert visitor.get("/open/writers/").status_code == 404
    assert visitor.post("/open/writers/").status_code == 403
