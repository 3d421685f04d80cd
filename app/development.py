# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application without Apache, for development: the user is always Ada Lovelace. Runs in debug mode only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from werkzeug import Request
from werkzeug.utils import redirect

from flask_sso_app import create_app

COOKIE = "development_session"
SESSION = {
    "Shib-Session-ID": "_0123456789abcdef0123456789abcdef",
    "Shib-Identity-Provider": "https://idp.example.org/",
    "Shib-Authentication-Instant": "2026-01-31T12:00:00Z",
    "upn": "alovelace",
    "displayName": "Ada Lovelace",
    "EmailAddress": "ada@example.org",
    "Group": "analysts;engine-room;mathématiques".encode().decode("latin-1"),
}

app = create_app()
if not app.debug:
    raise SystemExit(
        "development.py has no authentication, so it runs in debug mode only: flask --app development run --debug"
    )
application = app.wsgi_app


def fake_mod_shib(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Act as mod_shib: start a session at ``/login``, add it to the WSGI environ, and end it at the logout URL."""
    request = Request(environ)
    if request.path == "/Shibboleth.sso/Logout":
        response = redirect("/")
        response.delete_cookie(COOKIE)
        return response(environ, start_response)
    if COOKIE in request.cookies:
        environ.update(SESSION)
    elif request.path == "/login":
        response = redirect(request.full_path)
        response.set_cookie(COOKIE, "1", httponly=True, samesite="Lax")
        return response(environ, start_response)
    return application(environ, start_response)


app.wsgi_app = fake_mod_shib
