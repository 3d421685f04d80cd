# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of httpd as a whole (FS2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..logins import stamped
from ..model import Finding, UnseenError, check, error, note, ok, warning
from ..site import Site

CRASH = re.compile(r"AH0005[12]: child pid \d+ exit signal ([^(,]+)")
# httpd starts a process again once a second; so many in a minute are more than a request that hurts.
MANY_CRASHES = 3
NOISE = re.compile(r"^AH00558|^Syntax OK|^\s*$|^Action .* failed|^The Apache error log may have")


@check(
    "FS201",
    "httpd accepts its configuration",
    cause=(
        "A file of httpd has a line that it does not understand. It runs on with what it read before, but no "
        "restart or reload works."
    ),
    remedy=(
        "The line says file, number and reason. Correct the variable that it comes from and run site.yml, or the "
        "file, and try: apachectl -t."
    ),
)
def configuration(site: Site) -> Iterator[Finding]:
    """Have httpd read it as it would to start."""
    if site.httpd_test.status == 0:
        yield ok("httpd can load it.")
        return
    if site.host.run("id", "-u").text.strip() != "0":
        raise UnseenError("httpd reads its keys only for root: use sudo")
    lines = [line for line in site.httpd_test.text.splitlines() if not NOISE.search(line)]
    for line in lines[:3] or ["httpd refuses it without a reason."]:
        yield error(line)


@check(
    "FS202",
    "A virtual host speaks TLS",
    cause=(
        "httpd has no virtual host with TLS, so there is no https and no login: its cookies are only sent over https. "
        "Behind a proxy that ends TLS, it takes all requests for http, and so do mod_shib and mod_auth_openidc."
    ),
    remedy=(
        "Deploy apache_ssl. By hand: enable mod_ssl, and write VirtualHost *:443 with SSLEngine on and a certificate. "
        "Behind a proxy that ends TLS: ServerName https://NAME."
    ),
    after=("FS201",),
)
def secure(site: Site) -> Iterator[Finding]:
    """Look for TLS in the virtual hosts that httpd lists."""
    found = [each for each in site.virtual_hosts if each.is_secure]
    for each in found:
        yield ok(f"{each.name} is on port {each.port}.")
    told = [each for each in site.virtual_hosts if each.value("ServerName").startswith("https://")]
    for each in told if not found else []:
        yield note(f"{each.name} on port {each.port} is without TLS, and told that a proxy before it has https.")
    if not found and not told:
        names = ", ".join(f"{each.name}:{each.port}" for each in site.virtual_hosts) or "none"
        yield error(f"httpd's virtual hosts are: {names}.")


@check(
    "FS203",
    "httpd's processes run on",
    cause=(
        "Processes of httpd crash. If they do as soon as they start, connections to the site are made, and no "
        "client ever gets a response."
    ),
    remedy=(
        "Run: systemctl reload httpd or apache2, as a module that is new to httpd may need a second one. If they go "
        "on to crash, disable the module that was enabled or upgraded last, and restart httpd."
    ),
    after=("FS101", "FS201"),
)
def processes(site: Site) -> Iterator[Finding]:
    """Read which processes were ended by a signal, in the last minute and before."""
    logs = [*site.host.find("/var/log/apache2/*error.log"), *site.host.find("/var/log/httpd/*error_log")]
    if not logs:
        raise UnseenError("there is no error log in /var/log/apache2 or /var/log/httpd")
    crashes = [
        (stamped(line), match[1].strip())
        for path in logs
        for line in site.host.read(path).splitlines()
        if (match := CRASH.search(line)) and stamped(line) >= site.begin
    ]
    recent = [signal for time, signal in crashes if time > site.host.now() - 60]
    if recent:
        seen = f"In the last minute, {len(recent)} processes ended: {recent[-1]}."
        yield error(seen) if len(recent) >= MANY_CRASHES else warning(seen)
    elif crashes:
        yield note(f"{len(crashes)} processes ended, none of them in the last minute: {crashes[-1][1]}.")
    else:
        yield ok("No process of httpd has crashed.")
