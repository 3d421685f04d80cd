# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application does not start with an invalid setting ``SAML``, and says why."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from saml_idp import KeyPair

from flask_sso_app import create_app
from flask_sso_app.authentication import saml_settings
from flask_sso_app.settings import SettingsError


def start(saml: object):
    return create_app({"SECRET_KEY": "tests", "AUTHENTICATION": "saml", "SAML": saml})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"entity_id": "", "certificate": ""}, "lacks entity_id, certificate"),
        ({"entity_id": "https://sp.example.org/?a&b"}, "python3-saml needs one without '&'"),
        ({"entity-id": "x"}, "no other keys than entity_id, site"),
        ({"lifetime": "28800"}, "lifetime '28800', which is not of type int"),
        ({"timeout": -1}, "write seconds"),
        ({"lifetime": 0}, "write seconds"),
        ({"site": "http://flask.example.org"}, "invalid site"),
        ({"site": "https://flask.example.org/"}, "invalid site"),
        ({"acs": "saml/acs"}, "invalid paths"),
        ({"slo": "/logout"}, "invalid paths"),
        ({"metadata": "/saml/acs"}, "invalid paths"),
        ({"metadata": "/<path:all>"}, "invalid paths"),
        ({"slo_post": "/saml/logout"}, "invalid paths"),
        ({"slo_post": "saml/slo"}, "invalid paths"),
        ({"attributes": ["upn"]}, "write an object with the strings id and name"),
        ({"attributes": []}, r"maps no attribute to \['upn'\]"),
        ({"attributes": [{"id": "upn", "name": "upn", "format": "url"}]}, "write format as one of uri, basic"),
        ({"attributes": [{"id": "upn", "name": "upn", "decoder": "base64"}]}, "write decoder as one of string, nameid"),
        ({"attributes": [{"id": "upn", "name": "upn", "scope": "metadata"}]}, "write scope as one of any"),
        ({"attributes": [{"id": "upn", "name": "upn", "default": "root"}]}, "not allowed for the identifier"),
        ({"required": ["Shoe"]}, r"maps no attribute to \['Shoe'\]"),
        ({"idp_metadata": "/nowhere"}, "idp_metadata '/nowhere', which cannot be read: No such file"),
        ({"certificate": "/nowhere"}, "certificate '/nowhere', which cannot be read"),
        ({"key": "/nowhere"}, "key '/nowhere', which cannot be read"),
        ({"key": ""}, "lacks key: write its path"),
        ({"encryption_certificate": "x"}, "lacks encryption_key: write its path.*credential 'saml_encryption_key'"),
        ({"encryption_key": "x"}, "encryption_certificate '', which cannot be read"),
        ({"store": ""}, r"lacks store.*\$STATE_DIRECTORY"),
        ({"store": "sqlite:////nowhere/at/all"}, "a store that cannot be used"),
        ({"store": "no-url"}, "a store that cannot be used"),
        ({"store": "postgresql+nodriver://x"}, "a store that cannot be used"),
        (
            {"idp_entity_id": "https://other.example.org"},
            "describes https://idp.example.org/metadata: set idp_entity_id",
        ),
    ],
)
def test_invalid_setting(saml, change, text):
    with pytest.raises(SettingsError, match=text):
        start({**saml, **change})


@pytest.mark.parametrize("setting", [None, "", [], {}])
def test_missing_setting(setting):
    with pytest.raises(SettingsError, match="FLASK_SSO_SAML"):
        start(setting)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda _: "", "is not metadata"),
        (lambda text: '<!DOCTYPE r [<!ENTITY a "b">]>' + text, "is not metadata"),
        (lambda text: text.replace("IDPSSODescriptor", "SPSSODescriptor"), "describes no identity provider"),
        (lambda text: text.replace("HTTP-Redirect", "SOAP"), "no SingleSignOnService with HTTP-Redirect"),
        (lambda text: text.replace('use="signing"', 'use="encryption"'), "no readable signing"),
        (lambda text: text.replace("<ds:X509Certificate>M", "<ds:X509Certificate>x"), "no readable signing"),
        (lambda text: text.replace('"https://idp.example.org/sso"', '"javascript:x"'), "idp_sso_url_invalid"),
        (lambda text: entities_descriptor(text, text.replace("/metadata", "/other")), "set idp_entity_id"),
        (lambda text: entities_descriptor(text, text), "describes https://idp.example.org/metadata twice"),
        (
            lambda text: entities_descriptor(text, text.replace("IDPSSO", "SPSSO")),
            "describes https://idp.example.org/metadata twice",
        ),
        (
            lambda text: text.replace("</md:Entity", "<md:IDPSSODescriptor/></md:Entity"),
            "twice: use metadata that does",
        ),
        (lambda text: text.replace("entityID", 'validUntil="soon" entityID'), "validUntil='soon' is not a date"),
    ],
)
def test_invalid_metadata(saml, tmp_path, idp, change, text):
    (tmp_path / "idp.xml").write_text(change(idp.metadata()))
    with pytest.raises(SettingsError, match=text):
        start(saml)


