# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As a SAML service provider the application accepts only valid responses to its own requests, each of them once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import xmlsec
from conftest import SITE, Browser
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML
from saml_client import log_in, logged_in_user, open_browser, post_response, response_form, start_login
from saml_idp import (
    NAMESPACES,
    IdentityProvider,
    KeyPair,
    Message,
    assertion_of,
    instant,
    random_id,
    signature_of,
    wrap,
)
from sqlalchemy import Table, create_engine, func, select

from flask_sso_app.authentication import identify, saml_store

COOKIE = "__Host-flask_sso"
DS = f"{{{NAMESPACES['ds']}}}"
XENC = "http://www.w3.org/2001/04/xmlenc#"


@pytest.fixture
def browser(saml) -> Browser:
    return open_browser(saml)


def assert_rejected(browser: Browser, caplog, reply, reason: str) -> None:
    """Assert that the login failed, and that the log says why, but not the page."""
    assert reply.status_code == 403
    assert "Login or logout failed" in reply.text
    (record,) = caplog.records
    assert re.search(reason, record.message), record.message
    assert "ghopper" not in record.message
    assert logged_in_user(browser) is None


# Valid logins


def test_login(browser, idp):
    attributes = {
        "upn": ["ghopper"],
        "displayName": ["Grace Höpper"],
        "mail": ["grace@example.org"],
        "urn:oid:0.9.2342.19200300.100.1.3": ["grace@example.org"],
        "Group": ["navy", "a;b"],
        "shoeSize": ["38"],
    }
    reply = log_in(browser, idp, attributes=attributes, authenticated_at="2026-01-31T12:00:00Z")
    assert (reply.status_code, reply.location) == (303, "/profile")
    assert browser.get("/api/me").json == {
        "authentication": "saml",
        "identifier": "ghopper",
        "name": "Grace Höpper",
        "email": "grace@example.org",
        "groups": ["navy", "a;b"],
        "attributes": {
            "upn": ["ghopper"],
            "displayName": ["Grace Höpper"],
            "EmailAddress": ["grace@example.org"],
            "Group": ["navy", "a;b"],
        },
        "session": {
            "identity_provider": idp.entity_id,
            "authenticated_at": "2026-01-31T12:00:00+00:00",
            "context": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
        },
    }
    assert 'href="/logout"' in browser.get("/").text
    assert browser.get("/login?next=/ping").location == "/ping"


NAME_ID = '<saml:NameID NameQualifier="{}" SPNameQualifier="{}">opaque</saml:NameID>'
ATTRIBUTE = '<saml:Attribute Name="{}" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:{}">{}</saml:Attribute>'
VALUE = "<saml:AttributeValue>{}</saml:AttributeValue>"


@pytest.mark.parametrize(
    ("entry", "value", "expected"),
    [
        ({}, "plain", ["plain"]),
        ({}, "", []),
        ({}, NAME_ID.format("a", "b"), []),
        ({"default": "unknown"}, "", ["unknown"]),
        ({"default": "unknown"}, "known", ["known"]),
        ({"scope": "any"}, "staff@example.org", ["staff@example.org"]),
        ({"scope": "any"}, "staff", []),
        ({"scope": "any"}, "staff@", []),
        ({"decoder": "nameid"}, NAME_ID.format("a", "b"), ["opaque"]),
        ({"decoder": "nameid"}, "plain", []),
        ({"decoder": "qualified_nameid"}, "<saml:NameID> opaque </saml:NameID>", ["{idp}!{sp}!opaque"]),
        ({"decoder": "qualified_nameid"}, NAME_ID.format("{idp}", "{sp}"), ["{idp}!{sp}!opaque"]),
        ({"decoder": "qualified_nameid"}, NAME_ID.format("https://other.example.org", "{sp}"), []),
        ({"decoder": "qualified_nameid"}, NAME_ID.format("{idp}", "https://other.example.org"), []),
        ({"format": "uri"}, "plain", []),
        ({"format": "basic"}, "plain", ["plain"]),
    ],
)
def test_attribute_is_read_as_shibd_reads_it(saml, idp, entry, value, expected):
    names = {"idp": idp.entity_id, "sp": idp.sp}
    saml["attributes"] = [{"id": "upn", "name": "upn"}, {"id": "Group", "name": "group", **entry}]
    statement = ATTRIBUTE.format("upn", "basic", VALUE.format("ghopper")) + ATTRIBUTE.format(
        "group", "basic", VALUE.format(value.format_map(names))
    )
    browser = open_browser(saml)
    log_in(browser, idp, attribute_statement=f"<saml:AttributeStatement>{statement}</saml:AttributeStatement>")
    assert browser.get("/api/me").json["groups"] == [text.format_map(names) for text in expected]


def test_attribute_may_have_several_ids(saml, idp):
    saml["attributes"] = [{"id": name, "name": "upn", "format": "uri"} for name in ("upn", "displayName")]
    statement = ATTRIBUTE.format("upn", "unspecified", VALUE.format("ghopper"))  # treated as uri, as in shibd
    browser = open_browser(saml)
    log_in(browser, idp, attribute_statement=f"<saml:AttributeStatement>{statement}</saml:AttributeStatement>")
    me = browser.get("/api/me").json
    assert (me["identifier"], me["name"]) == ("ghopper", "ghopper")


@pytest.mark.parametrize(
    ("decoder", "expected"), [("string", "opaque"), ("nameid", "opaque"), ("qualified_nameid", "{}!{}!opaque")]
)
def test_name_id_as_an_attribute(saml, idp, decoder, expected):
    kind = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    saml["attributes"] = [{"id": "upn", "name": kind, "format": "uri", "decoder": decoder}]
    browser = open_browser(saml)
    log_in(browser, idp, name_id_element=f'<saml:NameID Format="{kind}">opaque</saml:NameID>')
    assert logged_in_user(browser) == expected.format(idp.entity_id, idp.sp)


