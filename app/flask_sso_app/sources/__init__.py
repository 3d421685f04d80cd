# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapters, one for each way in: each turns a WSGI environ into an identity, or None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app, request

from flask_sso_app import transport
from flask_sso_app.identity import Identity
from flask_sso_app.sources import client_certificate, shibboleth

SOURCES = {source.NAME: source.identify for source in (shibboleth, client_certificate)}


def variables() -> Mapping[str, Any]:
    """Return what the server in front says of this request, however it says it."""
    return transport.variables(request.environ, current_app.config["HEADER_PREFIX"])


def identify() -> Identity | None:
    """Return the identity that the source in the setting ``SOURCE`` finds, or None for an anonymous request."""
    return SOURCES[current_app.config["SOURCE"]](variables())
