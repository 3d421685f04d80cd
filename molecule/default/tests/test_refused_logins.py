# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login is accepted only if this browser began it, once, and if it arrives as the identity provider signed it."""

import base64
import re
from urllib.parse import quote

import bench_client
import httpx
import lxml.etree
import lxml.html
import pytest

CONSUMER = "/Shibboleth.sso/SAML2/POST"
ASSERTION = "{urn:oasis:names:tc:SAML:2.0:assertion}Assertion"
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
UNSOLICITED = f"https://{bench_client.IDP_HOST}/simplesamlphp/saml2/idp/SSOService.php?spentityid={bench_client.SITE}/Shibboleth.sso"


def log_in_at_identity_provider(session: httpx.Client, url: str = "/login") -> dict[str, str]:
    """Go from `url` through the identity provider, and return what the browser would now post to the site."""
    page = session.get(url)
    page = bench_client.submit_form(page=page, session=session, username="enoether", password=bench_client.password())
    return dict(lxml.html.fromstring(page.content).forms[0].form_values())


def altered(data: dict[str, str], change) -> dict[str, str]:
    """Return the posted data with `change` made to the XML of the response."""
    response = change(base64.b64decode(data["SAMLResponse"]))
    return data | {"SAMLResponse": base64.b64encode(response).decode()}


def without_signatures(response: bytes) -> bytes:
    """Strip every signature from a response."""
    tree = lxml.etree.fromstring(response)
    for signature in list(tree.iter(SIGNATURE)):
        signature.getparent().remove(signature)
    return lxml.etree.tostring(tree)


def with_second_assertion(response: bytes) -> bytes:
    """Put an unsigned assertion about another user in front of the signed one, whose signature stays valid."""
    tree = lxml.etree.fromstring(response)
    tree.remove(tree.find(SIGNATURE))
    signed = tree.find(ASSERTION)
    forged = lxml.etree.fromstring(without_signatures(lxml.etree.tostring(signed)).replace(b"enoether", b"ghopper"))
    forged.set("ID", "_forged")
    signed.addprevious(forged)
    return lxml.etree.tostring(tree)


def is_refused(session: httpx.Client, data: dict[str, str]) -> bool:
    """Return whether the service provider answers a post with an error, and the application sees no user."""
    answer = session.post(CONSUMER, data=data, follow_redirects=False)
    return answer.is_error and session.get("/api/me").status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda response: response.replace(b">enoether<", b">enoethes<", 1),
        lambda response: response.replace(b"Emmy", b"Emmz", 1),
        without_signatures,
    ],
    ids=["identifier", "name", "no-signature"],
)
def test_altered_answer_is_refused(visitor: httpx.Client, change) -> None:
    """One byte is enough."""
    data = log_in_at_identity_provider(visitor)
    forged = altered(data, change)
    assert forged != data
    assert is_refused(visitor, forged)


def test_unsigned_assertion_beside_the_signed_one_is_ignored(visitor: httpx.Client) -> None:
    """The login succeeds for the user who is in the signed assertion, with no value from the other."""
    data = log_in_at_identity_provider(visitor)
    visitor.post(CONSUMER, data=altered(data, with_second_assertion))
    assert visitor.get("/api/me").json()["attributes"]["upn"] == ["enoether"]


def test_answer_is_accepted_once(visitor: httpx.Client) -> None:
    """The same answer again gets in neither the same browser nor another."""
    data = log_in_at_identity_provider(visitor)
    with bench_client.client(cookies=visitor.cookies) as again, bench_client.client() as other:
        assert visitor.post(CONSUMER, data=data).status_code == 200
        assert visitor.get("/api/me").json()["identifier"] == "enoether"
        assert is_refused(again, data)
        assert is_refused(other, data)


def test_answer_to_another_browser_is_refused(visitor: httpx.Client) -> None:
    """A link or a form cannot log a user in as another one."""
    data = log_in_at_identity_provider(visitor)
    with bench_client.client() as other:
        assert is_refused(other, data)


def test_unsolicited_response_is_refused(visitor: httpx.Client) -> None:
    """A login has to begin at the site."""
    assert is_refused(visitor, log_in_at_identity_provider(visitor, UNSOLICITED))


@pytest.mark.parametrize(
    "target", ["https://other.example/", "//other.example/", "/\\other.example/", "javascript:alert()"]
)
@pytest.mark.parametrize("link", ["/login?next=", "/Shibboleth.sso/Login?target=", "/Shibboleth.sso/Logout?return="])
def test_no_link_leads_through_a_login_to_another_site(visitor: httpx.Client, link: str, target: str) -> None:
    """An address in a link leads the user no further than this site."""
    page, journey = bench_client.saml_login(visitor, link + quote(target, safe=""), "enoether")
    assert page.url.host == bench_client.HOST
    targets = [
        step.headers.get("Location", bench_client.SITE) for step in journey if step.url.host == bench_client.HOST
    ]
    assert all(re.match(r"https://(flask\.example\.org|auth\.cern\.ch)(/|$)|/(?![/\\])", target) for target in targets)
