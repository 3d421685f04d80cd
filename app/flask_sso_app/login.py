# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logins of all authentication methods share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import wraps
from typing import Any, Callable

from flask import current_app, g, redirect, render_template, request, url_for

from flask_sso_app.identity import Session

#: Maximum length of the URL that is stored during a login. Anyone can start a login, so it must not be large.
MAX_URL_LENGTH = 2000


def next_url() -> str:
    """Return where to go after the login: the parameter ``next``, or the start page if that is not a local path."""
    url = request.args.get("next", "")
    return url if is_local_path(url) and len(url) <= MAX_URL_LENGTH else url_for("pages.home")


def is_local_path(url: str) -> bool:
    """Tell whether browsers read a URL as a path on this site, and not as a link to another site."""
    return url.startswith("/") and not url.startswith("//") and "\\" not in url and url.isprintable()


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view that needs a user: anonymous users log in first and then come back."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if g.identity is None:
            return redirect(url_for("login", next=(request.script_root + request.full_path).rstrip("?")))
        return view(*args, **kwargs)

    return wrapper


def reject(
    session: Session | None, attributes: Mapping[str, tuple[str, ...]], required: Iterable[str] = ()
) -> tuple[str, int]:
    """Reject a login, and say why on a page and in the log.

    :param session: the session at the identity provider, if there is one.
    :param attributes: attributes of the user, with their values.
    :param required: names of the attributes that every user must have, beside the identifier.
    :return: the page and status 403.
    """
    identifier = current_app.config["ATTRIBUTES"]["identifier"]
    missing = [name for name in dict.fromkeys([identifier, *required]) if not attributes.get(name)]
    count = len(attributes.get(identifier, ()))
    current_app.logger.warning(
        "Login rejected: %s, %d values of %r, missing: %s, attributes received: %s",
        f"session from {session.identity_provider!r}" if session else "no session",
        count,
        identifier,
        ", ".join(missing) or "none",
        ", ".join(attributes) or "none",
    )
    page = render_template(
        "login_failed.html",
        session=session,
        attributes=attributes,
        names=missing or [identifier],
        count=0 if missing else count,
    )
    return page, 403
