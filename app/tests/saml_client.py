# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A browser between the application, as a SAML service provider, and the identity provider of the tests."""

from __future__ import annotations

import base64

from conftest import Browser
from lxml import etree
from saml_idp import IdentityProvider, Message

from flask_sso_app import create_app


def open_browser(saml: dict, **settings) -> Browser:
    """Return a client of an application with the setting ``SAML``."""
    app = create_app({"SECRET_KEY": "tests", "AUTHENTICATION": "saml", "SAML": saml, **settings})
    app.test_client_class = Browser
    return app.test_client()


def start_login(browser: Browser, target: str = "/profile") -> Message:
    """Start a login and return the AuthnRequest."""
    return Message(browser.get("/login", query_string={"next": target}).location)


def response_form(response: etree._Element | bytes, relay_state: str) -> dict[str, str]:
    """Return the form with a response that the browser posts to the ACS."""
    text = response if isinstance(response, bytes) else etree.tostring(response)
    return {"SAMLResponse": base64.b64encode(text).decode(), "RelayState": relay_state}


def post_response(browser: Browser, request: Message, response: etree._Element | bytes):
    return browser.post("/saml/acs", data=response_form(response, request.relay_state))


def log_in(browser: Browser, idp: IdentityProvider, **changes):
    request = start_login(browser)
    return post_response(browser, request, idp.signed(request.id, **changes))


def logged_in_user(browser: Browser) -> str | None:
    """Return the identifier of the user, or None."""
    return browser.get("/api/me").json.get("identifier")
