# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A provider at which users could not log in, or not safely, is refused before anything changes."""

import base64
import json

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.provider_faults import provider_faults

ISSUER = "https://auth.cern.ch/auth/realms/cern"
ENDPOINTS = f"{ISSUER}/protocol/openid-connect"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ENDPOINTS}/auth",
    "token_endpoint": f"{ENDPOINTS}/token",
    "jwks_uri": f"{ENDPOINTS}/certs",
    "userinfo_endpoint": f"{ENDPOINTS}/userinfo",
    "end_session_endpoint": f"{ENDPOINTS}/logout",
    "response_types_supported": ["code", "id_token", "none"],
    "code_challenge_methods_supported": ["plain", "S256"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"],
    "id_token_signing_alg_values_supported": ["HS256", "RS256"],
}
SECRET = ["client_secret_basic", "client_secret_post"]
KEY = {"kty": "RSA", "use": "sig", "kid": "1", "n": "AQAB", "e": "AQAB"}


def encoded(document: object) -> str:
    """Return a document as it is fetched."""
    return base64.b64encode(json.dumps(document).encode()).decode()


def faults(*keys: object, **changes: object) -> list[str]:
    """Return the faults of a document with changes; None leaves a member out."""
    document = {name: value for name, value in (DOCUMENT | changes).items() if value is not None}
    return provider_faults(encoded(document), ISSUER, "RS256", SECRET, *map(encoded, keys))


@pytest.mark.parametrize(
    "changes",
    [{}, {"userinfo_endpoint": None, "end_session_endpoint": None}, {"token_endpoint_auth_methods_supported": None}],
)
def test_provider_that_can_be_used_has_no_fault(changes):
    assert faults(**changes) == []


@pytest.mark.parametrize(
    "document", [b"<html>", b"\xff", b"[]", b"null", b"", b"\xef\xbb\xbf{}", "{}".encode("utf-16")]
)
def test_document_of_another_form_is_refused(document):
    (said,) = provider_faults(base64.b64encode(document).decode(), ISSUER, "RS256", SECRET)
    assert said.startswith("is not a JSON object.")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": f"{ISSUER}/"}, f'is of the issuer "{ISSUER}/", and openid_connect_issuer is "{ISSUER}"'),
        ({"issuer": None}, "is of the issuer null"),
        ({"authorization_endpoint": None}, "has null as its authorization_endpoint"),
        ({"token_endpoint": "http://auth.cern.ch/token"}, 'has "http://auth.cern.ch/token" as its token_endpoint'),
        ({"jwks_uri": 'https://auth.cern.ch/"\nLoadModule x'}, "as its jwks_uri"),
        ({"userinfo_endpoint": "https://auth.cern.ch/${HOME}"}, "as its userinfo_endpoint"),
        ({"end_session_endpoint": ["https://auth.cern.ch"]}, "as its end_session_endpoint"),
        ({"revocation_endpoint": "ftp://auth.cern.ch"}, "as its revocation_endpoint"),
        ({"response_types_supported": ["id_token"]}, "as its response_types_supported, and the site needs code."),
        ({"code_challenge_methods_supported": ["plain"]}, "code_challenge_methods_supported, and the site needs S256."),
        ({"code_challenge_methods_supported": None}, "has [] as its code_challenge_methods_supported"),
        ({"token_endpoint_auth_methods_supported": ["none"]}, "has client_secret_basic and client_secret_post."),
        ({"id_token_signing_alg_values_supported": ["HS256", "ES256"]}, "openid_connect_signature_algorithm is RS256"),
        ({"id_token_signing_alg_values_supported": "RS256"}, "as its id_token_signing_alg_values_supported"),
    ],
)
def test_fault_is_named(changes, said):
    (fault,) = faults(**changes)
    assert said in fault


def test_all_faults_are_named_at_once():
    assert len(faults(issuer="x", token_endpoint=None, code_challenge_methods_supported=[])) == 3


@pytest.mark.parametrize(
    ("methods", "supported", "usable"),
    [
        (["private_key_jwt"], ["private_key_jwt", "tls_client_auth"], True),
        (["private_key_jwt"], ["client_secret_basic"], False),
        (["client_secret_post"], ["client_secret_basic", "client_secret_post"], True),
        (["client_secret_post"], ["client_secret_basic"], False),
        (["client_secret_post"], None, False),
        (["client_secret_basic"], None, True),
        (["client_secret_basic"], "client_secret_basic", False),
    ],
)
def test_site_needs_one_way_to_authenticate_itself(methods, supported, usable):
    """A provider that takes keys only, for example, is one for a site with a key."""
    document = {name: value for name, value in DOCUMENT.items() if not name.startswith("token_endpoint_auth")}
    if supported is not None:
        document["token_endpoint_auth_methods_supported"] = supported
    said = provider_faults(encoded(document), ISSUER, "RS256", methods)
    assert [fault.partition("as its ")[2].partition(",")[0] for fault in said] == (
        [] if usable else ["token_endpoint_auth_methods_supported"]
    )


@pytest.mark.parametrize(("supported", "accepted"), [(None, True), ([], False), (["plain"], False)])
def test_pkce_without_a_word_about_it_can_be_accepted(supported, accepted):
    """A provider that says that it has none cannot."""
    document = {name: value for name, value in DOCUMENT.items() if name != "code_challenge_methods_supported"}
    if supported is not None:
        document["code_challenge_methods_supported"] = supported
    said = provider_faults(encoded(document), ISSUER, "RS256", SECRET, "", True)
    assert (said == []) is accepted


def test_key_for_signatures_is_enough():
    elliptic = {"kty": "EC", "crv": "P-256"}
    assert faults({"keys": [{"kty": "oct"}, elliptic, KEY]}) == []
    document = encoded(DOCUMENT | {"id_token_signing_alg_values_supported": ["ES256"]})
    assert provider_faults(document, ISSUER, "ES256", SECRET, encoded({"keys": [elliptic]})) == []
    assert len(provider_faults(document, ISSUER, "ES256", SECRET, encoded({"keys": [KEY]}))) == 1


@pytest.mark.parametrize(
    "keys", [{}, [], {"keys": {}}, {"keys": []}, {"keys": ["x", KEY | {"use": "enc"}, {"kty": "EC", "crv": "P-256"}]}]
)
def test_key_set_without_one_is_refused(keys):
    (fault,) = faults(keys)
    assert fault.startswith(f"names the keys {ENDPOINTS}/certs, where no public key")