def test_request_is_signed_and_does_not_use_the_host_header(browser, idp, sp_keys):
    reply = browser.get("/login", headers={"Host": "evil.example"})
    request = Message(reply.location)
    request.verify(sp_keys)
    assert request.url == "https://idp.example.org/sso"
    assert request.document.get("AssertionConsumerServiceURL") == f"{SITE}/saml/acs"
    assert request.find("saml:Issuer")[0].text == idp.sp
    assert "evil.example" not in etree.tostring(request.document).decode()
    assert len(request.relay_state) <= 80


def test_cross_site_cookie_has_security_flags_and_expires_soon(browser):
    (cookie,) = browser.get("/login").headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-flask_sso_saml=")
    parts = set(cookie.split("; ")[1:])
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=None", "Max-Age=900"} <= parts


def test_two_tabs_of_one_browser(browser, idp):
    first, second = start_login(browser, "/ping"), start_login(browser, "/profile")
    assert post_response(browser, second, idp.signed(second.id)).location == "/profile"
    assert post_response(browser, first, idp.signed(first.id)).location == "/ping"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""])
def test_login_does_not_redirect_to_another_site(browser, idp, target):
    request = start_login(browser, target)
    assert post_response(browser, request, idp.signed(request.id)).location == "/"


def test_relay_state_is_not_used_as_a_url(browser, idp, caplog):
    request = start_login(browser)
    reply = browser.post("/saml/acs", data=response_form(idp.signed(request.id), "https://evil.example/"))
    assert_rejected(browser, caplog, reply, "no pending request")


def test_encrypted_assertion(browser, idp, sp_keys):
    request = start_login(browser)
    response = idp.signed(request.id)
    sp_keys.encrypt(assertion_of(response))
    assert b"ghopper" not in etree.tostring(response)
    assert post_response(browser, request, response).status_code == 303
    assert logged_in_user(browser) == "ghopper"


def test_encrypted_assertion_must_be_signed(browser, idp, sp_keys, caplog):
    """Anyone can encrypt with the public key of the service provider."""
    request = start_login(browser)
    response = idp.response(request.id)
    sp_keys.encrypt(assertion_of(response))
    assert_rejected(browser, caplog, post_response(browser, request, response), "not signed")


def test_all_signing_keys_of_the_metadata_are_accepted(saml, idp, other_keys, tmp_path):
    (tmp_path / "idp.xml").write_text(idp.metadata(more=[other_keys]))
    for keys in (idp.keys, other_keys):
        browser = open_browser(saml)
        assert log_in(browser, idp, keys=keys).status_code == 303


def test_urls_and_metadata_of_a_shibboleth_service_provider(saml, idp, sp_keys):
    saml |= {
        "acs": "/Shibboleth.sso/SAML2/POST",
        "slo": "/Shibboleth.sso/SLO/Redirect",
        "metadata": "/Shibboleth.sso/Metadata",
    }
    reply = open_browser(saml).get("/Shibboleth.sso/Metadata")
    assert reply.mimetype == "application/samlmetadata+xml"
    entity = OneLogin_Saml2_XML.validate_xml(reply.data, "saml-schema-metadata-2.0.xsd")
    assert not isinstance(entity, str)
    (role,) = entity.findall("md:SPSSODescriptor", NAMESPACES)
    assert (entity.get("entityID"), role.get("WantAssertionsSigned")) == (idp.sp, "true")
    keys = role.findall("md:KeyDescriptor", NAMESPACES)
    assert {key.get("use") for key in keys} == {"signing", "encryption"}
    assert {key.findtext(".//ds:X509Certificate", namespaces=NAMESPACES) for key in keys} == {sp_keys.base64}
    services = [(one.get("Binding")[37:], one.get("Location")) for one in role if one.get("Location")]
    assert services == [
        ("HTTP-Redirect", f"{SITE}/Shibboleth.sso/SLO/Redirect"),
        ("HTTP-POST", f"{SITE}/Shibboleth.sso/SAML2/POST"),
    ]


def test_idp_urls_with_a_query(saml, idp, tmp_path):
    """Messages contain them XML-escaped, redirects do not."""
    text = re.sub(r"idp\.example\.org/(s[sl]o)", r"idp.example.org/\1?a=1&amp;b=2", idp.metadata())
    (tmp_path / "idp.xml").write_text(text)
    browser = open_browser(saml)
    request = start_login(browser)
    assert browser.get("/login").location.startswith("https://idp.example.org/sso?a=1&b=2&SAMLRequest=")
    assert request.document.get("Destination") == "https://idp.example.org/sso?a=1&b=2"
    assert post_response(browser, request, idp.signed(request.id)).status_code == 303
    assert browser.get("/logout").location.startswith("https://idp.example.org/slo?a=1&b=2&SAMLRequest=")


def test_onelogin(saml, tmp_path):
    idp = IdentityProvider(
        saml["entity_id"], f"{SITE}/saml/acs", f"{SITE}/saml/logout", "https://app.onelogin.com/saml/metadata/123456"
    )
    base = "https://example.onelogin.com/trust/saml2/http-redirect"
    (tmp_path / "idp.xml").write_text(idp.metadata(base, "/123456"))
    saml["attributes"] = [{"id": "upn", "name": "User.Username"}, {"id": "Group", "name": "memberOf"}]
    browser = open_browser(saml)
    request = start_login(browser)
    assert request.url == f"{base}/sso/123456"
    attributes = {"User.Username": ["ghopper"], "memberOf": ["navy", "compilers"]}
    assert post_response(browser, request, idp.signed(request.id, attributes=attributes)).status_code == 303
    assert browser.get("/api/me").json["groups"] == ["navy", "compilers"]
    assert Message(browser.get("/logout").location).url == f"{base}/slo/123456"


