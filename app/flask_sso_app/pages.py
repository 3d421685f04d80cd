# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from flask_sso_app import login, sources

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    """For everybody."""
    return render_template("home.html" if g.identity else "welcome.html")


@blueprint.get("/profile")
@login.required
def profile() -> str:
    """For users who are logged in: the identity as the application sees it."""
    return render_template("profile.html", document=json.dumps(g.identity.to_json(), indent=2, ensure_ascii=False))


@blueprint.get("/api/me")
def me() -> tuple[dict[str, Any], int]:
    """Tell a program who is logged in."""
    if g.identity is None:
        return {"error": "Not logged in."}, 401
    return g.identity.to_json(), 200


@blueprint.get("/logout")
def logout() -> Response:
    """End both sessions: the application's and the single sign-on's. Another site's link only leads to the button."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return redirect(url_for("pages.home"))
    response = sources.log_out()
    session.clear()
    return response


@blueprint.get("/hello")
def hello() -> Response:
    """Greet the user by name, in plain text."""
    return Response(f"Hello {g.identity.display_name if g.identity else 'Unauthorized'}!", mimetype="text/plain")


@blueprint.get("/ping")
@login.required
def ping() -> Response:
    """Answer whoever is logged in."""
    return Response("pong", mimetype="text/plain")


@blueprint.get("/healthz")
def healthz() -> Response:
    """Tell a monitor that the application runs."""
    return Response("ok", mimetype="text/plain")
