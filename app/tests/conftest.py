# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: the application behind Apache, and the WSGI environ of mod_shib."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings
from onelogin.saml2.constants import OneLogin_Saml2_Constants
from saml_idp import IdentityProvider, KeyPair

from flask_sso_app import create_app

# On a busy machine, slowness is no fault.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

SITE = "https://flask.example.org"
SESSION = {
    "Shib-Session-ID": "_6f1c0b7e8d9a4c3b2a1f0e9d8c7b6a59",
    "Shib-Identity-Provider": "https://auth.cern.ch/auth/realms/cern",
    "Shib-Authentication-Instant": "2026-01-31T12:00:00.250Z",
    "Shib-AuthnContext-Class": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
}


def shibboleth(**attributes: str) -> dict[str, str]:
    """Return the environ of a session; WSGI passes UTF-8 bytes as Latin-1 characters."""
    return SESSION | {name: value.encode().decode("latin-1") for name, value in attributes.items()}


GRACE = shibboleth(
    upn="ghopper", displayName="Grace Hopper", EmailAddress="grace@example.org", Group="navy;compilers", PersonID="1906"
)


class Browser(FlaskClient):
    """A test client that uses HTTPS."""

    def open(self, *args, environ=None, **kwargs):
        """Send a request; ``environ`` holds the variables that Apache adds."""
        return super().open(*args, base_url=SITE, environ_overrides=environ, **kwargs)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Remove settings of the developer's environment."""
    for name in ("CREDENTIALS_DIRECTORY", "FLASK_DEBUG", "FLASK_SSO_SECRET_KEY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def app() -> Flask:
    app = create_app({"SECRET_KEY": "tests"})
    app.test_client_class = Browser
    return app


@pytest.fixture
def browser(app) -> Browser:
    return app.test_client()


@pytest.fixture(scope="session")
def idp() -> IdentityProvider:
    return IdentityProvider(f"{SITE}/Shibboleth.sso", f"{SITE}/saml/acs", f"{SITE}/saml/logout")


@pytest.fixture(scope="session")
def sp_keys() -> KeyPair:
    return KeyPair()


@pytest.fixture(scope="session")
def other_keys() -> KeyPair:
    return KeyPair()


@pytest.fixture
def saml(tmp_path, monkeypatch, idp, sp_keys) -> dict:
    """Return a valid setting ``SAML``, with its files."""
    # The application sets this constant, which applies to the whole process.
    monkeypatch.setattr(OneLogin_Saml2_Constants, "ALLOWED_CLOCK_DRIFT", 300)
    (tmp_path / "idp.xml").write_text(idp.metadata())
    (tmp_path / "sp.crt").write_bytes(sp_keys.certificate)
    (tmp_path / "sp.key").write_bytes(sp_keys.key)
    return {
        "entity_id": idp.sp,
        "site": SITE,
        "idp_metadata": str(tmp_path / "idp.xml"),
        "certificate": str(tmp_path / "sp.crt"),
        "key": str(tmp_path / "sp.key"),
        "store": f"sqlite:///{tmp_path}/store.sqlite",
        "attributes": [
            {"id": "upn", "name": "upn"},
            {"id": "displayName", "name": "displayName"},
            {"id": "EmailAddress", "name": "mail"},
            {"id": "EmailAddress", "name": "urn:oid:0.9.2342.19200300.100.1.3"},
            {"id": "Group", "name": "Group"},
        ],
    }