def test_thousands_of_groups(browser, idp):
    groups = [f"group-{number:04}-of-the-observatory" for number in range(4000)]
    assert log_in(browser, idp, attributes={"upn": ["jbell"], "Group": groups}).status_code == 303
    assert browser.get("/api/me").json["groups"] == groups


# Invalid responses

LATER, EARLIER = instant(600), instant(-600)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audience": ["https://other.example.org"]}, "not a valid audience"),
        (
            {"audience": ["https://flask.example.org/Shibboleth.sso", "https://other"]},
            "AudienceRestriction does not name",
        ),
        ({"audience": []}, "AudienceRestriction does not name"),
        ({"recipient": ' Recipient="https://other.example.org/saml/acs"'}, "SubjectConfirmation"),
        ({"recipient": ' Recipient="https://evil.example/?https://flask.example.org/saml/acs"'}, "another Recipient"),
        ({"recipient": ""}, "another Recipient or none"),
        ({"destination": ' Destination="https://other.example.org/saml/acs"'}, "instead of https://other"),
        ({"destination": ' Destination="https://flask.example.org/saml/acs/more"'}, "Destination is longer"),
        ({"destination": ' Destination=""'}, "empty Destination"),
        ({"issuer": "https://evil.example"}, "Invalid issuer"),
        ({"response_issuer": "https://evil.example"}, "Invalid issuer"),
        ({"not_on_or_after": EARLIER}, "timestamp: expired"),
        ({"confirmed_until": f' NotOnOrAfter="{EARLIER}"'}, "SubjectConfirmationData has expired"),
        ({"confirmed_until": ""}, "has no NotOnOrAfter"),
        ({"session_until": f' SessionNotOnOrAfter="{EARLIER}"'}, "have expired"),
        ({"not_before": LATER}, "not yet valid"),
        ({"in_response_to": ""}, "InResponseTo is missing"),
        ({"in_response_to": ' InResponseTo="_another"'}, "InResponseTo of the Response: _another, does not match"),
        ({"confirms": ""}, "another InResponseTo or none"),
        ({"confirms": ' InResponseTo="_another"'}, "SubjectConfirmation"),
        ({"status": "Requester"}, "not Success, was Requester"),
    ],
)
def test_response_for_another_request_site_or_time_is_rejected(browser, idp, caplog, changes, reason):
    assert_rejected(browser, caplog, log_in(browser, idp, **changes), reason)


def test_clock_skew_is_the_setting(saml, idp, caplog):
    late, early = {"not_on_or_after": instant(-40)}, {"not_before": instant(40)}
    for changes, reason in ((late, "timestamp: expired"), (early, "timestamp: not yet valid")):
        assert log_in(open_browser(saml), idp, **changes).status_code == 303
        browser = open_browser({**saml, "clock_skew": 30})
        assert_rejected(browser, caplog, log_in(browser, idp, **changes), reason)
        caplog.clear()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("confirmed_until", ' NotOnOrAfter="{-59}"', None),
        ("confirmed_until", ' NotOnOrAfter="{-60}"', "SubjectConfirmationData has expired"),
        ("confirmed_until", ' NotOnOrAfter="{300}" NotBefore="{60}"', None),
        ("confirmed_until", ' NotOnOrAfter="{300}" NotBefore="{61}"', "SubjectConfirmationData is not yet valid"),
        ("not_on_or_after", "{-59}", None),
        ("not_on_or_after", "{-60}", "timestamp: expired"),
        ("not_before", "{60}", None),
        ("not_before", "{61}", "timestamp: not yet valid"),
        ("session_until", ' SessionNotOnOrAfter="{-59}"', None),
        ("session_until", ' SessionNotOnOrAfter="{-60}"', "have expired"),
    ],
)
def test_clock_skew_is_exact(browser, idp, caplog, monkeypatch, name, text, reason):
    """It applies to all times of a response, in both directions."""
    moment = saml_store.now()
    monkeypatch.setattr(OneLogin_Saml2_Utils, "now", staticmethod(lambda: moment))
    monkeypatch.setattr(saml_store.time, "time", lambda: moment)
    changes = {name: re.sub(r"\{(-?\d+)\}", lambda match: instant(int(match[1])), text)}
    reply = log_in(browser, idp, **changes)
    if reason is None:
        assert (reply.status_code, logged_in_user(browser)) == (303, "ghopper")
    else:
        assert_rejected(browser, caplog, reply, reason)


def test_unsigned(browser, idp, caplog):
    request = start_login(browser)
    assert_rejected(browser, caplog, post_response(browser, request, idp.response(request.id)), "not signed")


def test_signature_of_the_response_alone_is_rejected(browser, idp, caplog):
    request = start_login(browser)
    response = idp.response(request.id)
    idp.keys.sign(response)
    assert_rejected(
        browser, caplog, post_response(browser, request, response), "Assertion of the Response is not signed"
    )


def test_unknown_key_with_its_certificate_in_the_message(browser, idp, other_keys, caplog):
    assert_rejected(browser, caplog, log_in(browser, idp, keys=other_keys), "Signature validation failed")


def test_changed_after_signing(browser, idp, caplog):
    request = start_login(browser)
    text = etree.tostring(idp.signed(request.id)).replace(b">ghopper<", b">mallory<")
    assert_rejected(browser, caplog, post_response(browser, request, text), "Signature validation failed")


WEAK = ["MD5", "RIPEMD160", "SHA1", "SHA224"]


@pytest.mark.parametrize("name", WEAK)
def test_insecure_signature_algorithms(browser, idp, caplog, name):
    request = start_login(browser)
    response = idp.response(request.id)
    idp.keys.sign(assertion_of(response), getattr(xmlsec.Transform, f"RSA_{name}"))
    reason = f"algorithm of SignatureMethod is not allowed: .*rsa-{name.lower()}"
    assert_rejected(browser, caplog, post_response(browser, request, response), reason)


