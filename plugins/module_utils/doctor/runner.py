# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks, each within its time, and none whose fault another one explains."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .checks import CHECKS
from .model import Check, Finding, Severity, UnseenError, note, redacted
from .site import Site

SECONDS = 15  # for all checks together


@dataclass(frozen=True)
class Result:
    """A check and what it has found, which is never nothing."""

    check: Check
    findings: list[Finding]

    @property
    def severity(self) -> Severity:
        """The worst that was found."""
        return max(finding.severity for finding in self.findings)

    @property
    def is_fault(self) -> bool:
        """Whether something is to be done about it."""
        return self.severity >= Severity.WARNING

    @property
    def seen(self) -> list[str]:
        """What is as bad as that."""
        return [finding.seen for finding in self.findings if finding.severity == self.severity]


class LateError(BaseException):
    """A check takes too long. No check takes it for a fault of the host, as it may an OSError."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise LateError in what takes longer.

    :param seconds: How long it may take.
    """

    def end(*_signal: object) -> None:
        raise LateError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def examine(check: Check, site: Site, left: float) -> list[Finding]:
    """Run one check.

    :param check: The check.
    :param site: What it looks at.
    :param left: Seconds that the checks before it have left.
    :returns: At least one finding: why there is none, otherwise.
    """
    seconds = min(check.seconds, left)
    if seconds <= 0:
        return [Finding(Severity.SKIPPED, f"Not looked at: the {SECONDS} seconds for all checks are over.")]
    try:
        with limited(seconds):
            nothing = Finding(Severity.SKIPPED, "Not looked at: this host has nothing of it.")
            return list(check.look(site)) or [nothing]
    except UnseenError as reason:
        return [Finding(Severity.SKIPPED, redacted(f"Not looked at: {reason}."))]
    except LateError:
        return [note(f"This took longer than {seconds:.1f} seconds, and was ended.")]
    except Exception as fault:  # noqa: BLE001 (a fault of one check must not hide what the others find)
        return [note(f"This check failed itself: {type(fault).__name__}: {fault}")]


def run(site: Site, only: Collection[str] = (), skip: Collection[str] = ()) -> list[Result]:
    """Run the checks in their order.

    :param site: What they look at.
    :param only: Beginnings of the codes of those that are wanted, such as FS3; all if empty.
    :param skip: Beginnings of the codes of those that are not.
    :returns: A result for each, the worst first.
    """
    results: dict[str, Result] = {}
    end = time.monotonic() + SECONDS
    for code, check in ordered(CHECKS).items():
        if (only and not code.startswith(tuple(only))) or (skip and code.startswith(tuple(skip))):
            continue
        explained = [other for other in check.after if other in results and results[other].is_fault]
        if explained:
            because = f"Not looked at: {' and '.join(explained)} would explain a fault."
            results[code] = Result(check, [Finding(Severity.SKIPPED, because)])
        else:
            results[code] = Result(check, examine(check, site, end - time.monotonic()))
    return sorted(results.values(), key=lambda result: (-result.severity, result.check.code))


def ordered(checks: dict[str, Check]) -> dict[str, Check]:
    """Put each check behind those that explain its faults.

    :param checks: Checks by their codes.
    :returns: The same in another order.
    """
    found: dict[str, Check] = {}

    def add(code: str) -> None:
        for other in checks[code].after:
            if other not in found:
                add(other)
        found.setdefault(code, checks[code])

    for code in sorted(checks):
        add(code)
    return found
