# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application's server behind httpd: uWSGI, gunicorn and others (FS4)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..model import Finding, check, error, ok, warning
from ..site import Site, Unit

RAISED = re.compile(r"^((?:\w+\.)*\w*(?:Error|Exception|NotFound))\b(: .*)?$", re.MULTILINE)
# What these say is about the code. The text of others may have a value of the configuration, such as a password.
ABOUT_CODE = ("ImportError", "IndentationError", "ModuleNotFoundError", "NameError", "SyntaxError")
NO_APPLICATION = re.compile(r"no python application found|unable to load app")
BLOCK_SIZE = re.compile(r"invalid request block size: (\d+)")
KILLED = re.compile(r"worker \d+ \(pid: \d+\) died, killed by signal 9|Worker \(pid:\d+\) was sent SIGKILL")


def services(site: Site) -> list[Unit]:
    """Return the units that run processes."""
    return [unit for unit in site.application_units if unit.name.endswith(".service")]


def since_start(site: Site, unit: Unit) -> str:
    """Return what a unit has printed since it was started; of one that does not run, it may be of long ago."""
    return site.journal(unit) if unit.state == "active" else ""


@check(
    "FS401",
    "httpd may open the application's socket",
    cause="httpd's account has no right to write to the socket of the application, so every request ends with 503.",
    remedy=(
        "Set owner, group and mode as flask_app does: the application's account, httpd's group, 0660. Run "
        "site.yml, or systemctl restart NAME.socket."
    ),
    after=("FS201", "FS402", "FS403"),
)
def socket(site: Site) -> Iterator[Finding]:
    """Try it as httpd's account."""
    for path in [backend.socket for backend in site.backends if backend.socket]:
        if site.may(site.httpd_account, "-w", path):
            yield ok(f"{site.httpd_account} may write to {path}.")
        elif not site.host.find(path):
            yield error(f"{path} does not exist.")
        else:
            owner = site.host.run("stat", "--format=%U %G %a", path).text.strip()
            yield error(f"{site.httpd_account} may not write to {path} (owner, group, mode: {owner}).")


@check(
    "FS402",
    "The application can be imported",
    cause=(
        "Python could not import the application, so its server has nothing to serve. The last line of the "
        "traceback says why."
    ),
    remedy=(
        "Add the missing module to requirements.txt, or correct the code or flask_app_wsgi; run site.yml, or "
        "playbooks/rollback.yml."
    ),
    after=("FS201",),
)
def imported(site: Site) -> Iterator[Finding]:
    """Read what the server has printed since its last start."""
    for unit in services(site):
        # That of a unit that an administrator has stopped may be about an earlier fault.
        printed = "" if unit.state == "inactive" else site.journal(unit)
        raised = RAISED.findall(printed)
        if NO_APPLICATION.search(printed) or (unit.state in ("failed", "activating") and raised):
            name, text = raised[-1] if raised else ("no application was found.", "")
            more = text if not text or name in ABOUT_CODE else f"; see journalctl -u {unit.name} -n 50"
            yield error(f"{unit.name}: {name}{more}")
        else:
            yield ok(f"{unit.name} has no error of an import.")


@check(
    "FS403",
    "The application's units run",
    cause="The application's server does not run: it was stopped, or it cannot start.",
    remedy="Run: systemctl restart UNIT. If it does not start, its reason is in: journalctl -u UNIT -n 50.",
    after=("FS201", "FS402"),
)
def running(site: Site) -> Iterator[Finding]:
    """Ask systemd. Where a socket waits for requests, its service may still be asleep."""
    waiting = {unit.name.rpartition(".")[0] for unit in site.application_units if unit.name.endswith(".socket")}
    for unit in site.application_units:
        stem, _dot, kind = unit.name.rpartition(".")
        seen = f"{unit.name} is {unit.state}" + (f" ({unit.result})." if unit.state == "failed" else ".")
        asleep = unit.state == "inactive" and kind == "service" and stem in waiting
        yield ok(seen) if unit.state in ("active", "activating", "reloading") or asleep else error(seen)


@check(
    "FS404",
    "httpd does not pass requests to port 3031",
    cause="httpd's module for uWSGI takes port 3031, uWSGI's customary one, as no port, and connects to port 0: 503.",
    remedy=(
        "Use a Unix socket, as flask_app_socket has by default, or any other port, in uWSGI's settings and in "
        "ProxyPass."
    ),
    after=("FS201",),
)
def port(site: Site) -> Iterator[Finding]:
    """Look for it in the proxy rules."""
    for backend in site.backends:
        where = backend.socket or backend.place
        wrong = backend.protocol == "uwsgi" and not backend.socket and backend.place.endswith(":3031")
        yield error(f"httpd passes requests to {where}.") if wrong else ok(f"httpd passes requests to {where}.")


@check(
    "FS405",
    "Requests fit into uWSGI's buffer",
    cause=(
        "A request with its attributes was larger than uWSGI's buffer, and was refused. Users with many roles are "
        "the first whom it meets."
    ),
    remedy="Set buffer-size = 65535 in uWSGI's settings, as flask_app does; fewer attributes or cookies help, too.",
)
def buffer(site: Site) -> Iterator[Finding]:
    """Read uWSGI's complaint."""
    for unit in services(site):
        sizes = BLOCK_SIZE.findall(since_start(site, unit))
        if sizes:
            yield error(f"{unit.name} refused {len(sizes)} requests, the largest of {max(map(int, sizes))} bytes.")
        else:
            yield ok(f"{unit.name} refused no request for its size.")


@check(
    "FS406",
    "No worker of the application was killed",
    cause=(
        "A worker was killed from outside, mostly as the service reached its limit of memory, or as a request took"
        " too long."
    ),
    remedy=(
        "Set flask_app_memory or flask_app_request_seconds to what the application needs, and see which request it"
        " was in the journal."
    ),
)
def killed(site: Site) -> Iterator[Finding]:
    """Read what the server says about its workers."""
    for unit in services(site):
        number = len(KILLED.findall(since_start(site, unit)))
        if number or unit.result == "oom-kill":
            yield warning(f"{number} workers of {unit.name} were killed; its last result is {unit.result}.")
        else:
            yield ok(f"No worker of {unit.name} was killed.")
