# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine itself: disk, memory, clock, and what its kernel refuses (FS0)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from ..model import Finding, UnseenError, check, error, note, ok, warning
from ..site import Site

LOGS = ["/var/log", "/var/log/apache2", "/var/log/httpd", "/var/log/shibboleth"]
WRITTEN = ["/", "/var", "/var/cache", "/var/lib", *LOGS, "/var/tmp", "/run", "/srv", "/tmp"]  # noqa: S108
FULL_BYTES, SCARCE_BYTES, SCARCE_PERCENT = 10_000_000, 1_000_000_000, 95
LITTLE_MEMORY = 0.03  # of all memory
SKEW_SECONDS = 90  # half of what shibd permits
OURS = re.compile(r"apache2|httpd|shibd|uwsgi|gunicorn|python")
KILLED = re.compile(r"[Oo]ut of memory: Killed process \d+ \((.+?)\)")
DENIED = re.compile(r"avc: +denied +\{ ([^}]+) \}.*? comm=\"([^\"]+)\".*?tcontext=(\S+)")
DENIED_AT = re.compile(r"audit\((\d+)")


def table(site: Site, *columns: str) -> list[list[str]]:
    """Ask df about the file systems that a site writes to.

    :param site: The site.
    :param columns: What to ask, as df calls it.
    :returns: The mount point and the columns of each.
    """
    lines = site.host.run("df", "--block-size=1", f"--output=target,{','.join(columns)}", *WRITTEN).text.splitlines()
    rows = [line.rsplit(None, len(columns)) for line in lines if line.startswith("/")]
    return [list(row) for row in dict.fromkeys(map(tuple, rows))]


@check(
    "FS001",
    "There is room on the disk",
    cause=(
        "A file system is full. Logs, sessions and uploads cannot be written, and services fail at what seems random."
    ),
    remedy=(
        "See what needs the room: du -xh DIRECTORY | sort -h | tail. Remove what is not needed, or enlarge the file"
        " system."
    ),
)
def disk(site: Site) -> Iterator[Finding]:
    """Compare what is left with what logs need in a day."""
    for mount, free, percent in table(site, "avail", "pcent"):
        used = int(percent.rstrip("%")) if percent != "-" else 0
        seen = f"{mount} is used to {used}%, and {int(free) // 1_000_000} MB are free."
        if int(free) < FULL_BYTES and used >= SCARCE_PERCENT:
            yield error(seen)
        elif int(free) < SCARCE_BYTES and used >= SCARCE_PERCENT:
            yield warning(seen)
        else:
            yield ok(seen)


@check(
    "FS002",
    "There is room for more files",
    cause=(
        "A file system has no inodes left: it can hold no further file, although it has free bytes. Often these "
        "are sessions."
    ),
    remedy="Find the directory with the most files: du --inodes -x / | sort -n | tail. Remove old ones.",
)
def inodes(site: Site) -> Iterator[Finding]:
    """Look at the share of inodes that are used."""
    for mount, percent in table(site, "ipcent"):
        used = int(percent.rstrip("%")) if percent != "-" else 0
        seen = f"{mount} uses {used}% of its inodes."
        yield error(seen) if used >= 100 else warning(seen) if used >= SCARCE_PERCENT else ok(seen)


@check(
    "FS003",
    "There is free memory",
    cause=(
        "Almost all memory is in use. The host becomes slow, and the kernel will end a process, perhaps the "
        "application."
    ),
    remedy=(
        "See which process needs it: ps aux --sort=-rss | head. Set flask_app_processes lower, or give the host more."
    ),
)
def memory(site: Site) -> Iterator[Finding]:
    """Read what the kernel could give to a new process."""
    kilobytes = {name: int(size) for name, size in re.findall(r"(\w+): +(\d+) kB", site.host.read("/proc/meminfo"))}
    free, total = kilobytes["MemAvailable"], kilobytes["MemTotal"]
    seen = f"{free // 1024} of {total // 1024} MiB are available."
    yield warning(seen) if free < LITTLE_MEMORY * total else ok(seen)


