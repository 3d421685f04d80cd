# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logout ends the session in the database, from the application or by a signed message of the identity provider."""

from __future__ import annotations

import base64
import re
import zlib
from urllib.parse import quote_plus

import pytest
import xmlsec
from conftest import SITE, Browser
from lxml import etree
from saml_client import log_in, logged_in_user, open_browser
from saml_idp import NAMESPACES, RSA_SHA1, RSA_SHA256, Message, random_id

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"


@pytest.fixture
def browser(saml) -> Browser:
    return open_browser(saml)


def slo(browser, query: str):
    return browser.get(f"/saml/logout?{query}")


def test_logout_from_the_application(browser, idp, sp_keys):
    log_in(browser, idp)
    request = Message(browser.get("/logout").location)
    assert logged_in_user(browser) is None
    request.verify(sp_keys)
    assert request.url == "https://idp.example.org/slo"
    assert request.find("saml:NameID")[0].text == "ghopper-opaque"
    assert request.find("samlp:SessionIndex")[0].text == "session-1"
    query = idp.redirect("SAMLResponse", idp.logout_response(request.id), request.relay_state)
    reply = slo(browser, query)
    assert (reply.status_code, reply.location) == (302, "/")


def test_failed_logout_at_the_identity_provider_is_logged(browser, idp, caplog):
    log_in(browser, idp)
    request = Message(browser.get("/logout").location)
    text = idp.logout_response(request.id, status="Responder")
    assert slo(browser, idp.redirect("SAMLResponse", text, request.relay_state)).location == "/"
    assert "Logout at the identity provider failed: 'urn:oasis:names:tc:SAML:2.0:status:Responder'" in caplog.text


def test_session_index_is_escaped(browser, idp):
    log_in(browser, idp, session_index="a&amp;b&lt;/x&gt;")
    assert Message(browser.get("/logout").location).find("samlp:SessionIndex")[0].text == "a&b</x>"


def test_logout_without_a_session(browser):
    assert browser.get("/logout").location == "/"


def test_logout_without_name_id_or_single_logout_service(saml, idp, tmp_path):
    (tmp_path / "idp.xml").write_text(re.sub("<md:SingleLogoutService.*?/>", "", idp.metadata()))
    browser = open_browser(saml)
    log_in(browser, idp)
    assert browser.get("/logout").location == "/"
    assert logged_in_user(browser) is None
    (tmp_path / "idp.xml").write_text(idp.metadata())
    browser = open_browser(saml)
    assert log_in(browser, idp, name_id_element="").status_code == 303
    assert browser.get("/logout").location == "/"
    assert logged_in_user(browser) is None


@pytest.mark.parametrize("indexes", [[], ["session-1"], ["session-0", "session-1"]])
def test_logout_from_the_identity_provider_without_a_cookie(browser, idp, sp_keys, indexes):
    log_in(browser, idp)
    text = idp.logout_request(indexes=indexes)
    reply = browser.application.test_client().get(f"/saml/logout?{idp.redirect('SAMLRequest', text, 'their state')}")
    answer = Message(reply.location)
    answer.verify(sp_keys)
    assert (answer.url, answer.relay_state) == ("https://idp.example.org/slo", "their state")
    assert answer.document.get("InResponseTo") in text
    assert answer.find("//samlp:StatusCode")[0].get("Value") == SUCCESS
    assert logged_in_user(browser) is None


@pytest.mark.parametrize("changes", [{"name_id": "another"}, {"indexes": ["session-2"]}])
def test_logout_of_another_session(browser, idp, changes):
    log_in(browser, idp)
    assert slo(browser, idp.redirect("SAMLRequest", idp.logout_request(**changes))).status_code == 302
    assert logged_in_user(browser) == "ghopper"


def test_logout_of_all_sessions_of_a_user(browser, idp):
    browsers = [browser.application.test_client() for _ in range(3)]
    for number, one in enumerate(browsers):
        log_in(one, idp, session_index=f"session-{number}")
    slo(browser, idp.redirect("SAMLRequest", idp.logout_request()))
    assert [logged_in_user(one) for one in browsers] == [None] * 3