@pytest.mark.parametrize("name", WEAK)
def test_insecure_digest_algorithms(browser, idp, caplog, name):
    request = start_login(browser)
    response = idp.response(request.id)
    idp.keys.sign(assertion_of(response), hashed=getattr(xmlsec.Transform, name))
    reason = f"algorithm of DigestMethod is not allowed: .*{name.lower()}"
    assert_rejected(browser, caplog, post_response(browser, request, response), reason)


@pytest.mark.parametrize("bits", [256, 384, 512])
@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_secure_signature_algorithms(saml, idp, tmp_path, kind, bits):
    keys = idp.keys if kind == "RSA" else KeyPair(ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "idp.xml").write_text(idp.metadata(more=[keys]))
    browser = open_browser(saml)
    request = start_login(browser)
    response = idp.response(request.id)
    algorithms = [getattr(xmlsec.Transform, name) for name in (f"{kind}_SHA{bits}", f"SHA{bits}")]
    keys.sign(assertion_of(response), *algorithms)
    assert post_response(browser, request, response).status_code == 303
    assert logged_in_user(browser) == "ghopper"


@pytest.mark.parametrize(
    ("cipher", "bits"),
    [("AES128", 128), ("AES192", 192), ("AES256", 256), ("AES128_GCM", 128), ("AES192_GCM", 192), ("AES256_GCM", 256)],
)
def test_ciphers_of_shibd_are_accepted(browser, idp, sp_keys, cipher, bits):
    request = start_login(browser)
    response = idp.signed(request.id)
    sp_keys.encrypt(assertion_of(response), cipher=getattr(xmlsec.Transform, cipher), bits=bits)
    assert post_response(browser, request, response).status_code == 303
    assert logged_in_user(browser) == "ghopper"


def test_rsa_1_5_is_rejected(browser, idp, sp_keys, caplog):
    request = start_login(browser)
    response = idp.signed(request.id)
    sp_keys.encrypt(assertion_of(response), transport=xmlsec.Transform.RSA_PKCS1)
    reason = "algorithm of EncryptionMethod is not allowed: .*rsa-1_5"
    assert_rejected(browser, caplog, post_response(browser, request, response), reason)


@pytest.mark.parametrize("algorithm", ["tripledes-cbc", "kw-aes256", ""])
def test_other_ciphers_are_rejected(browser, idp, sp_keys, caplog, algorithm):
    request = start_login(browser)
    response = idp.signed(request.id)
    sp_keys.encrypt(assertion_of(response))
    response.find(".//{*}EncryptedData/{*}EncryptionMethod").set("Algorithm", f"{XENC}{algorithm}")
    reason = f"algorithm of EncryptionMethod is not allowed: {XENC}{algorithm}"
    assert_rejected(browser, caplog, post_response(browser, request, response), reason)


@pytest.mark.parametrize("variant", range(1, 9))
def test_signature_wrapping(browser, idp, caplog, variant):
    request = start_login(browser)
    response = wrap(idp.signed(request.id), variant, idp.keys)
    assert b"mallory" in etree.tostring(response)
    assert_rejected(browser, caplog, post_response(browser, request, response), "must contain 1 assertion")


def test_comment_does_not_truncate_a_value(browser, idp):
    """Signatures do not cover comments, so the user ghopper.evil can insert one."""
    request = start_login(browser)
    response = idp.signed(request.id, attributes={"upn": ["ghopper.evil"]}, name_id="opaque.evil")
    text = etree.tostring(response)
    text = text.replace(b"ghopper.evil", b"ghopper<!---->.evil").replace(b"opaque.evil", b"opaque<!-- -->.evil")
    assert post_response(browser, request, text).status_code == 303
    assert logged_in_user(browser) == "ghopper.evil"
    assert Message(browser.get("/logout").location).find("saml:NameID")[0].text == "opaque.evil"


def test_comment_in_an_encrypted_assertion_does_not_truncate_a_value(browser, idp, sp_keys):
    request = start_login(browser)
    response = idp.signed(request.id, attributes={"upn": ["ghopper.evil"]})
    value = response.find(".//saml:AttributeValue", NAMESPACES)
    value.text = "ghopper"
    comment = etree.Comment("")
    comment.tail = ".evil"
    value.append(comment)
    sp_keys.encrypt(assertion_of(response))
    assert post_response(browser, request, response).status_code == 303
    assert logged_in_user(browser) == "ghopper.evil"


DTD = '<!DOCTYPE r [<!ENTITY a "ghopper">%s]>'
BOMB = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij"))


@pytest.mark.parametrize("dtd", [DTD % "", DTD % BOMB, '<!DOCTYPE r SYSTEM "file:///etc/passwd">'])
def test_document_type_and_entities(browser, idp, caplog, dtd):
    request = start_login(browser)
    text = etree.tostring(idp.signed(request.id)).replace(b">ghopper<", b">&j;<" if "ENTITY j" in dtd else b">x<")
    assert_rejected(
        browser, caplog, post_response(browser, request, dtd.encode() + text), "DTDForbidden|XMLSyntaxError"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "XMLSyntaxError"),
        (b"\xff\xfe", "XMLSyntaxError"),
        (b"<", "XMLSyntaxError"),
        (b"<a/>", "Unsupported SAML version"),
        (b"<samlp:Response/>", "XMLSyntaxError"),
        (b"x" * 1000, "XMLSyntaxError"),
    ],
)
def test_malformed_response(browser, caplog, text, reason):
    assert_rejected(browser, caplog, post_response(browser, start_login(browser), text), reason)


def xslt_transform(signature: etree._Element) -> None:
    signature.find(".//ds:Transform", NAMESPACES).set("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")


def second_reference(signature: etree._Element) -> None:
    info = signature.find("ds:SignedInfo", NAMESPACES)
    reference = etree.fromstring(etree.tostring(info.find("ds:Reference", NAMESPACES)))
    reference.set("URI", "file:///etc/passwd")
    info.append(reference)


