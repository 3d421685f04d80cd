# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user logs in at the identity provider, comes back with all attributes, and logs out everywhere."""

import bench_client
import httpx
import lxml.etree
import lxml.html
from login_tests import *  # noqa: F403 (tests that pytest finds here, too)
from login_tests import asks_for_password

ENTITY_ID = f"{bench_client.SITE}/Shibboleth.sso"
CONSUMER = f"{ENTITY_ID}/SAML2/POST"
NAMESPACES = {
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
}


def test_request_to_the_identity_provider_is_ours_and_signed(visitor: httpx.Client) -> None:
    """The AuthnRequest names the site, and the key in the site's metadata signed it."""
    sent = visitor.get("/login", follow_redirects=False).next_request
    assert sent.url.host == bench_client.IDP_HOST
    request = lxml.etree.fromstring(bench_client.saml_request(sent))
    assert request.findtext("saml:Issuer", namespaces=NAMESPACES) == ENTITY_ID
    assert request.get("AssertionConsumerServiceURL") == CONSUMER
    assert request.get("Destination") == str(sent.url.copy_with(query=None))
    assert bench_client.signed_with(sent, *bench_client.sp_certificates(visitor, "signing"))


def test_user_comes_back_to_the_page_first_asked_for(visitor: httpx.Client) -> None:
    """The answer arrives by POST, and then the page that needed a login is there."""
    page, journey = bench_client.saml_login(visitor, "/profile?from=bookmark", "ghopper")
    assert [str(step.url) for step in journey if step.request.method == "POST"][-1] == CONSUMER
    assert (page.status_code, str(page.url)) == (200, f"{bench_client.SITE}/profile?from=bookmark")
    assert "Grace Hopper" in page.text


def test_session_cookies_are_for_this_site_over_tls_only(visitor: httpx.Client) -> None:
    """No script reads them, no plain connection carries them, no form of another site sends the application's."""
    _, journey = bench_client.saml_login(visitor, "/login", "ghopper")
    cookies = [
        cookie.lower()
        for step in journey
        if step.url.host == bench_client.HOST
        for cookie in step.headers.get_list("Set-Cookie")
    ]
    assert all("; secure" in cookie and "; httponly" in cookie and "domain=" not in cookie for cookie in cookies)
    application = [cookie for cookie in cookies if cookie.startswith("__host-")]
    assert application
    assert all("; samesite=lax" in cookie for cookie in application)


def test_log_out_ends_the_session_everywhere(visitor: httpx.Client) -> None:
    """A stolen cookie is worth nothing at the site afterwards, and the next login asks for the password."""
    bench_client.saml_login(visitor, "/login", "ghopper")
    with bench_client.client(cookies=visitor.cookies) as thief:
        assert thief.get("/api/me").status_code == 200
        assert str(visitor.get("/logout").url) == f"{bench_client.SITE}/"
        for session in [visitor, *[thief] * 20]:
            assert session.get("/api/me").status_code == 401
        assert "valid session was not found" in thief.get("/Shibboleth.sso/Session").text
        assert asks_for_password(visitor.get("/login"))
        assert asks_for_password(thief.get("/login"))


def test_log_out_at_the_identity_provider_ends_the_session_here(visitor: httpx.Client) -> None:
    """The site accepts a logout request of the identity provider."""
    bench_client.saml_login(visitor, "/login", "ghopper")
    assert visitor.get("/api/me").status_code == 200
    home = f"https://{bench_client.IDP_HOST}"
    visitor.get(f"{home}/simplesamlphp/saml2/idp/SingleLogoutService.php", params={"ReturnTo": f"{home}/"})
    assert visitor.get("/api/me").status_code == 401
