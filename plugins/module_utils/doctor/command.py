# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command flask-sso-doctor."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence

from . import logins, report
from .checks import CHECKS
from .host import Host
from .model import Severity, UnseenError
from .runner import Result, run
from .site import Site

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
FORMS = {"json": report.as_json, "prometheus": report.prometheus}


def duration(text: str) -> float:
    """Read a time such as 10m.

    :param text: A number with s, m, h or d.
    :returns: Seconds.
    :raises argparse.ArgumentTypeError: if it is none.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f'"{text}" is no time. Write a number with s, m, h or d, such as 10m.')
    return int(match[1]) * SECONDS[match[2]]


def codes(text: str) -> list[str]:
    """Read codes or their beginnings, separated by commas.

    :param text: Such as FS3,FS501.
    :returns: The codes.
    :raises argparse.ArgumentTypeError: if no check has one.
    """
    wanted = text.upper().split(",")
    for code in wanted:
        if not code or not any(known.startswith(code) for known in CHECKS):
            raise argparse.ArgumentTypeError(f'No check has the code "{code}".')
    return wanted


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    :param words: The arguments, by default those of the process.
    :returns: What they say.
    """
    parser = argparse.ArgumentParser(
        prog="flask-sso-doctor",
        description="Say what is wrong with the site on this host. It changes nothing; root sees most.",
        epilog="The exit status is 0 if all is well, 1 after a warning, 2 after an error; with --write it is 0.",
    )
    parser.add_argument("about", nargs="?", choices=["login"], help="explain the last logins instead")
    parser.add_argument("--since", type=duration, default="1h", help="how far back logs are read, such as 10m (1h)")
    parser.add_argument("--only", type=codes, default=[], metavar="CODES", help="only these, such as FS3,FS501")
    parser.add_argument("--skip", type=codes, default=[], metavar="CODES", help="all but these")
    parser.add_argument("--format", choices=["people", *FORMS], default="people", help="who reads the output (people)")
    parser.add_argument(
        "--write", metavar="DIRECTORY", help="also write the files for monitoring there, JSON and Prometheus"
    )
    return parser.parse_args(words)


def say(text: str) -> None:
    """Print a text."""
    sys.stdout.write(f"{text}\n")


def write(results: Sequence[Result], directory: str, now: float) -> None:
    """Write the files for monitoring, each in one step: who reads one finds it complete.

    The directory may be another account's, which can put links there: none is followed.

    :param results: What was found.
    :param directory: Where to.
    :param now: When that was.
    :raises OSError: if that cannot be written to.
    """
    # Every user may read the numbers; what was seen is for root and its group.
    for name, mode, text in (
        ("flask_sso_doctor.json", 0o640, report.as_json(results, now)),
        ("flask_sso_doctor.prom", 0o644, report.prometheus(results, now)),
    ):
        number, new = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        try:
            with open(number, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                os.fchmod(number, mode)
            os.replace(new, os.path.join(directory, name))
        except BaseException:
            os.unlink(new)
            raise


def main(words: Sequence[str] | None = None, host: Host | None = None) -> int:
    """Run the command.

    :param words: Its arguments.
    :param host: What it looks at.
    :returns: The exit status.
    """
    options = arguments(words)
    site = Site(host or Host(), options.since)
    if options.about == "login":
        try:
            found = logins.logins(site)
        except UnseenError as reason:
            say(f"No login can be explained: {reason}.")
            return 1
        say(logins.people(found))
        return int(any(login.severity > Severity.NOTE for login in found))
    results, now = run(site, options.only, options.skip), site.host.now()
    if options.write:
        write(results, options.write, now)
    if options.format in FORMS:
        say(FORMS[options.format](results, now))
    else:
        say(report.people(results, sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    # A fault of the host is in the files. What starts this regularly shall fail only if they could not be written.
    return 0 if options.write else report.status(results)


if __name__ == "__main__":
    raise SystemExit(main())
