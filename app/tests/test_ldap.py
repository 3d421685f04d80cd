# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An LDAP directory identifies the holder of a certificate. A real one is tested in molecule/client_certificates."""

from __future__ import annotations

import json
import re
import sys
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_client_certificates import CERTIFICATE, ISSUER, PEOPLE, browser, me

from flask_sso_app import ldap_directory
from flask_sso_app.authentication.client_certificates import certificate_fields
from flask_sso_app.settings import SettingsError

LDAP = {"uri": "ldaps://ldap.example.org", "base": "ou=people,dc=example,dc=org"}
BY_EMAIL = LDAP | {"filter": "(mail={email})"}
BY_NAME = LDAP | {"filter": "(&(objectClass=person)(cn={name}))"}
GRACE = {
    "uid": [b"ghopper"],
    "displayName": ["Grace Höpper".encode()],
    "mail": [b"grace@example.org", b"hopper@example.org"],
    "memberOf": [b"cn=navy,dc=example,dc=org", b"cn=compilers,dc=example,dc=org"],
}
FOUND = [("uid=ghopper,ou=people,dc=example,dc=org", GRACE)]


class DownError(Exception):
    """Mock of ldap.SERVER_DOWN."""


class SizeLimitError(DownError):
    """Mock of ldap.SIZELIMIT_EXCEEDED, which is an LDAPError, too."""


@pytest.fixture(autouse=True)
def ldap(monkeypatch) -> Mock:
    """Return a mock of python-ldap, whose server finds Grace."""
    module = Mock(LDAPError=DownError, SIZELIMIT_EXCEEDED=SizeLimitError)
    module.initialize.return_value.search_ext_s.return_value = FOUND
    monkeypatch.setitem(sys.modules, "ldap", module)
    return module


@pytest.fixture
def clock(monkeypatch) -> Mock:
    """Return a clock that stands still."""
    clock = Mock(return_value=600.0)
    monkeypatch.setattr(ldap_directory, "monotonic", clock)
    return clock


def test_directory_identifies_the_holder_of_a_certificate():
    user = me(CERTIFICATE | {"SSL_CLIENT_S_DN_CN": "Anybody"}, LDAP=LDAP)
    assert (user["identifier"], user["name"], user["email"]) == ("ghopper", "Grace Höpper", "grace@example.org")
    assert user["groups"] == ["cn=navy,dc=example,dc=org", "cn=compilers,dc=example,dc=org"]
    assert user["session"]["identity_provider"] == ISSUER


def test_default_filter_compares_issuer_and_serial():
    condition = ldap_directory.build_filter(ldap_directory.DEFAULTS["filter"], certificate_fields(CERTIFICATE))
    wanted = f'{{ serialNumber 2587, issuer rdnSequence:"{ISSUER}" }}'
    assert condition == f"(userCertificate:certificateExactMatch:={wanted})"


def test_issuer_is_escaped_in_the_filter():
    held = certificate_fields(CERTIFICATE | {"SSL_CLIENT_I_DN": r"CN=\"x\" })(uid=*"})
    assert ldap_directory.build_filter("(x={certificate})", held) == (
        r'(x={ serialNumber 2587, issuer rdnSequence:"CN=\5c""x\5c"" }\29\28uid=\2a" })'
    )


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("Grace Hopper", "(cn=Grace Hopper)"),
        ("*)(uid=*", r"(cn=\2a\29\28uid=\2a)"),
        ("\\2a", r"(cn=\5c2a)"),
        ("{email}", "(cn={email})"),
        ("a\0b", r"(cn=a\00b)"),
    ],
)
def test_name_is_escaped_in_the_filter(name, condition):
    assert ldap_directory.build_filter("(cn={name})", {"name": name, "email": "x", "certificate": "x"}) == condition


