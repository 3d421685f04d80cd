# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of systemd, and the ports (FS1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..model import Finding, UnseenError, check, error, note, ok, warning
from ..site import Site

LISTENER = re.compile(r"^LISTEN +\d+ +\d+ +\S*:(\d+) +\S+ *(?:users:\(\(\"([^\"]+)\")?", re.MULTILINE)


@check(
    "FS101",
    "httpd and shibd run",
    cause="A service that every request needs does not run: it was stopped, or could not start.",
    remedy="Start it: systemctl start UNIT. If it does not start, its reason is in: journalctl -u UNIT -n 50.",
    after=("FS103", "FS201"),
)
def running(site: Site) -> Iterator[Finding]:
    """Ask systemd for the state of both."""
    for unit in site.services:
        seen = f"{unit.name} is {unit.state}" + (f" ({unit.result})." if unit.state == "failed" else ".")
        yield ok(seen) if unit.state in ("active", "reloading") else error(seen)
    if not any(unit.name.startswith(site.httpd_service) for unit in site.services):
        yield error(f"systemd knows no {site.httpd_service}.service.")


@check(
    "FS102",
    "Every service starts when the host does",
    cause="A service runs now, but nothing starts it after a reboot. Then the site is gone until it is started.",
    remedy="Run: systemctl enable UNIT.",
)
def enabled(site: Site) -> Iterator[Finding]:
    """Ask systemd which are enabled; of the application's units, one is enough."""
    for unit in site.services:
        seen = f"{unit.name} is {unit.enabled or 'generated'}."
        yield warning(seen) if unit.enabled in ("disabled", "masked") else ok(seen)
    try:
        application = site.application_units
    except UnseenError:
        return
    names = ", ".join(unit.name for unit in application)
    if all(unit.enabled in ("disabled", "masked") for unit in application):
        yield warning(f"None of {names} is enabled.")
    else:
        yield ok(f"The application starts by {names}.")


@check(
    "FS103",
    "The site's ports are httpd's",
    cause="httpd does not listen on a port of its configuration, or another program has taken it first.",
    remedy=(
        "Stop the other program, or give one of them another port (apache_ssl_https_port); then systemctl restart "
        "httpd or apache2."
    ),
    after=("FS201",),
)
def ports(site: Site) -> Iterator[Finding]:
    """Compare who listens with the virtual hosts."""
    runs = any(unit.name.startswith(site.httpd_service) and unit.state == "active" for unit in site.services)
    listeners = dict(LISTENER.findall(site.host.run("ss", "-H", "-l", "-t", "-n", "-p").text))
    for port in sorted({each.port for each in site.virtual_hosts}):
        if str(port) not in listeners:
            seen = f"Nothing listens on port {port}."
            yield error(seen) if runs else note(f"{seen} httpd does not run.")
            continue
        program = listeners[str(port)]
        if not program:
            raise UnseenError("only root sees who listens: use sudo")
        seen = f"{program} listens on port {port}."
        yield ok(seen) if program in ("apache2", "httpd", "systemd") else error(seen)
