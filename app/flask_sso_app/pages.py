# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of the application."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from flask_sso_app import authentication
from flask_sso_app.login import login_required

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    """Show the user, or the login button."""
    return render_template("home.html" if g.identity else "welcome.html")


@blueprint.get("/profile")
@login_required
def profile() -> str:
    """Show which attribute each field of the identity comes from."""
    return render_template("profile.html", document=json.dumps(g.identity.to_json(), indent=2, ensure_ascii=False))


@blueprint.get("/api/me")
def me() -> tuple[dict[str, Any], int]:
    """Return the identity as JSON, or status 401."""
    if g.identity is None:
        return {"error": "Not logged in."}, 401
    return g.identity.to_json(), 200


@blueprint.get("/logout")
def logout() -> Response:
    """End the session here and at the identity provider."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":  # a link on another site must not log the user out
        return redirect(url_for("pages.home"))
    response = authentication.log_out()
    session.clear()
    return response


@blueprint.get("/hello")
def hello() -> Response:
    """Greet the user by name, as plain text."""
    return Response(f"Hello {g.identity.display_name if g.identity else 'Unauthorized'}!", mimetype="text/plain")


@blueprint.get("/ping")
@login_required
def ping() -> Response:
    """Return ``pong`` to users who are logged in."""
    return Response("pong", mimetype="text/plain")


@blueprint.get("/healthz")
def healthz() -> Response:
    """Return ``ok``, for monitoring."""
    return Response("ok", mimetype="text/plain")
