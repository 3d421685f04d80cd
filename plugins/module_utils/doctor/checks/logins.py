# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins that have failed, as the logs of shibd and httpd explain them (FS9)."""

from __future__ import annotations

from collections.abc import Iterator

from ..logins import REASONS, Reason
from ..model import Finding, Severity, check, ok
from ..site import Site


def register(reason: Reason) -> None:
    """Make a check of what explains a failed login.

    :param reason: The explanation.
    """

    @check(
        reason.code,
        reason.title,
        cause=reason.cause.format("NAME", "FORMAT"),
        remedy=reason.remedy,
        after=reason.after,
    )
    def look(site: Site) -> Iterator[Finding]:
        """Look for it in the logs. Once another login has worked, it is only noted."""
        failed = [login for login in site.logins if login.code == reason.code]
        worked = max((login.time for login in site.logins if login.severity == Severity.OK), default=0)
        for text, time in {login.text: login.time for login in failed}.items():
            over = reason.ordinary or time < worked
            yield Finding(min(reason.severity, Severity.NOTE) if over else reason.severity, text)
        if not failed:
            yield ok("No login failed for this.")


for each in REASONS:
    register(each)
