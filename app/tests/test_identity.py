# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of a user comes from the WSGI environ only, never from headers."""

from __future__ import annotations

import pytest
from conftest import GRACE, SESSION, Browser, shibboleth
from hypothesis import given
from hypothesis import strategies as st

from flask_sso_app import create_app
from flask_sso_app.attributes import split_values
from flask_sso_app.authentication.shibboleth import identify, parse_datetime
from flask_sso_app.transport import decode_wsgi

FORGED = dict.fromkeys(
    ("Remote-User", "ADFS_LOGIN", "Upn", "upn", "displayName", "Shib-Session-ID", "Shib_Session_ID"), "ghopper"
)
PATHS = ["/", "/login", "/profile", "/logout", "/api/me", "/healthz", "/nowhere"]

#: Shibboleth does not escape backslashes, so a value that ends with one cannot be split correctly.
VALUES = st.lists(st.text(min_size=1).filter(lambda value: not value.endswith("\\")))


def me(browser, environ):
    return browser.get("/api/me", environ=environ).json


def test_identity_of_a_session(browser):
    assert me(browser, GRACE) == {
        "authentication": "shibboleth",
        "identifier": "ghopper",
        "name": "Grace Hopper",
        "email": "grace@example.org",
        "groups": ["navy", "compilers"],
        "attributes": {
            "upn": ["ghopper"],
            "displayName": ["Grace Hopper"],
            "EmailAddress": ["grace@example.org"],
            "Group": ["navy", "compilers"],
            "PersonID": ["1906"],
        },
        "session": {
            "identity_provider": "https://auth.cern.ch/auth/realms/cern",
            "authenticated_at": "2026-01-31T12:00:00.250000+00:00",
            "context": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        },
    }


@pytest.mark.parametrize("path", PATHS)
def test_forged_headers_are_ignored(browser, path):
    plain, forged = browser.get(path), browser.get(path, headers=FORGED)
    assert (forged.status, forged.headers.get("Location"), forged.data) == (
        plain.status,
        plain.headers.get("Location"),
        plain.data,
    )
    assert b"ghopper" not in forged.data


@pytest.mark.parametrize("path", PATHS)
def test_forged_headers_do_not_change_the_user(browser, path):
    headers = dict.fromkeys(FORGED, "mallory")
    assert b"mallory" not in browser.get(path, headers=headers, environ=GRACE).data


def test_session_cookie_alone_does_not_authenticate(browser):
    assert browser.get("/login", environ=GRACE).status_code == 302
    assert browser.get_cookie("__Host-flask_sso", domain="flask.example.org")
    assert browser.get("/api/me").status_code == 401
    assert b"Grace" not in browser.get("/").data


def test_attributes_without_a_session_are_ignored(browser):
    assert browser.get("/api/me", environ={"upn": "ghopper"}).status_code == 401


def test_another_user_in_the_same_browser(browser):
    browser.get("/login", environ=GRACE)
    assert me(browser, shibboleth(upn="cpayne"))["identifier"] == "cpayne"


@pytest.mark.parametrize("path", ["/", "/profile", "/api/me"])
def test_optional_attributes_may_be_missing(browser, path):
    answer = browser.get(path, environ=shibboleth(upn="enoether"))
    assert answer.status_code == 200
    assert "enoether" in answer.text


def test_session_information_may_be_missing(browser):
    environ = {"Shib-Session-ID": "_1", "Shib-Authentication-Instant": "yesterday", "upn": "enoether"}
    assert browser.get("/", environ=environ).status_code == 200
    assert me(browser, environ)["session"] == {"identity_provider": "", "authenticated_at": None, "context": ""}