def external_reference(signature: etree._Element) -> None:
    signature.find(".//ds:Reference", NAMESPACES).set("URI", "http://127.0.0.1:1/")


def duplicate_id(signature: etree._Element) -> None:
    signature.getparent().getparent().set("ID", signature.getparent().get("ID"))


def hmac_length(signature: etree._Element) -> None:
    etree.SubElement(signature.find(".//ds:SignatureMethod", NAMESPACES), f"{DS}HMACOutputLength").text = "0"


def canonicalization(signature: etree._Element) -> None:
    signature.find(".//ds:CanonicalizationMethod", NAMESPACES).set("Algorithm", "http://www.w3.org/TR/xpath")


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (xslt_transform, "algorithm of Transform is not allowed: .*xslt"),
        (second_reference, "Signature does not have exactly one Reference"),
        (external_reference, "URI of Reference is not allowed: http://127.0.0.1:1/"),
        (duplicate_id, "an ID is not unique"),
        (hmac_length, "element HMACOutputLength is not allowed"),
        (canonicalization, "algorithm of CanonicalizationMethod is not allowed: .*xpath"),
    ],
)
def test_signature_with_disallowed_features(browser, idp, sp_keys, caplog, change, reason, encrypted):
    request = start_login(browser)
    response = idp.signed(request.id)
    change(signature_of(assertion_of(response)))
    if encrypted:
        sp_keys.encrypt(assertion_of(response))
    assert_rejected(browser, caplog, post_response(browser, request, response), reason)


DERIVED = """\
<x:DerivedKey xmlns:x="http://www.w3.org/2009/xmlenc11#"><x:KeyDerivationMethod
 Algorithm="http://www.w3.org/2009/xmlenc11#pbkdf2"><x:PBKDF2-params><x:Salt><x:Specified>AAAA</x:Specified></x:Salt>
<x:IterationCount>2000000000</x:IterationCount><x:KeyLength>32</x:KeyLength>
<x:PRF Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/></x:PBKDF2-params></x:KeyDerivationMethod>
</x:DerivedKey>"""


@pytest.mark.parametrize(
    "text",
    [
        '<r:KeyInfoReference xmlns:r="http://www.w3.org/2009/xmldsig11#" URI="{}"/>',
        '<ds:RetrievalMethod xmlns:ds="http://www.w3.org/2000/09/xmldsig#" URI="{}"/>',
        '<r:KeyInfoReference xmlns:r="http://www.w3.org/2009/xmldsig11#" URI="#key"/>',
        '<ds:RetrievalMethod xmlns:ds="http://www.w3.org/2000/09/xmldsig#" URI="#key"/>',
        '<ds:X509Data xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><a URI="{}"/></ds:X509Data>',
        DERIVED,
    ],
)
@pytest.mark.parametrize("place", ["Signature", "EncryptedData", "EncryptedKey"])
def test_external_key_reference(browser, idp, sp_keys, caplog, tmp_path, place, text):
    """Anyone can send this: xmlsec would resolve it before it verifies a signature."""
    opened = tmp_path / "pipe"
    os.mkfifo(opened)  # blocks a process that reads it
    request = start_login(browser)
    response = idp.signed(request.id)
    if place != "Signature":
        sp_keys.encrypt(assertion_of(response))
    around = response.find(f".//{{*}}{place}")
    info = around.find("ds:KeyInfo", NAMESPACES)
    if info is None:
        info = etree.SubElement(around, f"{DS}KeyInfo")
        info.getprevious().addprevious(info)
    info.insert(0, etree.fromstring(text.format(f"file://{opened}")))
    name = etree.QName(info[0][0] if "X509Data" in text else info[0]).localname
    assert_rejected(browser, caplog, post_response(browser, request, response), f"element {name} is not allowed")


@pytest.mark.parametrize("name", ["URI", "{urn:x}URI"])
def test_external_uri_anywhere(browser, idp, caplog, name):
    request = start_login(browser)
    response = idp.signed(request.id)
    response.find("saml:Issuer", NAMESPACES).set(name, "file:///dev/zero")
    reason = "URI of Issuer is not allowed: file:///dev/zero"
    assert_rejected(browser, caplog, post_response(browser, request, response), reason)


@pytest.mark.parametrize(
    "hint",
    [
        "<ds:KeyName>sp</ds:KeyName>",
        "<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>",
        "<ds:X509Data><ds:X509SubjectName>CN=tests</ds:X509SubjectName></ds:X509Data>",
    ],
)
def test_encrypted_with_key_info(browser, idp, sp_keys, hint):
    request = start_login(browser)
    response = idp.signed(request.id)
    sp_keys.encrypt(assertion_of(response))
    key = response.find(".//{*}EncryptedKey")
    digest = etree.SubElement(key.find("{*}EncryptionMethod"), f"{DS}DigestMethod")
    digest.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")
    text = f'<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">{hint.format(sp_keys.base64)}</ds:KeyInfo>'
    key.find("{*}EncryptionMethod").addnext(etree.fromstring(text))
    assert post_response(browser, request, response).status_code == 303
    assert logged_in_user(browser) == "ghopper"


