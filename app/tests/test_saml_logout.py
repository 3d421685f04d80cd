# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A logout ends the session in the store, whoever begins it, and only on the identity provider's signed word."""

from __future__ import annotations

import base64
import re
import zlib
from urllib.parse import quote_plus

import pytest
import xmlsec
from conftest import SITE, Browser
from lxml import etree
from saml_client import log_in, open_browser, user_of
from saml_idp import NAMESPACES, RSA_SHA1, RSA_SHA256, Message, random_id

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"


@pytest.fixture
def browser(saml) -> Browser:
    return open_browser(saml)


def leave(browser, query: str):
    return browser.get(f"/saml/logout?{query}")


def test_from_here(browser, idp, sp_keys):
    log_in(browser, idp)
    request = Message(browser.get("/logout").location)
    assert user_of(browser) is None
    request.verify(sp_keys)
    assert request.url == "https://idp.example.org/slo"
    assert request.find("saml:NameID")[0].text == "ghopper-opaque"
    assert request.find("samlp:SessionIndex")[0].text == "session-1"
    query = idp.redirect("SAMLResponse", idp.logout_response(request.id), request.relay_state)
    reply = leave(browser, query)
    assert (reply.status_code, reply.location) == (302, "/")


def test_from_here_when_the_identity_provider_keeps_its_session(browser, idp, caplog):
    log_in(browser, idp)
    request = Message(browser.get("/logout").location)
    text = idp.logout_response(request.id, status="Responder")
    assert leave(browser, idp.redirect("SAMLResponse", text, request.relay_state)).location == "/"
    assert "Logout at the identity provider failed: 'urn:oasis:names:tc:SAML:2.0:status:Responder'" in caplog.text


def test_index_with_markup_in_it(browser, idp):
    log_in(browser, idp, session_index="a&amp;b&lt;/x&gt;")
    assert Message(browser.get("/logout").location).find("samlp:SessionIndex")[0].text == "a&b</x>"


def test_of_nobody(browser):
    assert browser.get("/logout").location == "/"


def test_without_a_name_id_or_a_single_log_out_endpoint(saml, idp, tmp_path):
    (tmp_path / "idp.xml").write_text(re.sub("<md:SingleLogoutService.*?/>", "", idp.metadata()))
    browser = open_browser(saml)
    log_in(browser, idp)
    assert browser.get("/logout").location == "/"
    assert user_of(browser) is None
    (tmp_path / "idp.xml").write_text(idp.metadata())
    browser = open_browser(saml)
    assert log_in(browser, idp, name_id_element="").status_code == 303
    assert browser.get("/logout").location == "/"
    assert user_of(browser) is None


@pytest.mark.parametrize("indexes", [[], ["session-1"], ["session-0", "session-1"]])
def test_from_there_without_a_cookie(browser, idp, sp_keys, indexes):
    log_in(browser, idp)
    text = idp.logout_request(indexes=indexes)
    reply = browser.application.test_client().get(
        f"/saml/logout?{idp.redirect('SAMLRequest', text, 'state of theirs')}"
    )
    answer = Message(reply.location)
    answer.verify(sp_keys)
    assert (answer.url, answer.relay_state) == ("https://idp.example.org/slo", "state of theirs")
    assert answer.document.get("InResponseTo") in text
    assert answer.find("//samlp:StatusCode")[0].get("Value") == SUCCESS
    assert user_of(browser) is None


@pytest.mark.parametrize("changes", [{"name_id": "another"}, {"indexes": ["session-2"]}])
def test_of_another_session(browser, idp, changes):
    log_in(browser, idp)
    assert leave(browser, idp.redirect("SAMLRequest", idp.logout_request(**changes))).status_code == 302
    assert user_of(browser) == "ghopper"


def test_every_session_of_a_user(browser, idp):
    browsers = [browser.application.test_client() for _ in range(3)]
    for number, one in enumerate(browsers):
        log_in(one, idp, session_index=f"session-{number}")
    leave(browser, idp.redirect("SAMLRequest", idp.logout_request()))
    assert [user_of(one) for one in browsers] == [None] * 3