def test_query_with_the_percent_encoding_of_adfs(browser, idp):
    log_in(browser, idp)
    plain = idp.redirect("SAMLRequest", idp.logout_request())
    lower = re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), plain.rpartition("&Signature=")[0])
    assert slo(browser, f"{lower}&Signature={idp.keys.sign_text(lower)}").status_code == 302
    assert logged_in_user(browser) is None


def unsigned(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&SigAlg=")[0]


def without_signature(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&Signature=")[0]


def with_empty_signature(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&Signature=")[0] + "&Signature="


def signed_with_an_unknown_key(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), keys=other_keys)


def signed_with_sha1(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), algorithm=RSA_SHA1)


def with_another_relay_state(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), "a").replace("RelayState=a", "RelayState=b")


def two_messages(idp, other_keys):
    return unsigned(idp, other_keys) + "&" + idp.redirect("SAMLRequest", idp.logout_request(name_id="me"))


def two_messages_one_percent_encoded(idp, other_keys):
    return two_messages(idp, other_keys).replace("SAMLRequest", "SAML%52equest", 1)


def signature_of_another_message(idp, other_keys):
    return unsigned(idp, other_keys) + "&" + idp.redirect("SAMLResponse", idp.logout_response(random_id()))


def expired(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(age=3600))


def not_yet_valid(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(age=-3600))


def with_another_issuer(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(issuer="https://evil.example"))


def with_another_destination(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(destination="https://other.example.org/saml/logout"))


def without_name_id(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(name_id=""))


def with_a_document_type(idp, other_keys):
    return idp.redirect("SAMLRequest", '<!DOCTYPE r [<!ENTITY a "b">]>' + idp.logout_request())


def malformed(idp, other_keys):
    return idp.redirect("SAMLRequest", "nonsense")


def empty_query(idp, other_keys):
    return ""


def response_signed_with_an_unknown_key(idp, other_keys):
    return idp.redirect("SAMLResponse", idp.logout_response(random_id()), "/", keys=other_keys)


def without_destination(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request().replace(f'Destination="{idp.slo}"', ""))


def with_an_unknown_algorithm(idp, other_keys):
    """python3-saml treats it as RSA with SHA-256."""
    query = without_signature(idp, other_keys).replace(quote_plus(RSA_SHA256), "x")
    return f"{query}&Signature={idp.keys.sign_text(query)}"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (unsigned, "the query is not signed"),
        (without_signature, "the query is not signed"),
        (with_empty_signature, "Signature validation failed"),
        (signed_with_an_unknown_key, "Signature validation failed"),
        (signed_with_sha1, "SigAlg is not allowed: .*rsa-sha1"),
        (with_an_unknown_algorithm, "SigAlg is not allowed: x"),
        (with_another_relay_state, "Signature validation failed"),
        (two_messages, "repeated or percent-encoded parameter name"),
        (two_messages_one_percent_encoded, "repeated or percent-encoded parameter name"),
        (signature_of_another_message, "Signature validation failed"),
        (expired, r"was issued 36\d\d seconds ago"),
        (not_yet_valid, r"was issued -3[56]\d\d seconds ago"),
        (with_another_issuer, "Invalid issuer"),
        (with_another_destination, "instead of https://other.example.org"),
        (without_name_id, "NameID is empty"),
        (with_a_document_type, "DTDForbidden"),
        (malformed, "XMLSyntaxError"),
        (empty_query, "the query is not signed"),
        (response_signed_with_an_unknown_key, "Signature validation failed"),
        (without_destination, "Destination is missing or is not this endpoint"),
    ],
)
def test_invalid_message_is_rejected(browser, idp, other_keys, caplog, query, reason):
    log_in(browser, idp)
    assert_rejected(browser, caplog, slo(browser, query(idp, other_keys)), reason)


def assert_rejected(browser, caplog, reply, reason):
    """Assert that the message is rejected, that the log says why, and that the user is still logged in."""
    assert (reply.status_code, "Login or logout failed" in reply.text) == (403, True)
    (record,) = caplog.records
    assert re.search(reason, record.message), record.message
    assert logged_in_user(browser) == "ghopper"


