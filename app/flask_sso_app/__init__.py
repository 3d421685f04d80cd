# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference Flask application behind single sign-on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, g, render_template, request
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.wrappers import Response

from flask_sso_app import authentication, ldap_directory, pages, settings, transport

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)

#: Endpoints that need no identity. They answer even if the directory of users does not.
PUBLIC_ENDPOINTS = ("static", "pages.healthz")


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Create the application.

    :param config: settings that override those of the environment (see :mod:`flask_sso_app.settings`).
    :return: the application.
    :raises flask_sso_app.settings.SettingsError: if a setting is wrong or the secret key is missing.
    """
    app = Flask(__name__)
    settings.load(app, config or {})
    ldap_directory.init_app(app)
    authentication.init_app(app)
    app.register_blueprint(pages.blueprint)
    app.before_request(load_identity)
    app.after_request(set_security_headers)
    app.register_error_handler(HTTPException, handle_http_error)
    return app


def load_identity() -> None:
    """Set ``g.identity`` to the identity of the user, or None. It is never cached, so a logout takes effect at once."""
    g.server_variables = transport.server_variables(request.environ, current_app.config["HEADER_PREFIX"])
    g.identity = None if request.endpoint in PUBLIC_ENDPOINTS else authentication.identify(g.server_variables)


def set_security_headers(response: Response) -> Response:
    """Restrict what a page may load, and forbid caches to store personal pages."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Cookie")
    return response


def handle_http_error(error: HTTPException) -> HTTPException | Response:
    """Return an error page that says what to do. Headers of the error, such as ``Allow``, are kept."""
    if isinstance(error, SecurityError):  # the Host is not trusted, so url_for() fails
        return error
    response = error.get_response()
    response.set_data(render_template("error.html", error=error))
    return response
