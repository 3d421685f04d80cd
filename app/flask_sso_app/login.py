# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login has in common, whichever way a user comes in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import wraps
from typing import Any, Callable

from flask import current_app, g, redirect, render_template, request, url_for

from flask_sso_app.identity import Session

#: Characters of the longest address that is remembered while somebody logs in: anybody can have one remembered.
LONGEST = 2000


def target() -> str:
    """Return where to go after the login: the page asked for, if it is on this site and not too long."""
    url = request.args.get("next", "")
    return url if is_own_path(url) and len(url) <= LONGEST else url_for("pages.home")


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


def refuse(
    session: Session | None, attributes: Mapping[str, tuple[str, ...]], needed: Iterable[str] = ()
) -> tuple[str, int]:
    """Explain to the user, and in the log, why a login did not work.

    :param needed: names of attributes that a user must have beside the identifier.
    """
    identifier = current_app.config["ATTRIBUTES"]["identifier"]
    missing = [name for name in dict.fromkeys([identifier, *needed]) if not attributes.get(name)]
    count = len(attributes.get(identifier, ()))
    current_app.logger.warning(
        "Login refused: %s, %d values of %r, missing: %s, attributes received: %s",
        f"session from {session.identity_provider!r}" if session else "no session",
        count,
        identifier,
        ", ".join(missing) or "none",
        ", ".join(attributes) or "none",
    )
    page = render_template(
        "refused.html",
        session=session,
        attributes=attributes,
        wanted=missing or [identifier],
        count=0 if missing else count,
    )
    return page, 403