def entities_descriptor(*texts: str) -> str:
    declaration = 'xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'
    return f"<md:EntitiesDescriptor {declaration}>{''.join(texts)}</md:EntitiesDescriptor>"


def test_metadata_with_several_entities(saml, tmp_path, idp):
    other = idp.metadata("https://other.example.org").replace("/metadata", "/other")
    (tmp_path / "idp.xml").write_text(entities_descriptor(other, idp.metadata()))
    browser = start({**saml, "idp_entity_id": idp.entity_id}).test_client()
    assert browser.get("/login").location.startswith("https://idp.example.org/sso?")


def test_key_of_another_certificate(saml, tmp_path, other_keys):
    (tmp_path / "sp.key").write_bytes(other_keys.key)
    with pytest.raises(SettingsError, match="certificate and key, which cannot be used together"):
        start(saml)


def test_encryption_key_of_another_certificate(saml, tmp_path, other_keys):
    (tmp_path / "other.key").write_bytes(other_keys.key)
    saml |= {"encryption_certificate": saml["certificate"], "encryption_key": str(tmp_path / "other.key")}
    with pytest.raises(SettingsError, match="encryption_certificate and encryption_key, which cannot be used together"):
        start(saml)


def test_key_that_cannot_sign(saml, tmp_path):
    keys = KeyPair(ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "sp.key").write_bytes(
        keys.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    (tmp_path / "sp.crt").write_bytes(keys.certificate)
    with pytest.raises(SettingsError, match="use an RSA key"):
        start(saml)


def test_key_from_systemd_and_certificate_with_text(saml, monkeypatch, tmp_path, sp_keys):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "sp.key").rename(tmp_path / "credentials" / "saml_key")
    (tmp_path / "sp.crt").write_bytes(b"Certificate:\n    Data:\n" + sp_keys.certificate)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    browser = start({**saml, "key": ""}).test_client()
    assert sp_keys.base64 in browser.get("/saml/metadata").text


def test_store_in_the_state_directory_is_private(saml, monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    start({**saml, "store": ""})
    assert stat.S_IMODE((tmp_path / "saml.sqlite").stat().st_mode) == 0o600


def test_password_of_the_store_is_a_credential(saml, monkeypatch, tmp_path):
    (tmp_path / "saml_store_password").write_text("a@b:c/d\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    opened = []
    monkeypatch.setattr(saml_settings, "Store", opened.append)
    start({**saml, "store": "postgresql+psycopg://app@db.example.org/app?connect_timeout=3"})
    (url,) = opened
    assert (url.username, url.password, url.host) == ("app", "a@b:c/d", "db.example.org")
    assert "a@b" not in str(url)


def test_file_needs_no_password(saml, monkeypatch, tmp_path):
    """A site that was a cluster may still have one."""
    (tmp_path / "saml_store_password").write_text("canary")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert start(saml).extensions["saml"].store.engine.url.password is None


def test_setting_from_the_environment(saml, monkeypatch):
    monkeypatch.setenv("FLASK_SSO_SAML", json.dumps(saml))
    monkeypatch.setenv("FLASK_SSO_AUTHENTICATION", "saml")
    assert create_app({"SECRET_KEY": "tests"}).extensions["saml"].config["store"] == saml["store"]


def test_clock_skew_reaches_python3_saml(saml):
    start({**saml, "clock_skew": 7})
    assert Constants.ALLOWED_CLOCK_DRIFT == 7


@pytest.mark.parametrize("source", ["shibboleth", "client_certificates"])
def test_other_methods_do_not_need_the_saml_packages(source):
    code = f"""
import sys
sys.modules.update(dict.fromkeys(["lxml", "onelogin", "sqlalchemy", "xmlsec"]))
from flask_sso_app import create_app
create_app({{"SECRET_KEY": "tests", "AUTHENTICATION": "{source}"}})
"""
    subprocess.check_call([sys.executable, "-c", code], cwd=Path(__file__).parents[1])


def test_without_python3_saml(saml, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("onelogin", "flask_sso_app.authentication.saml"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onelogin.saml2.auth", None)
    with pytest.raises(SettingsError, match=r"requirements-saml\.txt"):
        start(saml)