@check(
    "FS004",
    "The kernel has not ended a process for memory",
    cause="Memory was short, so the kernel ended a process. Its requests were lost; visitors saw an error.",
    remedy=(
        "Set flask_app_memory to what the application needs, and flask_app_processes to how often the host has that."
    ),
)
def out_of_memory(site: Site) -> Iterator[Finding]:
    """Read the kernel's log. In a container, it is that of all containers."""
    killed = KILLED.findall(site.kernel_log)
    for name in dict.fromkeys(killed):
        seen = f"The kernel ended {name} for memory."
        yield warning(seen) if OURS.match(name) and not site.is_container else note(seen)
    if not killed:
        yield ok("No process was ended for memory.")


@check(
    "FS005",
    "The clock is synchronised",
    cause=(
        "Nothing keeps this host's clock right. Logins name the time; if the clocks of both sides differ, they are"
        " refused."
    ),
    remedy=(
        "Install and start a time service: apt install chrony, or dnf install chrony; then timedatectl set-ntp true."
    ),
)
def clock(site: Site) -> Iterator[Finding]:
    """Ask systemd, unless the clock is another host's."""
    if site.is_container:
        yield ok("The clock is that of the host of this container.")
        return
    answer = site.host.run("timedatectl", "show", "--property=NTPSynchronized", "--value").text.strip()
    if answer == "yes":
        yield ok("systemd reports it as synchronised.")
    elif answer == "no":
        yield warning("systemd reports it as not synchronised.")
    else:
        raise UnseenError(f"timedatectl does not say it: {answer}")


@check(
    "FS006",
    "SELinux has denied nothing to the site's programs",
    cause=(
        "SELinux has refused something that httpd, shibd or the application needs, whatever the permissions of the"
        " files."
    ),
    remedy=(
        "See what it was: ausearch -m avc -ts recent | audit2why. Restore labels with restorecon -Rv PATH, or set "
        "the boolean that it names."
    ),
)
def denials(site: Site) -> Iterator[Finding]:
    """Read the log of audit, where there is one, or the kernel's."""
    found = False
    log = "/var/log/audit/audit.log"
    for line in (site.host.read(log) if site.host.find(log) else site.kernel_log).splitlines():
        denied, time = DENIED.search(line), DENIED_AT.search(line)
        if denied and OURS.match(denied[2]) and (not time or int(time[1]) >= site.begin):
            found = True
            yield warning(f"{denied[2]} was denied {denied[1]} on {denied[3]}.")
    if not found:
        yield ok("No denial was logged for the site's programs.")


@check(
    "FS007",
    "SELinux lets httpd reach the application",
    cause=(
        "SELinux is enforced, and does not allow httpd to open network connections, but the application is on a port."
    ),
    remedy="Use a Unix socket, as flask_app_socket has by default, or run: setsebool -P httpd_can_network_connect on.",
)
def network_boolean(site: Site) -> Iterator[Finding]:
    """Compare the mode, the boolean and how httpd reaches the application."""
    if not site.host.find("/usr/sbin/getenforce"):
        yield ok("There is no SELinux on this host.")
        return
    mode = site.host.run("getenforce").text.strip()
    ports = [backend.place for backend in site.backends if not backend.socket]
    if mode == "Permissive":
        yield note("SELinux only reports what it would deny.")
    elif (
        mode == "Enforcing" and ports and site.host.run("getsebool", "httpd_can_network_connect").text.endswith("off\n")
    ):
        yield error(f"httpd may not connect to {', '.join(ports)}.")
    else:
        yield ok(f"SELinux is {mode}.")


@check(
    "FS008",
    "The clock agrees with the provider's",
    cause=(
        "The clocks of this host and of the provider differ by minutes, so each takes what the other says for expired, "
        "or for a message from the future."
    ),
    remedy=(
        "See which one is wrong: date -u, and any other host. Here: timedatectl set-ntp true; otherwise tell the "
        "provider's operators."
    ),
    after=("FS101", "FS103", "FS201", "FS501", "FS502", "FS503", "FS504", "FS505", "FS803"),
)
def provider_clock(site: Site) -> Iterator[Finding]:
    """Compare it with the header Date of the provider's login page."""
    for url, answer in site.providers:
        name, now = urlsplit(url).hostname, site.host.now()
        if isinstance(answer, OSError) or "date" not in answer.headers:
            yield note(f"{name} does not say its time.")
            continue
        date = parsedate_to_datetime(answer.headers["date"]).replace(tzinfo=timezone.utc)
        ahead = now - date.timestamp()
        seen = f"The clock here is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} that of {name}."
        yield error(seen) if abs(ahead) > SKEW_SECONDS else ok(seen)