@given(st.text())
def test_escaping_round_trips(text):
    escaped = ldap_directory.escape_filter(text)
    assert not set("*()\0") & set(escaped)
    assert re.sub(r"\\([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), escaped) == text


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (BY_NAME, {"SSL_CLIENT_S_DN_CN_1": "Cecilia Payne"}),
        (BY_NAME, {"SSL_CLIENT_S_DN_CN": ""}),
        (BY_EMAIL, {"SSL_CLIENT_SAN_Email_1": "cecilia@example.org"}),
        (BY_EMAIL, {"SSL_CLIENT_SAN_Email_0": ""}),
    ],
)
def test_certificate_without_exactly_one_value_for_the_filter_is_anonymous(ldap, caplog, settings, change):
    assert me(CERTIFICATE, LDAP=settings)
    ldap.initialize.reset_mock()
    assert me(CERTIFICATE | change, LDAP=settings) is None
    ldap.initialize.assert_not_called()
    assert f"The certificate with serial number 0A1B of '{ISSUER}' matches no person in the directory." in caplog.text


@pytest.mark.parametrize(
    "found",
    [
        [],
        [(None, ["ldaps://elsewhere.example.org"])],
        FOUND * 2,
        [("uid=x", {"displayName": [b"Grace Hopper"]})],
        [("uid=x", GRACE | {"uid": [b"ghopper", b"root"]})],
        [("uid=x", GRACE | {"uid": [b""]})],
    ],
    ids=["nothing", "a reference", "two people", "no identifier", "two identifiers", "an empty one"],
)
def test_no_or_several_persons_are_anonymous(ldap, caplog, found):
    ldap.initialize.return_value.search_ext_s.return_value = found
    assert browser(LDAP=LDAP).get("/hello", environ=CERTIFICATE).text == "Hello Unauthorized!"
    assert "does not have exactly one person for" in caplog.text


def test_exceeded_size_limit_is_anonymous(ldap):
    ldap.initialize.return_value.search_ext_s.side_effect = SizeLimitError
    assert me(CERTIFICATE, LDAP=LDAP) is None


def test_attribute_names_ignore_case_and_values_may_be_any_bytes(ldap):
    ldap.initialize.return_value.search_ext_s.return_value = [("uid=x", {"UID": [b"x"], "DisplayName": [b"\xff"]})]
    user = me(CERTIFICATE, LDAP=LDAP | {"attributes": {"identifier": "uid", "name": "displayname"}})
    assert (user["identifier"], user["name"], user["email"], user["groups"]) == ("x", r"\xff", "", [])


@pytest.mark.parametrize("path", ["/", "/login", "/profile", "/hello", "/api/me"])
@pytest.mark.parametrize("step", ["initialize", "start_tls_s", "simple_bind_s", "search_ext_s"])
def test_directory_that_does_not_answer_is_reported(ldap, caplog, path, step):
    connection = ldap.initialize.return_value
    (ldap if step == "initialize" else connection).configure_mock(**{f"{step}.side_effect": DownError("Can't contact")})
    answer = browser(LDAP=LDAP | {"uri": "ldap://ldap.example.org"}).get(path, environ=CERTIFICATE)
    assert answer.status_code == 503
    assert "directory of users does not answer" in answer.text
    assert 'The directory ldap://ldap.example.org does not answer: DownError("Can\'t contact")' in caplog.text
    assert "Traceback" not in caplog.text
    assert step == "initialize" or connection.unbind_s.called


def test_public_endpoints_do_not_query_the_directory(ldap):
    ldap.initialize.side_effect = DownError
    visitor = browser(LDAP=LDAP)
    assert visitor.get("/healthz", environ=CERTIFICATE).text == "ok"
    with visitor.get("/static/style.css", environ=CERTIFICATE) as answer:
        assert answer.status_code == 200
    assert visitor.get("/hello").text == "Hello Unauthorized!"


def test_results_are_cached_by_certificate_until_they_expire(ldap, clock):
    visitor = browser(LDAP=LDAP | {"cache_seconds": 10})

    def asked(**change) -> int:
        visitor.get("/hello", environ=CERTIFICATE | change)
        return ldap.initialize.call_count

    assert [asked(), asked(), asked(SSL_CLIENT_M_SERIAL="0A1C"), asked()] == [1, 1, 2, 2]
    clock.return_value += 10
    assert [asked(), asked()] == [3, 3]