@pytest.mark.parametrize(("upn", "text"), [("", "did not send"), ("a;b", "sent 2 values of")])
def test_login_without_exactly_one_identifier_names_the_attribute(browser, caplog, upn, text):
    environ = shibboleth(upn=upn, displayName="Grace Hopper")
    answer = browser.get("/login", environ=environ)
    assert answer.status_code == 403
    assert f"{text} <code>upn</code>" in answer.text
    assert SESSION["Shib-Identity-Provider"] in answer.text
    assert "flask.example.org" in answer.text
    assert browser.get("/api/me", environ=environ).status_code == 401
    assert "attributes received:" in caplog.text
    assert "Grace Hopper" not in caplog.text


def test_login_without_a_session_names_the_apache_directive(browser):
    answer = browser.get("/login")
    assert answer.status_code == 403
    assert "ShibRequestSetting requireSession true" in answer.text


def test_session_id_is_on_no_page(browser):
    for path in PATHS:
        assert SESSION["Shib-Session-ID"] not in browser.get(path, environ=GRACE).text


def test_session_id_is_not_in_the_representation(app):
    with app.app_context():
        assert SESSION["Shib-Session-ID"] not in repr(identify(GRACE))


def test_accented_letters(browser):
    environ = shibboleth(upn="mcurie", displayName="Maria Skłodowska-Curie", Group="Équipe;Łódź")
    assert me(browser, environ)["name"] == "Maria Skłodowska-Curie"
    page = browser.get("/", environ=environ).text
    assert "Maria Skłodowska-Curie" in page
    assert "Équipe" in page


def test_600_groups(browser):
    groups = [f"group-{number:03}-of-the-observatory" for number in range(600)]
    environ = shibboleth(upn="jbell", Group=";".join(groups))
    assert me(browser, environ)["groups"] == list(dict.fromkeys(groups))
    page = browser.get("/", environ=environ)
    assert all(group in page.text for group in groups)
    login = browser.get("/login", environ=environ)
    assert sum(map(len, login.headers.getlist("Set-Cookie"))) < 300


def test_attribute_names_of_adfs():
    app = create_app(
        {
            "SECRET_KEY": "tests",
            "ATTRIBUTES": {"identifier": "ADFS_LOGIN", "name": "ADFS_FULLNAME", "groups": "ADFS_GROUP"},
            "MORE_ATTRIBUTES": ["ADFS_DEPARTMENT"],
        }
    )
    app.test_client_class = Browser
    browser = app.test_client()
    environ = shibboleth(ADFS_LOGIN="ghopper", ADFS_FULLNAME="Grace Hopper", ADFS_GROUP="navy", ADFS_DEPARTMENT="IT")
    assert browser.get("/login", environ=environ).location == "/"
    identity = me(browser, environ)
    assert (identity["identifier"], identity["name"], identity["groups"]) == ("ghopper", "Grace Hopper", ["navy"])
    assert identity["attributes"]["ADFS_DEPARTMENT"] == ["IT"]


@given(VALUES)
def test_values_round_trip(values):
    assert split_values(";".join(value.replace(";", r"\;") for value in values)) == tuple(values)


@given(st.text())
def test_split_never_fails_and_gives_no_empty_value(text):
    assert all(split_values(text))


@given(st.text())
def test_text_round_trips_through_wsgi(text):
    assert decode_wsgi(text.encode("utf-8").decode("latin-1")) == text


@given(st.text(max_size=40))
def test_parsing_a_datetime_never_fails(text):
    parse_datetime(text)


@given(name=st.text(), groups=VALUES)
def test_any_text_can_be_shown(app, name, groups):
    environ = shibboleth(upn="x", displayName=name, Group=";".join(group.replace(";", r"\;") for group in groups))
    browser = app.test_client()
    assert me(browser, environ)["groups"] == list(dict.fromkeys(groups))
    for path in ("/", "/profile"):
        assert browser.get(path, environ=environ).status_code == 200


@pytest.mark.parametrize("path", ["/", "/profile"])
def test_markup_in_attributes_is_escaped(browser, path):
    evil = "<script>alert(1)</script>"
    environ = shibboleth(upn=evil, displayName=evil, EmailAddress=evil, Group=evil, PersonID=evil)
    assert evil not in browser.get(path, environ=environ).text