def test_unsolicited_response_does_not_log_out(browser, idp):
    log_in(browser, idp)
    query = idp.redirect("SAMLResponse", idp.logout_response(random_id()), "https://evil.example/")
    assert slo(browser, query).location == "/"
    assert logged_in_user(browser) == "ghopper"


def test_replayed_request_is_rejected(browser, idp, caplog):
    query = idp.redirect("SAMLRequest", idp.logout_request())
    assert slo(browser, query).location.startswith("https://idp.example.org/slo?")
    log_in(browser, idp)
    assert_rejected(browser, caplog, slo(browser, query), "already used")


def test_host_header_is_ignored(browser, idp):
    text = idp.logout_request(destination=f"{SITE}/saml/logout")
    query = idp.redirect("SAMLRequest", text)
    assert browser.get(f"/saml/logout?{query}", headers={"Host": "evil.example"}).status_code == 302


def test_encrypted_name_id(browser, idp, sp_keys):
    log_in(browser, idp)
    request = etree.fromstring(idp.logout_request())
    sp_keys.encrypt(request.find("saml:NameID", NAMESPACES), "EncryptedID")
    assert slo(browser, idp.redirect("SAMLRequest", etree.tostring(request).decode())).status_code == 302
    assert logged_in_user(browser) is None


# By HTTP-POST

POST = "/Shibboleth.sso/SLO/POST"


@pytest.fixture
def post_browser(saml) -> Browser:
    """Return a browser of an application with single logout by HTTP-POST."""
    return open_browser({**saml, "slo_post": POST})


def post_request(idp, **changes) -> str:
    return idp.logout_request(**{"destination": f"{SITE}{POST}", **changes})


def test_slo_post_is_in_the_metadata(post_browser, browser):
    role = etree.fromstring(post_browser.get("/saml/metadata").data).find("md:SPSSODescriptor", NAMESPACES)
    services = [(one.get("Binding")[37:], one.get("Location")) for one in role.iterfind("{*}SingleLogoutService")]
    assert services == [("HTTP-Redirect", f"{SITE}/saml/logout"), ("HTTP-POST", f"{SITE}{POST}")]
    assert "SLO/POST" not in browser.get("/saml/metadata").text
    assert browser.post(POST).status_code == 404
    assert post_browser.get(POST).status_code == 405


@pytest.mark.parametrize("indexes", [[], ["session-0", "session-1"]])
def test_posted_request_without_a_cookie(post_browser, idp, sp_keys, indexes):
    log_in(post_browser, idp)
    text = post_request(idp, indexes=indexes)
    reply = post_browser.application.test_client().post(POST, data=idp.posted("SAMLRequest", text, "their state"))
    assert reply.status_code == 303
    answer = Message(reply.location)
    answer.verify(sp_keys)
    assert (answer.url, answer.relay_state) == ("https://idp.example.org/slo", "their state")
    assert answer.document.get("InResponseTo") in text
    assert answer.find("//samlp:StatusCode")[0].get("Value") == SUCCESS
    assert logged_in_user(post_browser) is None


def test_posted_request_for_another_session(post_browser, idp):
    log_in(post_browser, idp)
    text = post_request(idp, indexes=["session-2"])
    assert post_browser.post(POST, data=idp.posted("SAMLRequest", text)).status_code == 303
    assert logged_in_user(post_browser) == "ghopper"


def test_posted_response(post_browser, idp, caplog):
    log_in(post_browser, idp)
    request = Message(post_browser.get("/logout").location)
    for status, warnings in (("Success", 0), ("Responder", 1)):
        text = idp.logout_response(request.id, status)
        reply = post_browser.post(POST, data=idp.posted("SAMLResponse", text, "https://evil.example/"))
        assert (reply.status_code, reply.location) == (303, "/")
        assert len(caplog.records) == warnings


def test_replayed_posted_request_is_rejected(post_browser, idp, caplog):
    data = idp.posted("SAMLRequest", post_request(idp))
    assert post_browser.post(POST, data=data).status_code == 303
    log_in(post_browser, idp)
    assert_rejected(post_browser, caplog, post_browser.post(POST, data=data), "already used")


def unsigned_xml(idp, other_keys, text):
    return base64.b64encode(text.encode())


def xml_signed_with_an_unknown_key(idp, other_keys, text):
    return idp.posted("SAMLRequest", text, keys=other_keys)["SAMLRequest"]