def test_failures_and_unknown_users_are_not_cached(ldap, clock):
    visitor = browser(LDAP=LDAP)
    search = ldap.initialize.return_value.search_ext_s
    for result, text in ([DownError(), "503"], [[[]], "Hello Unauthorized!"], [[FOUND], "Hello Grace Höpper!"]):
        search.side_effect = result
        assert text in visitor.get("/hello", environ=CERTIFICATE).text


def test_cache_size_is_limited(ldap, monkeypatch):
    monkeypatch.setattr(ldap_directory, "CACHE_SIZE", 2)
    visitor = browser(LDAP=LDAP)
    for serial in ("1", "2", "3", "1"):
        visitor.get("/hello", environ=CERTIFICATE | {"SSL_CLIENT_M_SERIAL": serial})
    assert ldap.initialize.call_count == 4


@pytest.mark.parametrize(("scheme", "started"), [("ldaps", False), ("ldap", True), ("ldapi", False)])
def test_connections_over_a_network_are_encrypted(ldap, scheme, started):
    me(CERTIFICATE, LDAP=LDAP | {"uri": f"{scheme}://ldap/"})
    connection = ldap.initialize.return_value
    assert connection.start_tls_s.called is started
    connection.set_option.assert_any_call(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)


def test_password_is_read_from_the_credential(ldap, monkeypatch, tmp_path):
    (tmp_path / "ldap_password").write_text("a secret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    me(CERTIFICATE, LDAP=LDAP | {"bind_dn": "cn=flask_app"})
    ldap.initialize.return_value.simple_bind_s.assert_called_with("cn=flask_app", "a secret")
    me(CERTIFICATE, LDAP=LDAP)
    ldap.initialize.return_value.simple_bind_s.assert_called_with("", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uri": "http://ldap.example.org"}, "write ldaps://HOST"),
        ({"uri": "ldaps://a,ldap://b"}, "write ldaps://HOST"),
        ({"uri": "ldaps://a ldap://b"}, "write ldaps://HOST"),
        ({"uri": ""}, "write ldaps://HOST"),
        ({"base": ""}, "base is missing"),
        ({"base": ["x"]}, "are strings"),
        ({"filter": "(objectClass=person)"}, r"write one with \{certificate\}"),
        ({"filter": "(uid={user})"}, r"write one with \{certificate\}"),
        ({"filter": "(cn={name.__class__})"}, r"write one with \{certificate\}"),
        ({"filter": "(cn={name)"}, r"write one with \{certificate\}"),
        ({"ca_file": "/no/such/file"}, "is not a file"),
        ({"attributes": {"name": "cn"}}, "the key identifier"),
        ({"attributes": {"identifier": 7}}, "the key identifier"),
        ({"cache_seconds": 0}, "at least 1"),
        ({"cache_seconds": True}, "at least 1"),
        ({"bind_password": "a secret"}, "the systemd credential 'ldap_password'"),
        ({"bind_dn": "cn=flask_app"}, r"LoadCredential=ldap_password:/path"),
    ],
)
def test_invalid_settings_are_rejected(change, words):
    with pytest.raises(SettingsError, match=words) as error:
        browser(LDAP=LDAP | change)
    assert "a secret" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [{"PEOPLE": PEOPLE, "LDAP": LDAP}, {"PEOPLE": [], "LDAP": LDAP}, {"AUTHENTICATION": "shibboleth", "LDAP": LDAP}],
)
def test_directory_needs_client_certificates(settings):
    with pytest.raises(SettingsError, match="does not go with FLASK_SSO_PEOPLE"):
        browser(**settings)


def test_missing_package_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "ldap", None)
    assert browser()
    with pytest.raises(SettingsError, match=r"requirements-ldap\.txt"):
        browser(LDAP=LDAP)


def test_people_can_be_listed_in_a_file(tmp_path):
    path = tmp_path / "people.json"
    path.write_text(json.dumps(PEOPLE))
    assert me(CERTIFICATE, PEOPLE=str(path))["identifier"] == "ghopper"
    path.write_text("ghopper")
    with pytest.raises(SettingsError, match="the path of a JSON file"):
        browser(PEOPLE=str(path))
