# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A WSGI application that sets headers and answers with the status that a request asks for."""

from collections.abc import Callable, Iterable


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    """Answer with the path's last part as the status; the query is X-Frame-Options."""
    query = environ["QUERY_STRING"]
    own = [("X-Frame-Options", query), ("Strict-Transport-Security", "max-age=5")] if query else []
    start_response(environ["PATH_INFO"].rpartition("/")[2] + " As asked", [("Content-Type", "text/plain"), *own])
    return [b"x\n"]
