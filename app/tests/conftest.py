# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application as it runs behind Apache, and the environ that mod_shib gives it."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_sso_app import create_app

SITE = "https://flask.example.org"
SESSION = {
    "Shib-Session-ID": "_6f1c0b7e8d9a4c3b2a1f0e9d8c7b6a59",
    "Shib-Identity-Provider": "https://auth.cern.ch/auth/realms/cern",
    "Shib-Authentication-Instant": "2026-01-31T12:00:00.250Z",
    "Shib-AuthnContext-Class": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
}


def shibboleth(**attributes: str) -> dict[str, str]:
    """Return the environ of a session: WSGI shows the UTF-8 bytes of mod_shib as Latin-1."""
    return SESSION | {name: value.encode().decode("latin-1") for name, value in attributes.items()}


GRACE = shibboleth(
    upn="ghopper", displayName="Grace Hopper", EmailAddress="grace@example.org", Group="navy;compilers", PersonID="1906"
)


class Browser(FlaskClient):
    """A client of the site, over https."""

    def open(self, *args, environ=None, **kwargs):
        """Send a request; ``environ`` is what Apache adds."""
        return super().open(*args, base_url=SITE, environ_overrides=environ, **kwargs)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Keep the settings of this machine out of the tests."""
    for name in ("CREDENTIALS_DIRECTORY", "FLASK_DEBUG", "FLASK_SSO_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def app() -> Flask:
    app = create_app({"SECRET_KEY": "tests"})
    app.test_client_class = Browser
    return app


@pytest.fixture
def browser(app) -> Browser:
    return app.test_client()