@pytest.mark.parametrize("kind", ["encryption", "signing"])
def test_separate_encryption_key(saml, idp, sp_keys, other_keys, tmp_path, kind):
    """The identity provider may still encrypt with the signing certificate."""
    (tmp_path / "encryption.crt").write_bytes(other_keys.certificate)
    (tmp_path / "encryption.key").write_bytes(other_keys.key)
    saml |= {"encryption_certificate": f"{tmp_path}/encryption.crt", "encryption_key": f"{tmp_path}/encryption.key"}
    browser = open_browser(saml)
    role = etree.fromstring(browser.get("/saml/metadata").data).find("md:SPSSODescriptor", NAMESPACES)
    keys = {
        key.get("use"): key.findtext(".//ds:X509Certificate", namespaces=NAMESPACES)
        for key in role.iterfind("md:KeyDescriptor", NAMESPACES)
    }
    assert keys == {"signing": sp_keys.base64, "encryption": other_keys.base64}
    request = start_login(browser)
    request.verify(sp_keys)
    response = idp.response(request.id)
    pair = other_keys if kind == "encryption" else sp_keys
    pair.encrypt(response.find(".//saml:NameID", NAMESPACES), "EncryptedID")
    idp.keys.sign(assertion_of(response))
    pair.encrypt(assertion_of(response))
    assert post_response(browser, request, response).status_code == 303
    assert logged_in_user(browser) == "ghopper"
    assert Message(browser.get("/logout").location).find("saml:NameID")[0].text == "ghopper-opaque"


def test_encrypted_for_another_service_provider(browser, idp, other_keys, caplog):
    request = start_login(browser)
    response = idp.signed(request.id)
    other_keys.encrypt(assertion_of(response))
    assert_rejected(browser, caplog, post_response(browser, request, response), "no key .* can decrypt")


def test_external_cipher_reference(browser, idp, sp_keys, caplog):
    request = start_login(browser)
    response = idp.signed(request.id)
    sp_keys.encrypt(assertion_of(response))
    value = response.find(".//{*}EncryptedData/{*}CipherData/{*}CipherValue")
    reference = etree.SubElement(value.getparent(), etree.QName(value, "CipherReference"))
    reference.set("URI", "file:///etc/passwd")
    value.getparent().remove(value)
    assert_rejected(
        browser, caplog, post_response(browser, request, response), "element CipherReference is not allowed"
    )


def test_unsolicited_response_is_rejected(browser, idp, caplog):
    assert_rejected(
        browser,
        caplog,
        browser.post("/saml/acs", data=response_form(idp.signed(random_id()), "")),
        "no pending request",
    )


def test_response_for_another_browser_is_rejected(browser, idp, caplog):
    """Otherwise an attacker could log a victim's browser in to the attacker's account (login CSRF)."""
    request = start_login(browser)
    victim = browser.application.test_client()
    start_login(victim)
    assert_rejected(victim, caplog, post_response(victim, request, idp.signed(request.id)), "no pending request")


def test_response_to_an_expired_request_is_rejected(browser, idp, caplog, monkeypatch):
    request = start_login(browser)
    later = saml_store.now() + 901
    monkeypatch.setattr(saml_store, "now", lambda: later)
    assert_rejected(browser, caplog, post_response(browser, request, idp.signed(request.id)), "no pending request")


@pytest.mark.parametrize("name", ["response_id", "assertion_id"])
def test_id_that_was_already_used_is_rejected(browser, idp, caplog, name):
    assert log_in(browser, idp, **{name: "_same"}).status_code == 303
    browser = browser.application.test_client()
    assert_rejected(browser, caplog, log_in(browser, idp, **{name: "_same"}), "already used")


def test_replay_is_rejected(browser, idp, caplog):
    request = start_login(browser)
    response = idp.signed(request.id)
    assert post_response(browser, request, response).status_code == 303
    browser.get("/logout")
    assert_rejected(browser, caplog, post_response(browser, request, response), "already answered")


OTHER_PROCESS = """
import json, sys
from flask_sso_app import create_app
settings, form, cookie = json.load(sys.stdin)
client = create_app(settings).test_client()
client.set_cookie("__Host-flask_sso_saml", cookie, domain="flask.example.org")
print(client.post("/saml/acs", data=form, base_url="https://flask.example.org").status_code)
"""


def test_replay_in_another_process_is_rejected(browser, idp, saml):
    def post_in_other_process(data: dict[str, str]) -> str:
        cookie = browser.get_cookie("__Host-flask_sso_saml", domain="flask.example.org").value
        given = json.dumps([{"SECRET_KEY": "tests", "AUTHENTICATION": "saml", "SAML": saml}, data, cookie])
        command = [sys.executable, "-c", OTHER_PROCESS]
        return subprocess.check_output(command, input=given, text=True, cwd=Path(__file__).parents[1]).strip()

    request = start_login(browser)
    data = response_form(idp.signed(request.id), request.relay_state)
    assert post_in_other_process(data) == "303"
    assert browser.post("/saml/acs", data=data).status_code == 403
    request = start_login(browser)
    data = response_form(idp.signed(request.id), request.relay_state)
    assert browser.post("/saml/acs", data=data).status_code == 303
    assert post_in_other_process(data) == "403"


def test_concurrent_replays_are_rejected(browser, idp):
    request = start_login(browser)
    data = response_form(idp.signed(request.id), request.relay_state)
    cookie = browser.get_cookie("__Host-flask_sso_saml", domain="flask.example.org").value

    def post(_number: int) -> int:
        client = browser.application.test_client()
        client.set_cookie("__Host-flask_sso_saml", cookie, domain="flask.example.org")
        return client.post("/saml/acs", data=data).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(8))) == [303] + [403] * 7


def test_response_that_is_too_large(browser):
    request = start_login(browser)
    reply = post_response(browser, request, b"x" * (1 << 20))
    assert reply.status_code == 413
    assert logged_in_user(browser) is None


def test_acs_accepts_post_only(browser):
    assert browser.get("/saml/acs").status_code == 405


# Sessions


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"displayName": ["Grace"]}, "did not send <code>upn</code>"),
        ({"upn": ["a", "b"], "Group": ["navy"]}, "sent 2 values of <code>upn</code>"),
        ({"upn": ["ghopper"]}, "did not send <code>Group</code>"),
        ({}, "did not send <code>upn</code>, <code>Group</code>"),
    ],
)
def test_login_without_required_attributes_names_them(saml, idp, caplog, attributes, text):
    browser = open_browser({**saml, "required": ["Group"]})
    reply = log_in(browser, idp, attributes=attributes)
    assert (reply.status_code, text in reply.text) == (403, True)
    assert idp.entity_id in reply.text
    assert "Apache" not in reply.text
    assert logged_in_user(browser) is None
    assert "Grace" not in caplog.text
    assert Message(browser.get("/logout").location).url == "https://idp.example.org/slo"