def test_query_as_adfs_escapes_it(browser, idp):
    log_in(browser, idp)
    plain = idp.redirect("SAMLRequest", idp.logout_request())
    lower = re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), plain.rpartition("&Signature=")[0])
    assert leave(browser, f"{lower}&Signature={idp.keys.sign_text(lower)}").status_code == 302
    assert user_of(browser) is None


def unsigned(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&SigAlg=")[0]


def without_its_signature(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&Signature=")[0]


def with_an_empty_signature(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&Signature=")[0] + "&Signature="


def by_a_foreign_key(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), keys=other_keys)


def by_sha1(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), algorithm=RSA_SHA1)


def with_another_relay_state(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), "a").replace("RelayState=a", "RelayState=b")


def two_messages(idp, other_keys):
    return unsigned(idp, other_keys) + "&" + idp.redirect("SAMLRequest", idp.logout_request(name_id="me"))


def two_messages_of_which_one_is_escaped(idp, other_keys):
    return two_messages(idp, other_keys).replace("SAMLRequest", "SAML%52equest", 1)


def signed_for_the_other_kind(idp, other_keys):
    return unsigned(idp, other_keys) + "&" + idp.redirect("SAMLResponse", idp.logout_response(random_id()))


def stale(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(age=3600))


def from_the_future(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(age=-3600))


def of_another_issuer(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(issuer="https://evil.example"))


def to_another_site(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(destination="https://other.example.org/saml/logout"))


def of_nobody(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(name_id=""))


def with_a_document_type(idp, other_keys):
    return idp.redirect("SAMLRequest", '<!DOCTYPE r [<!ENTITY a "b">]>' + idp.logout_request())


def nonsense(idp, other_keys):
    return idp.redirect("SAMLRequest", "nonsense")


def nothing(idp, other_keys):
    return ""


def an_answer_by_a_foreign_key(idp, other_keys):
    return idp.redirect("SAMLResponse", idp.logout_response(random_id()), "/", keys=other_keys)


def to_no_site(idp, other_keys):
    return idp.redirect("SAMLRequest", idp.logout_request().replace(f'Destination="{idp.slo}"', ""))


def by_an_unknown_algorithm(idp, other_keys):
    """python3-saml would take it for RSA with SHA-256."""
    query = without_its_signature(idp, other_keys).replace(quote_plus(RSA_SHA256), "x")
    return f"{query}&Signature={idp.keys.sign_text(query)}"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (unsigned, "the query is not signed"),
        (without_its_signature, "the query is not signed"),
        (with_an_empty_signature, "Signature validation failed"),
        (by_a_foreign_key, "Signature validation failed"),
        (by_sha1, "SigAlg is not allowed: .*rsa-sha1"),
        (by_an_unknown_algorithm, "SigAlg is not allowed: x"),
        (with_another_relay_state, "Signature validation failed"),
        (two_messages, "repeated or percent-encoded parameter name"),
        (two_messages_of_which_one_is_escaped, "repeated or percent-encoded parameter name"),
        (signed_for_the_other_kind, "Signature validation failed"),
        (stale, "was issued 3600 seconds ago"),
        (from_the_future, "was issued -3600 seconds ago"),
        (of_another_issuer, "Invalid issuer"),
        (to_another_site, "instead of https://other.example.org"),
        (of_nobody, "NameID is empty"),
        (with_a_document_type, "DTDForbidden"),
        (nonsense, "XMLSyntaxError"),
        (nothing, "the query is not signed"),
        (an_answer_by_a_foreign_key, "Signature validation failed"),
        (to_no_site, "Destination is missing or is not this endpoint"),
    ],
)
def test_message_that_is_refused(browser, idp, other_keys, caplog, query, reason):
    log_in(browser, idp)
    assert_rejected(browser, caplog, leave(browser, query(idp, other_keys)), reason)


def assert_rejected(browser, caplog, reply, reason):
    """Assert that nobody is logged out, and that the log says why."""
    assert (reply.status_code, "Login or logout failed" in reply.text) == (403, True)
    (record,) = caplog.records
    assert re.search(reason, record.message), record.message
    assert user_of(browser) == "ghopper"


