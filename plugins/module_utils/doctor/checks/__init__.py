# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks, a file for each program or part of the host; importing them registers them."""

from __future__ import annotations

from ..model import CHECKS
from . import application, certificates, httpd, logins, machine, network, openid, services, shibboleth, visitor

__all__ = [
    "CHECKS",
    "application",
    "certificates",
    "httpd",
    "logins",
    "machine",
    "network",
    "openid",
    "services",
    "shibboleth",
    "visitor",
]