def test_new_login_starts_a_new_session(browser, idp):
    log_in(browser, idp)
    before = browser.get_cookie(COOKIE, domain="flask.example.org").value
    assert browser.get("/logout").status_code == 302
    log_in(browser, idp)
    assert browser.get_cookie(COOKIE, domain="flask.example.org").value != before


@pytest.mark.parametrize("sent", [True, False])
def test_second_login_ends_the_first_session(browser, idp, sent):
    """Both logins start before the first ends. The session cookie is only sent from an IdP on the same site."""
    first, second = start_login(browser), start_login(browser)
    post_response(browser, first, idp.signed(first.id))
    cookie = browser.get_cookie(COOKIE, domain="flask.example.org").value
    thief = browser.application.test_client()
    thief.set_cookie(COOKIE, cookie, domain="flask.example.org")
    assert logged_in_user(thief) == "ghopper"
    if not sent:
        browser.delete_cookie(COOKIE, domain="flask.example.org")
    post_response(browser, second, idp.signed(second.id))
    assert (logged_in_user(browser), logged_in_user(thief)) == ("ghopper", None)


def test_login_ends_a_session_without_required_attributes(saml, idp):
    """Even if the cookie of the login has expired."""
    browser = open_browser({**saml, "required": ["Group"]})
    assert log_in(browser, idp).status_code == 403
    browser.delete_cookie(f"{COOKIE}_saml", domain="flask.example.org")
    assert log_in(browser, idp, attributes={"upn": ["ghopper"], "Group": ["navy"]}).status_code == 303
    assert rows(browser, saml_store.SESSIONS) == 1


def rows(browser: Browser, table: Table) -> int:
    """Return the number of rows of a table."""
    return browser.application.extensions["saml"].store.fetch_first(select(func.count()).select_from(table))[0]


def test_login_in_another_browser_keeps_the_session(browser, idp):
    log_in(browser, idp)
    other = browser.application.test_client()
    log_in(other, idp)
    assert (logged_in_user(browser), logged_in_user(other)) == ("ghopper", "ghopper")


