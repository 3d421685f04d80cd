# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapters, one for each way in: each turns a WSGI environ into an identity, or None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_sso_app.identity import Identity
from flask_sso_app.sources import shibboleth

SOURCES = (shibboleth.identify,)


def identify(environ: Mapping[str, Any]) -> Identity | None:
    """Return the identity of the first source that knows the user, or None for an anonymous request.

    :param environ: WSGI environ of the request.
    """
    return next(filter(None, (source(environ) for source in SOURCES)), None)
