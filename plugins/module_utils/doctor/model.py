# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check is, and what it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from .site import Site

# Keys, cookies, passwords and tokens: what looks like one is never shown, wherever it was read.
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    # In an address; a password may have a slash or an @.
    r"|(?<=://)(?:[^/\s@:]+:\S*|[^/\s@]+)@"
    # What a name calls one, with an equals sign, a colon or quotation marks before the value.
    r"|(?P<name>(?i:passw(?:or)?d|passphrase|secret|token|credential|api_?key)\w*[\"']?(?:\s*[=:]\s*|\s+(?=[\"'])))"
    r"(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^\s,;&\"']+)"
    r"|[?&;\s](?:code|state)=[^&\s]+"
    r"|[A-Za-z0-9+/_=-]{40,}",
    re.DOTALL,
)
# What is as long as a secret, but a path, perhaps behind the end of a host's name.
PATH = re.compile(r"[a-z]{0,10}/+(?:[A-Za-z0-9_-]{1,39}/)*[A-Za-z0-9_-]{0,39}")


class Severity(IntEnum):
    """How bad something is; the greater, the worse."""

    OK = 0
    SKIPPED = 1
    NOTE = 2
    WARNING = 3
    ERROR = 4


class UnseenError(Exception):
    """What a check wants to see cannot be seen; the text says why."""


def redacted(text: str) -> str:
    """Replace what looks like a secret.

    :param text: What was read on the host.
    :returns: The same without keys, cookies, tokens and passwords.
    """
    return SECRET.sub(lambda match: match[0] if PATH.fullmatch(match[0]) else f"{match['name'] or ''}(not shown)", text)


@dataclass(frozen=True)
class Finding:
    """What a check has seen, and how bad it is."""

    severity: Severity
    seen: str


def ok(seen: str) -> Finding:
    """Find what is right; see `Finding`."""
    return Finding(Severity.OK, redacted(seen))


def note(seen: str) -> Finding:
    """Find what may be intended; see `Finding`."""
    return Finding(Severity.NOTE, redacted(seen))


def warning(seen: str) -> Finding:
    """Find what will be a fault, or is one for some visitors; see `Finding`."""
    return Finding(Severity.WARNING, redacted(seen))


def error(seen: str) -> Finding:
    """Find what keeps visitors out; see `Finding`."""
    return Finding(Severity.ERROR, redacted(seen))


@dataclass(frozen=True)
class Check:
    """One question about a host, and what to do when the answer is bad."""

    code: str
    title: str
    cause: str
    remedy: str
    look: Callable[[Site], Iterator[Finding]]
    after: tuple[str, ...]
    seconds: float

    @property
    def topic(self) -> str:
        """The program or the part of the host that it is about: the file in which it is."""
        return self.look.__module__.rpartition(".")[2]

    @property
    def paragraph(self) -> str:
        """Where the documentation has it. The host may have no browser, so it is no link."""
        return f"docs/doctor.md, {self.code}"


CHECKS: dict[str, Check] = {}


def check(
    code: str, title: str, *, cause: str, remedy: str, after: tuple[str, ...] = (), seconds: float = 5
) -> Callable[[Callable[[Site], Iterator[Finding]]], Callable[[Site], Iterator[Finding]]]:
    """Register a check: the function it decorates yields at least one finding, or raises UnseenError.

    :param code: Its name for ever, such as FS101.
    :param title: What is true of a healthy host.
    :param cause: Why it may not be true, in words for people who know none of the programs.
    :param remedy: What to do.
    :param after: Codes of checks whose fault would explain this one's, so that only theirs is reported.
    :param seconds: Time limit.
    :returns: The decorator.
    :raises ValueError: if the code has another check.
    """

    def register(look: Callable[[Site], Iterator[Finding]]) -> Callable[[Site], Iterator[Finding]]:
        if code in CHECKS:
            raise ValueError(f"{code} has two checks.")
        CHECKS[code] = Check(code, title, cause, remedy, look, after, seconds)
        return look

    return register