def test_session_can_be_bound_to_the_client_address(saml, idp):
    browser = open_browser(saml | {"bound_to_address": True})
    log_in(browser, idp)
    other_address = browser.get("/api/me", environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert (other_address.status_code, logged_in_user(browser)) == (401, "ghopper")


def test_stolen_cookie_is_invalid_after_logout(browser, idp):
    log_in(browser, idp)
    thief = browser.application.test_client()
    thief.set_cookie(COOKIE, browser.get_cookie(COOKIE, domain="flask.example.org").value, domain="flask.example.org")
    assert logged_in_user(thief) == "ghopper"
    browser.get("/logout")
    assert logged_in_user(thief) is None


@pytest.mark.parametrize(
    ("setting", "changes", "seconds"),
    [
        ({"timeout": 0, "lifetime": 900}, {}, 900),
        ({"timeout": 600}, {}, 600),
        ({"timeout": 0}, {"session_until": 300}, 300),
    ],
)
def test_session_expires(saml, idp, monkeypatch, setting, changes, seconds):
    browser = open_browser({**saml, **setting})
    start = saml_store.now()
    monkeypatch.setattr(saml_store, "now", lambda: start)
    log_in(browser, idp, **{name: f' SessionNotOnOrAfter="{instant(value)}"' for name, value in changes.items()})
    monkeypatch.setattr(saml_store, "now", lambda: start + seconds - 5)
    assert logged_in_user(browser) == "ghopper"
    monkeypatch.setattr(saml_store, "now", lambda: start + 2 * seconds)
    assert logged_in_user(browser) is None


def test_session_in_use_does_not_time_out(saml, idp, monkeypatch):
    browser = open_browser({**saml, "timeout": 100})
    log_in(browser, idp)
    start = saml_store.now()
    for seconds in range(0, 1000, 90):
        monkeypatch.setattr(saml_store, "now", lambda: start + seconds)  # noqa: B023
        assert logged_in_user(browser) == "ghopper"


def test_expired_rows_are_purged(browser, idp, monkeypatch):
    log_in(browser, idp)
    start = saml_store.now()
    monkeypatch.setattr(saml_store, "now", lambda: start + 40000)
    start_login(browser)
    assert rows(browser, saml_store.PENDING_REQUESTS) == 1
    for table in (saml_store.SESSIONS, saml_store.USED_IDS, saml_store.BROWSERS):
        assert rows(browser, table) == 0


def test_number_of_pending_requests_is_limited(browser, idp, monkeypatch, caplog):
    """The oldest are deleted, and no others."""
    monkeypatch.setattr(saml_store, "MAX_PENDING_REQUESTS", 20)
    start = saml_store.now()
    monkeypatch.setattr(saml_store, "now", lambda: start)
    oldest = start_login(browser)
    for second in range(1, 100):
        monkeypatch.setattr(saml_store, "now", lambda: start + second)  # noqa: B023
        visitor = browser.application.test_client()
        request = start_login(visitor)
        if second == 95:
            user, waiting = visitor, request
        assert min(second + 1, 18) <= rows(browser, saml_store.PENDING_REQUESTS) <= 20
    assert post_response(user, waiting, idp.signed(waiting.id)).status_code == 303
    assert_rejected(browser, caplog, post_response(browser, oldest, idp.signed(oldest.id)), "no pending request")


@pytest.mark.parametrize(("length", "target"), [(2000, "/" + "a" * 1999), (2001, "/")])
def test_length_of_the_next_url_is_limited(browser, idp, length, target):
    request = start_login(browser, "/" + "a" * (length - 1))
    assert post_response(browser, request, idp.signed(request.id)).location == target


# Expired metadata


@pytest.mark.parametrize("element", ["md:EntitiesDescriptor", "md:EntityDescriptor", "md:IDPSSODescriptor"])
def test_login_needs_valid_metadata(saml, idp, tmp_path, monkeypatch, caplog, element):
    """It expires without a restart. Users who are logged in stay logged in."""
    start = saml_store.now()
    text = f'<md:EntitiesDescriptor xmlns:md="{NAMESPACES["md"]}">{idp.metadata()}</md:EntitiesDescriptor>'
    dated = text.replace(f"<{element} ", f'<{element} validUntil="{instant(100)}" ')
    (tmp_path / "idp.xml").write_text(dated)
    browser, late = open_browser(saml), open_browser(saml)
    log_in(browser, idp)
    request = start_login(late)
    assert not caplog.records
    monkeypatch.setattr(saml_store.time, "time", lambda: start + 101)
    for attempt in (lambda: late.get("/login"), lambda: post_response(late, request, idp.signed(request.id))):
        reply = attempt()
        assert (reply.status_code, "Login is not possible now" in reply.text) == (503, True)
        (record,) = caplog.records
        assert re.search(r"Login is not possible: .*idp\.xml expired at 20..-.*\+00:00", record.message)
        caplog.clear()
    assert (logged_in_user(late), logged_in_user(browser)) == (None, "ghopper")


def test_expired_metadata_at_the_start(saml, idp, tmp_path, caplog):
    text = idp.metadata().replace("<md:EntityDescriptor", '<md:EntityDescriptor validUntil="2020-01-01T00:00:00.5Z"')
    (tmp_path / "idp.xml").write_text(text)
    browser = open_browser(saml)
    assert "expired at 2020-01-01T00:00:00+00:00. Deploy a current copy" in caplog.text
    assert browser.get("/").status_code == 200
    assert browser.get("/login").status_code == 503


# Keys outside of KeyDescriptor


def next_to_the_key(text: str, other: KeyPair) -> str:
    method = (
        f'<md:EncryptionMethod Algorithm="{XENC}aes128-cbc"><ds:X509Data><ds:X509Certificate>{other.base64}'
        "</ds:X509Certificate></ds:X509Data></md:EncryptionMethod>"
    )
    return text.replace("</ds:KeyInfo></md:KeyDescriptor>", f"</ds:KeyInfo>{method}</md:KeyDescriptor>")


def after_the_key(text: str, other: KeyPair) -> str:
    return text.replace("</ds:X509Certificate>", f"<ds:KeyName/>{other.base64}</ds:X509Certificate>")


def in_the_signature(text: str, other: KeyPair) -> str:
    signature = f"<ds:Signature><ds:Object>{replace_certificate(text, other)}</ds:Object></ds:Signature>"
    return text.replace("</md:EntityDescriptor>", f"{signature}</md:EntityDescriptor>")


def in_an_extension(text: str, other: KeyPair) -> str:
    extensions = f"<md:Extensions>{replace_certificate(text, other)}</md:Extensions>"
    return text.replace("</md:EntityDescriptor>", f"{extensions}</md:EntityDescriptor>")


def replace_certificate(text: str, other: KeyPair) -> str:
    return re.sub("(?<=<ds:X509Certificate>)[^<]+", other.base64, text)


@pytest.mark.parametrize("hide", [next_to_the_key, after_the_key, in_the_signature, in_an_extension])
def test_key_in_another_place_is_ignored(saml, idp, other_keys, tmp_path, caplog, hide):
    text = hide(idp.metadata(), other_keys)
    assert other_keys.base64 in text
    (tmp_path / "idp.xml").write_text(text)
    browser = open_browser(saml)
    assert_rejected(browser, caplog, log_in(browser, idp, keys=other_keys), "Signature validation failed")
    assert log_in(browser, idp).status_code == 303


def test_store_that_does_not_answer_is_a_page_for_those_who_need_it(browser, idp, caplog):
    """The log says so without naming the user, and the session goes on when the store is back."""
    log_in(browser, idp)
    store = browser.application.extensions["saml"].store
    engine, store.engine = store.engine, create_engine("sqlite:////nowhere/at/all", hide_parameters=True)
    stranger = browser.application.test_client()
    for client, path in ((browser, "/"), (browser, "/profile"), (stranger, "/login")):
        reply = client.get(path)
        assert reply.status_code == 503
        assert "The database of sessions does not answer." in reply.text
    assert [stranger.get(path).status_code for path in ("/", "/healthz")] == [200, 200]
    assert "The store of sessions fails: (sqlite3.OperationalError)" in caplog.text
    assert "Grace" not in caplog.text
    store.engine = engine
    assert logged_in_user(browser) == "ghopper"


def test_secrets_are_not_shown_logged_or_stored(browser, idp, saml, caplog):
    caplog.set_level("DEBUG")
    request = start_login(browser)
    post_response(browser, request, idp.signed(request.id))
    with browser.session_transaction(base_url=SITE) as session:
        key = session["saml"]
    app = browser.application
    with app.test_request_context(
        headers={"Cookie": f"{COOKIE}={browser.get_cookie(COOKIE, domain='flask.example.org').value}"}
    ):
        shown = repr(identify({})) + repr(app.extensions["saml"])
    pages = "".join(browser.get(path).text for path in ("/", "/profile", "/api/me"))
    with open(saml["store"].removeprefix("sqlite:///"), "rb") as file:
        stored = file.read().decode("latin-1")
    browser.get("/logout")
    post_response(browser, request, idp.signed(request.id))
    for text in (shown, pages, stored, caplog.text):
        assert key not in text
        assert request.relay_state not in text
        assert "PRIVATE KEY" not in text
    assert "ghopper" not in caplog.text
