# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log-out ends the session in the store, whoever begins it, and only on the identity provider's signed word."""

from __future__ import annotations

import re

import pytest
from conftest import SITE, Browser
from saml_idp import RSA_SHA1, Message, random_id
from saml_site import log_in, open_browser, user_of

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
    assert "did not end its session: 'urn:oasis:names:tc:SAML:2.0:status:Responder'" in caplog.text


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


def unsigned(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&SigAlg=")[0]


def without_its_signature(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&Signature=")[0]


def with_an_empty_signature(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request()).partition("&Signature=")[0] + "&Signature="


def by_a_foreign_key(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), keys=foreign_keys)


def by_sha1(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), algorithm=RSA_SHA1)


def with_another_relay_state(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(), "a").replace("RelayState=a", "RelayState=b")


def two_messages(idp, foreign_keys):
    return unsigned(idp, foreign_keys) + "&" + idp.redirect("SAMLRequest", idp.logout_request(name_id="me"))


def two_messages_of_which_one_is_escaped(idp, foreign_keys):
    return two_messages(idp, foreign_keys).replace("SAMLRequest", "SAML%52equest", 1)


def signed_for_the_other_kind(idp, foreign_keys):
    return unsigned(idp, foreign_keys) + "&" + idp.redirect("SAMLResponse", idp.logout_response(random_id()))


def stale(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(age=3600))


def from_the_future(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(age=-3600))


def of_another_issuer(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(issuer="https://evil.example"))


def to_another_site(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(destination="https://other.example.org/saml/logout"))


def of_nobody(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request(name_id=""))


def with_a_document_type(idp, foreign_keys):
    return idp.redirect("SAMLRequest", '<!DOCTYPE r [<!ENTITY a "b">]>' + idp.logout_request())


def nonsense(idp, foreign_keys):
    return idp.redirect("SAMLRequest", "nonsense")


def nothing(idp, foreign_keys):
    return ""


def an_answer_by_a_foreign_key(idp, foreign_keys):
    return idp.redirect("SAMLResponse", idp.logout_response(random_id()), "/", keys=foreign_keys)


def to_no_site(idp, foreign_keys):
    return idp.redirect("SAMLRequest", idp.logout_request().replace(f'Destination="{idp.slo}"', ""))


@pytest.mark.parametrize(
    "query",
    [
        unsigned,
        without_its_signature,
        with_an_empty_signature,
        by_a_foreign_key,
        by_sha1,
        with_another_relay_state,
        two_messages,
        two_messages_of_which_one_is_escaped,
        signed_for_the_other_kind,
        stale,
        from_the_future,
        of_another_issuer,
        to_another_site,
        of_nobody,
        with_a_document_type,
        nonsense,
        nothing,
        an_answer_by_a_foreign_key,
        to_no_site,
    ],
)
def test_message_that_is_refused(browser, idp, foreign_keys, caplog, query):
    log_in(browser, idp)
    reply = leave(browser, query(idp, foreign_keys))
    assert (reply.status_code, "That did not work" in reply.text) == (403, True)
    assert len(caplog.records) == 1
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
    assert leave(browser, query).status_code == 403
    assert "used before" in caplog.text
    assert user_of(browser) == "ghopper"


def test_host_header_changes_nothing(browser, idp):
    text = idp.logout_request(destination=f"{SITE}/saml/logout")
    query = idp.redirect("SAMLRequest", text)
    assert browser.get(f"/saml/logout?{query}", headers={"Host": "evil.example"}).status_code == 302