def test_answer_nobody_waits_for_ends_nothing(browser, idp):
    log_in(browser, idp)
    query = idp.redirect("SAMLResponse", idp.logout_response(random_id()), "https://evil.example/")
    assert leave(browser, query).location == "/"
    assert user_of(browser) == "ghopper"


def test_replayed_request(browser, idp, caplog):
    query = idp.redirect("SAMLRequest", idp.logout_request())
    assert leave(browser, query).location.startswith("https://idp.example.org/slo?")
    log_in(browser, idp)
    assert_rejected(browser, caplog, leave(browser, query), "already used")


def test_host_header_changes_nothing(browser, idp):
    text = idp.logout_request(destination=f"{SITE}/saml/logout")
    query = idp.redirect("SAMLRequest", text)
    assert browser.get(f"/saml/logout?{query}", headers={"Host": "evil.example"}).status_code == 302


def test_name_that_is_encrypted(browser, idp, sp_keys):
    log_in(browser, idp)
    request = etree.fromstring(idp.logout_request())
    sp_keys.encrypt(request.find("saml:NameID", NAMESPACES), "EncryptedID")
    assert leave(browser, idp.redirect("SAMLRequest", etree.tostring(request).decode())).status_code == 302
    assert user_of(browser) is None


# By HTTP-POST

POST = "/Shibboleth.sso/SLO/POST"


@pytest.fixture
def poster(saml) -> Browser:
    """Return a browser of a site with that address."""
    return open_browser({**saml, "slo_post": POST})


def request_to_post(idp, **changes) -> str:
    return idp.logout_request(**{"destination": f"{SITE}{POST}", **changes})


def test_address_for_posts_is_in_the_metadata(poster, browser):
    role = etree.fromstring(poster.get("/saml/metadata").data).find("md:SPSSODescriptor", NAMESPACES)
    services = [(one.get("Binding")[37:], one.get("Location")) for one in role.iterfind("{*}SingleLogoutService")]
    assert services == [("HTTP-Redirect", f"{SITE}/saml/logout"), ("HTTP-POST", f"{SITE}{POST}")]
    assert "SLO/POST" not in browser.get("/saml/metadata").text
    assert browser.post(POST).status_code == 404
    assert poster.get(POST).status_code == 405


@pytest.mark.parametrize("indexes", [[], ["session-0", "session-1"]])
def test_posted_request_without_a_cookie(poster, idp, sp_keys, indexes):
    log_in(poster, idp)
    text = request_to_post(idp, indexes=indexes)
    reply = poster.application.test_client().post(POST, data=idp.posted("SAMLRequest", text, "state of theirs"))
    assert reply.status_code == 303
    answer = Message(reply.location)
    answer.verify(sp_keys)
    assert (answer.url, answer.relay_state) == ("https://idp.example.org/slo", "state of theirs")
    assert answer.document.get("InResponseTo") in text
    assert answer.find("//samlp:StatusCode")[0].get("Value") == SUCCESS
    assert user_of(poster) is None


def test_posted_request_for_another_session(poster, idp):
    log_in(poster, idp)
    text = request_to_post(idp, indexes=["session-2"])
    assert poster.post(POST, data=idp.posted("SAMLRequest", text)).status_code == 303
    assert user_of(poster) == "ghopper"


def test_posted_answer(poster, idp, caplog):
    log_in(poster, idp)
    request = Message(poster.get("/logout").location)
    for status, warnings in (("Success", 0), ("Responder", 1)):
        text = idp.logout_response(request.id, status)
        reply = poster.post(POST, data=idp.posted("SAMLResponse", text, "https://evil.example/"))
        assert (reply.status_code, reply.location) == (303, "/")
        assert len(caplog.records) == warnings


def test_posted_request_counts_once(poster, idp, caplog):
    data = idp.posted("SAMLRequest", request_to_post(idp))
    assert poster.post(POST, data=data).status_code == 303
    log_in(poster, idp)
    assert_rejected(poster, caplog, poster.post(POST, data=data), "already used")


def plain(idp, other_keys, text):
    return base64.b64encode(text.encode())


