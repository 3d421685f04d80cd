# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A browser between the application, as its own SAML service provider, and the identity provider of the tests."""

from __future__ import annotations

import base64

from conftest import Browser
from lxml import etree
from saml_idp import IdentityProvider, Message

from flask_sso_app import create_app


def open_browser(saml: dict, **settings) -> Browser:
    """Return a browser of a service provider."""
    app = create_app({"SECRET_KEY": "tests", "AUTHENTICATION": "saml", "SAML": saml, **settings})
    app.test_client_class = Browser
    return app.test_client()


def ask(browser: Browser, target: str = "/profile") -> Message:
    """Begin a login."""
    return Message(browser.get("/login", query_string={"next": target}).location)


def form(response: etree._Element | bytes, relay_state: str) -> dict[str, str]:
    """Return the form that the identity provider has the browser post."""
    text = response if isinstance(response, bytes) else etree.tostring(response)
    return {"SAMLResponse": base64.b64encode(text).decode(), "RelayState": relay_state}


def answer(browser: Browser, request: Message, response: etree._Element | bytes):
    return browser.post("/saml/acs", data=form(response, request.relay_state))


def log_in(browser: Browser, idp: IdentityProvider, **changes):
    request = ask(browser)
    return answer(browser, request, idp.signed(request.id, **changes))


def user_of(browser: Browser) -> str | None:
    """Return who the application says the user is."""
    return browser.get("/api/me").json.get("identifier")