def xml_signed_with_sha1(idp, other_keys, text):
    return idp.posted("SAMLRequest", text, method=xmlsec.Transform.RSA_SHA1)["SAMLRequest"]


def changed_after_signing(idp, other_keys, text):
    signed = base64.b64decode(idp.posted("SAMLRequest", text.replace("ghopper", "x"))["SAMLRequest"])
    return base64.b64encode(signed.replace(b"x-opaque", b"ghopper-opaque"))


def wrapping_a_signed_message(idp, other_keys, text):
    """The signature is that of the inner message."""
    form = idp.posted("SAMLRequest", idp.logout_request("x", destination="x"))
    inner, outer = etree.fromstring(base64.b64decode(form["SAMLRequest"])), etree.fromstring(text)
    signature = inner.find("ds:Signature", NAMESPACES)
    outer.insert(1, signature)
    extensions = etree.Element(etree.QName(NAMESPACES["samlp"], "Extensions"))
    signature.addnext(extensions)
    extensions.append(inner)
    return base64.b64encode(etree.tostring(outer))


def wrapping_a_message_with_the_same_id(idp, other_keys, text):
    outer = etree.fromstring(base64.b64decode(wrapping_a_signed_message(idp, other_keys, text)))
    outer.set("ID", outer.find(".//ds:Reference", NAMESPACES).get("URI")[1:])
    return base64.b64encode(etree.tostring(outer))


def deflated(idp, other_keys, text):
    """A small message could inflate to fill the memory."""
    signed = base64.b64decode(idp.posted("SAMLRequest", text)["SAMLRequest"])
    return base64.b64encode(zlib.compress(signed)[2:-4])


def with_another_transform(idp, other_keys, text):
    signed = base64.b64decode(idp.posted("SAMLRequest", text)["SAMLRequest"])
    exclusive = b'Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"'
    assert exclusive in signed
    return base64.b64encode(signed.replace(exclusive, b'Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt"'))


def valid(idp, other_keys, text):
    return idp.posted("SAMLRequest", text)["SAMLRequest"]


@pytest.mark.parametrize(
    ("send", "changes", "reason"),
    [
        (unsigned_xml, {}, "the message is not signed"),
        (xml_signed_with_an_unknown_key, {}, "Signature validation failed"),
        (xml_signed_with_sha1, {}, "algorithm of SignatureMethod is not allowed"),
        (changed_after_signing, {}, "Signature validation failed"),
        (wrapping_a_signed_message, {}, "the message is not signed"),
        (wrapping_a_message_with_the_same_id, {}, "an ID is not unique"),
        (deflated, {}, "XMLSyntaxError"),
        (with_another_transform, {}, "algorithm of Transform is not allowed"),
        (valid, {"age": 3600}, r"was issued 36\d\d seconds ago"),
        (valid, {"age": -3600}, r"was issued -3[56]\d\d seconds ago"),
        (valid, {"issuer": "https://evil.example"}, "Invalid issuer"),
        (valid, {"destination": f"{SITE}/saml/logout"}, "instead of https://flask.example.org/saml/logout"),
        (valid, {"destination": f"{SITE}{POST}/more"}, "Destination is missing or is not this endpoint"),
        (valid, {"name_id": ""}, "NameID is empty"),
    ],
)
def test_invalid_post_is_rejected(post_browser, idp, other_keys, caplog, send, changes, reason):
    log_in(post_browser, idp)
    message = send(idp, other_keys, post_request(idp, **changes))
    assert_rejected(post_browser, caplog, post_browser.post(POST, data={"SAMLRequest": message}), reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [({}, "XMLSyntaxError"), ({"SAMLRequest": "x"}, "Invalid base64"), ({"SAMLResponse": "AAAA"}, "XMLSyntaxError")],
)
def test_malformed_post(post_browser, idp, caplog, data, reason):
    log_in(post_browser, idp)
    assert_rejected(post_browser, caplog, post_browser.post(POST, data=data), reason)


def test_posted_request_that_is_too_large(post_browser):
    assert post_browser.post(POST, data={"SAMLRequest": "A" * (1 << 20)}).status_code == 413