def with_a_foreign_key(idp, other_keys, text):
    return idp.posted("SAMLRequest", text, keys=other_keys)["SAMLRequest"]


def with_sha1(idp, other_keys, text):
    return idp.posted("SAMLRequest", text, method=xmlsec.Transform.RSA_SHA1)["SAMLRequest"]


def changed(idp, other_keys, text):
    signed = base64.b64decode(idp.posted("SAMLRequest", text.replace("ghopper", "x"))["SAMLRequest"])
    return base64.b64encode(signed.replace(b"x-opaque", b"ghopper-opaque"))


def around_a_signed_one(idp, other_keys, text):
    """The signature holds for another element."""
    form = idp.posted("SAMLRequest", idp.logout_request("x", destination="x"))
    inner, outer = etree.fromstring(base64.b64decode(form["SAMLRequest"])), etree.fromstring(text)
    signature = inner.find("ds:Signature", NAMESPACES)
    outer.insert(1, signature)
    extensions = etree.Element(etree.QName(NAMESPACES["samlp"], "Extensions"))
    signature.addnext(extensions)
    extensions.append(inner)
    return base64.b64encode(etree.tostring(outer))


def around_one_with_the_same_id(idp, other_keys, text):
    outer = etree.fromstring(base64.b64decode(around_a_signed_one(idp, other_keys, text)))
    outer.set("ID", outer.find(".//ds:Reference", NAMESPACES).get("URI")[1:])
    return base64.b64encode(etree.tostring(outer))


def deflated(idp, other_keys, text):
    """What a few bytes become could fill the memory."""
    signed = base64.b64decode(idp.posted("SAMLRequest", text)["SAMLRequest"])
    return base64.b64encode(zlib.compress(signed)[2:-4])


def transformed(idp, other_keys, text):
    signed = base64.b64decode(idp.posted("SAMLRequest", text)["SAMLRequest"])
    exclusive = b'Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"'
    assert exclusive in signed
    return base64.b64encode(signed.replace(exclusive, b'Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt"'))


def as_it_is(idp, other_keys, text):
    return idp.posted("SAMLRequest", text)["SAMLRequest"]


@pytest.mark.parametrize(
    ("send", "changes", "reason"),
    [
        (plain, {}, "the message is not signed"),
        (with_a_foreign_key, {}, "Signature validation failed"),
        (with_sha1, {}, "algorithm of SignatureMethod is not allowed"),
        (changed, {}, "Signature validation failed"),
        (around_a_signed_one, {}, "the message is not signed"),
        (around_one_with_the_same_id, {}, "an ID is not unique"),
        (deflated, {}, "XMLSyntaxError"),
        (transformed, {}, "algorithm of Transform is not allowed"),
        (as_it_is, {"age": 3600}, "was issued 3600 seconds ago"),
        (as_it_is, {"age": -3600}, "was issued -3600 seconds ago"),
        (as_it_is, {"issuer": "https://evil.example"}, "Invalid issuer"),
        (as_it_is, {"destination": f"{SITE}/saml/logout"}, "instead of https://flask.example.org/saml/logout"),
        (as_it_is, {"destination": f"{SITE}{POST}/more"}, "Destination is missing or is not this endpoint"),
        (as_it_is, {"name_id": ""}, "NameID is empty"),
    ],
)
def test_post_that_is_refused(poster, idp, other_keys, caplog, send, changes, reason):
    log_in(poster, idp)
    message = send(idp, other_keys, request_to_post(idp, **changes))
    assert_rejected(poster, caplog, poster.post(POST, data={"SAMLRequest": message}), reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [({}, "XMLSyntaxError"), ({"SAMLRequest": "x"}, "Invalid base64"), ({"SAMLResponse": "AAAA"}, "XMLSyntaxError")],
)
def test_post_of_nonsense(poster, idp, caplog, data, reason):
    log_in(poster, idp)
    assert_rejected(poster, caplog, poster.post(POST, data=data), reason)


def test_posted_request_that_is_too_long(poster):
    assert poster.post(POST, data={"SAMLRequest": "A" * (1 << 20)}).status_code == 413
