# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verified certificate identifies its holder, if it is exactly one person."""

from __future__ import annotations

import json

import pytest
from conftest import GRACE, Browser
from hypothesis import given
from hypothesis import strategies as st

from flask_sso_app import create_app
from flask_sso_app.settings import SettingsError

ISSUER = "CN=campus.flask_sso private CA"
CERTIFICATE = {
    "SSL_CLIENT_VERIFY": "SUCCESS",
    "SSL_CLIENT_S_DN": "CN=Grace Hopper",
    "SSL_CLIENT_S_DN_CN": "Grace Hopper",
    "SSL_CLIENT_SAN_Email_0": "grace@example.org",
    "SSL_CLIENT_I_DN": ISSUER,
    "SSL_CLIENT_M_SERIAL": "0A1B",
}
PEOPLE = [{"issuer": ISSUER, "serial": "a1b", "identifier": "ghopper", "name": "Grace Hopper", "groups": ["navy"]}]


def browser(**settings) -> Browser:
    """Return a client of an application with client certificates."""
    app = create_app({"SECRET_KEY": "tests", "AUTHENTICATION": "client_certificates", **settings})
    app.test_client_class = Browser
    return app.test_client()


def me(environ: dict, **settings) -> dict | None:
    """Return the identity of the user, or None."""
    answer = browser(**settings).get("/api/me", environ=environ)
    return answer.json if answer.status_code == 200 else None


def test_verified_certificate_names_the_user():
    user = me(CERTIFICATE)
    assert (user["identifier"], user["name"], user["email"]) == ("Grace Hopper", "Grace Hopper", "grace@example.org")
    assert user["session"]["identity_provider"] == ISSUER


def test_listed_certificate_is_known_by_issuer_and_serial():
    user = me(CERTIFICATE | {"SSL_CLIENT_S_DN_CN": "Anybody"}, PEOPLE=PEOPLE)
    assert (user["identifier"], user["groups"]) == ("ghopper", ["navy"])


@pytest.mark.parametrize(
    "change",
    [{"SSL_CLIENT_M_SERIAL": "0A1C"}, {"SSL_CLIENT_I_DN": "CN=another"}, {"SSL_CLIENT_I_DN": ISSUER + ",O=x"}],
)
def test_unlisted_certificate_is_anonymous(change):
    assert me(CERTIFICATE | change, PEOPLE=PEOPLE) is None


@pytest.mark.parametrize("verify", ["NONE", "GENEROUS", "FAILED:certificate has expired", "success", "", None])
def test_unverified_certificate_is_anonymous(verify):
    environ = CERTIFICATE | {"SSL_CLIENT_VERIFY": verify}
    assert me({name: value for name, value in environ.items() if value is not None}) is None


def test_certificate_with_two_common_names_is_anonymous():
    assert me(CERTIFICATE | {"SSL_CLIENT_S_DN_CN_1": "Cecilia Payne"}) is None


@pytest.mark.parametrize("content", [[], [PEOPLE[0] | {"serial": "1"}]])
def test_user_who_is_not_in_the_list_is_anonymous(tmp_path, content):
    path = tmp_path / "people.json"
    path.write_text(json.dumps(content))
    assert me(CERTIFICATE, PEOPLE=content) is None
    assert me(CERTIFICATE, PEOPLE=str(path)) is None


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        ({"SSL_CLIENT_S_DN_CN_1": "Cecilia Payne"}, {}, "does not have exactly one common name"),
        ({"SSL_CLIENT_S_DN_CN": ""}, {}, "does not have exactly one common name"),
        ({}, {"PEOPLE": []}, "is not in FLASK_SSO_PEOPLE"),
    ],
)
def test_log_names_a_certificate_without_a_person(caplog, change, settings, words):
    assert me(CERTIFICATE | change, **settings) is None
    assert f"The certificate with serial number 0A1B of '{ISSUER}' {words}." in caplog.text
    caplog.clear()
    assert me({}, **settings) is None
    assert caplog.text == ""


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4096))
def test_any_common_name_is_used_unchanged(name):
    """Characters such as =, / and commas, or other alphabets, neither raise an exception nor change the name."""
    user = me(CERTIFICATE | {"SSL_CLIENT_S_DN_CN": name.encode().decode("latin-1")})
    assert user["identifier"] == name


def test_headers_do_not_authenticate():
    for name in ("SSL-Client-Verify", "SSL_CLIENT_VERIFY", "Ssl_Client_Verify"):
        headers = {name: "SUCCESS", name.replace("erify", "") + "S-DN-CN": "Grace Hopper"}
        assert browser().get("/api/me", headers=headers).status_code == 401


def test_authentication_methods_do_not_mix(app):
    assert me(GRACE) is None
    assert app.test_client().get("/api/me", environ=CERTIFICATE).status_code == 401


def test_pages_greet_the_user():
    assert browser().get("/hello", environ=CERTIFICATE).text == "Hello Grace Hopper!"
    assert browser().get("/hello").text == "Hello Unauthorized!"
    assert browser().get("/ping", environ=CERTIFICATE).text == "pong"
    page = browser().get("/", environ=CERTIFICATE).text
    assert "Grace Hopper" in page
    assert "Log out" not in page


def test_login_redirects_or_asks_for_a_certificate():
    answer = browser().get("/login?next=/profile", environ=CERTIFICATE)
    assert (answer.status_code, answer.location) == (302, "/profile")
    assert browser().get("/login?next=//evil.example.org", environ=CERTIFICATE).location == "/"
    rejected = browser().get("/login")
    assert rejected.status_code == 403
    assert "with a client certificate" in rejected.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"AUTHENTICATION": "fax"}, "write one of shibboleth, openid_connect, saml, client_certificates"),
        ({"PEOPLE": "Grace"}, "a JSON list"),
        ({"PEOPLE": [{"serial": "1"}]}, "write the strings issuer, serial, identifier"),
        ({"PEOPLE": [PEOPLE[0] | {"serial": 5}]}, "write the strings"),
        ({"PEOPLE": ["Grace"]}, "write the strings issuer, serial, identifier"),
        ({"PEOPLE": [PEOPLE[0] | {"name": 5}]}, "write the strings"),
        ({"PEOPLE": [PEOPLE[0] | {"mail": "grace@example.org"}]}, "write the strings issuer, serial, identifier"),
        ({"PEOPLE": [PEOPLE[0] | {"groups": "navy"}]}, "groups as a list of strings"),
        ({"PEOPLE": [PEOPLE[0] | {"groups": None}]}, "groups as a list of strings"),
        ({"PEOPLE": [PEOPLE[0] | {"groups": [5]}]}, "groups as a list of strings"),
        ({"PEOPLE": [PEOPLE[0] | {"serial": "0A:1B"}]}, "hexadecimal digits only"),
    ],
)
def test_invalid_settings_are_rejected(settings, words):
    with pytest.raises(SettingsError, match=words):
        browser(**settings)


@pytest.mark.parametrize("content", ["null", "{}", '""'])
def test_file_without_a_list_of_people_is_rejected(tmp_path, content):
    path = tmp_path / "people.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match="a JSON list"):
        browser(PEOPLE=str(path))
