# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference Flask application behind single sign-on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, g, render_template, request
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.wrappers import Response

from flask_sso_app import directory, pages, settings, sources, transport

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)

#: What answers whoever asks, even when nobody can say who that is.
FOR_ANYBODY = ("static", "pages.healthz")


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build the application.

    :param config: settings that override those of the environment (see :mod:`flask_sso_app.settings`).
    :raises flask_sso_app.settings.SettingsError: if a setting is wrong or the secret key is missing.
    """
    app = Flask(__name__)
    settings.load(app, config or {})
    directory.init_app(app)
    sources.init_app(app)
    app.register_blueprint(pages.blueprint)
    app.before_request(identify)
    app.after_request(protect)
    app.register_error_handler(HTTPException, error_page)
    return app


def identify() -> None:
    """Find out who sends this request. Every request asks anew, so a logout takes effect at once."""
    g.variables = transport.variables(request.environ, current_app.config["HEADER_PREFIX"])
    g.identity = None if request.endpoint in FOR_ANYBODY else sources.identify(g.variables)


def protect(response: Response) -> Response:
    """Restrict what a page may load, and keep personal pages out of every cache."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Cookie")
    return response


def error_page(error: HTTPException) -> HTTPException | Response:
    """Answer an error with a page that says what to do; its headers (such as ``Allow``) are kept."""
    if isinstance(error, SecurityError):  # an untrusted Host: there is no site to build links for
        return error
    response = error.get_response()
    response.set_data(render_template("error.html", error=error))
    return response
