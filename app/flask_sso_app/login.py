# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in and log out, by Flask-Multipass."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable

from flask import Flask, Response, current_app, g, redirect, render_template, request, url_for
from flask_multipass import Multipass

from flask_sso_app import sources
from flask_sso_app.sources import shibboleth


class SingleSignOn(Multipass):
    """Flask-Multipass, stricter about where to go after a login and clearer about why one failed."""

    def validate_next_url(self, url: str) -> bool:
        """Accept own paths only."""
        return is_own_path(url)

    def handle_auth_error(self, exc: Exception, redirect_to_login: bool = False) -> tuple[str, int]:
        """Say what is missing. Another try would fail the same way, so there is no redirect to the login."""
        return refuse()


multipass = SingleSignOn()


@multipass.identity_handler
def finish(_identity_info: object) -> tuple[str, int] | None:
    """Go on to the page asked for, or refuse a session that names nobody or several people."""
    if g.identity is None:
        return refuse()
    multipass.set_next_url()
    return None


def init_app(app: Flask) -> None:
    """Set up the login of an application; ``/login`` is where Apache requires a session."""
    if app.config["SOURCE"] != shibboleth.NAME:
        app.add_url_rule("/login", "login", enter)
        return
    app.config.update(
        shibboleth.multipass_settings(app.config), MULTIPASS_LOGIN_URLS=None, MULTIPASS_SUCCESS_ENDPOINT="pages.home"
    )
    app.add_url_rule("/login", "login", build_only=True)  # a short name for the rule that Flask-Multipass adds
    multipass.init_app(app)


def enter() -> Response | tuple[str, int]:
    """Go on to the page asked for, where the server has already found out who the user is."""
    if g.identity is None:
        return render_template("certificate.html"), 403
    url = request.args.get("next", "")
    return redirect(url if is_own_path(url) else url_for("pages.home"))


def is_own_path(url: str) -> bool:
    """Tell whether a browser takes ``url`` for a path on this site, not for another site."""
    return url.startswith("/") and not url.startswith("//") and "\\" not in url and url.isprintable()


def required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view that needs a login: an anonymous user logs in first and then comes back."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if g.identity is None:
            return redirect(url_for("login", next=(request.script_root + request.full_path).rstrip("?")))
        return view(*args, **kwargs)

    return guarded


def log_out() -> Response:
    """End the single sign-on session, and come back to the start page. A certificate stays until the browser closes."""
    if current_app.config["SOURCE"] != shibboleth.NAME:
        return redirect(url_for("pages.home"))
    provider = multipass.auth_providers[g.identity.source if g.identity else shibboleth.NAME]
    return provider.process_logout(url_for("pages.home", _external=True))


def refuse() -> tuple[str, int]:
    """Explain to the user, and in the log, why a login did not work."""
    attribute = current_app.config["ATTRIBUTES"]["identifier"]
    said = sources.variables()
    session, attributes = shibboleth.read_session(said), shibboleth.read_attributes(said)
    count = len(attributes.get(attribute, ()))
    current_app.logger.warning(
        "Login refused: %s, %d values of %r, attributes received: %s",
        f"session from {session.identity_provider!r}" if session else "no session",
        count,
        attribute,
        ", ".join(attributes) or "none",
    )
    page = render_template("refused.html", attribute=attribute, session=session, attributes=attributes, count=count)
    return page, 403
