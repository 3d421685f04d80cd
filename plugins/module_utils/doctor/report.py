# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write results for people, for programs and for Prometheus."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from textwrap import fill

from .model import Severity
from .runner import Result

SIGNS = {
    Severity.ERROR: "[ERROR]",
    Severity.WARNING: "[WARN] ",
    Severity.NOTE: "[note] ",
    Severity.SKIPPED: "[skip] ",
    Severity.OK: "[ok]   ",
}
COLOURS = {
    Severity.ERROR: "31",
    Severity.WARNING: "33",
    Severity.NOTE: "36",
    Severity.SKIPPED: "90",
    Severity.OK: "32",
}
WIDTH = 100


def status(results: Sequence[Result]) -> int:
    """Return the exit status: 2 with an error, 1 with a warning, else 0.

    :param results: What was found.
    """
    worst = max((result.severity for result in results), default=Severity.OK)
    return max(0, worst - Severity.NOTE)


def paragraph(label: str, text: str) -> str:
    """Write a labelled text, in lines that a terminal has room for."""
    indent = " " * 16
    return fill(text, WIDTH, initial_indent=f"{label:>14}  ", subsequent_indent=indent, break_long_words=False)


def people(results: Sequence[Result], coloured: bool = False) -> str:
    """Write results for a person, the worst first; cause and remedy only where something is wrong.

    :param results: What was found.
    :param coloured: Whether the terminal shows colours.
    :returns: The text.
    """
    signs = (
        {severity: f"\033[{COLOURS[severity]}m{sign}\033[0m" for severity, sign in SIGNS.items()} if coloured else SIGNS
    )
    lines = []
    skipped: dict[str, list[str]] = {}
    for result in results:
        if result.severity == Severity.SKIPPED:
            skipped.setdefault(result.seen[0], []).append(result.check.code)
            continue
        lines.append(f"{signs[result.severity]} {result.check.code} {result.check.title}")
        if result.severity > Severity.OK:
            lines += [paragraph("seen", seen) for seen in result.seen]
        if result.is_fault:
            lines.append(paragraph("cause", result.check.cause))
            lines.append(paragraph("remedy", result.check.remedy))
            lines.append(paragraph("more", result.check.paragraph))
    for reason, codes in skipped.items():
        lines += [f"{signs[Severity.SKIPPED]} {', '.join(codes)}", paragraph("seen", reason)]
    counted = Counter(result.severity for result in results)
    names = ", ".join(f"{counted[severity]} {severity.name.lower()}" for severity in reversed(Severity))
    return "\n".join([*lines, "", f"{len(results)} checks: {names}."])


def records(results: Sequence[Result]) -> list[dict]:
    """Describe results by plain values.

    :param results: What was found.
    :returns: A dictionary for each.
    """
    return [
        {
            "code": result.check.code,
            "title": result.check.title,
            "severity": result.severity.name.lower(),
            "seen": result.seen,
            "cause": result.check.cause,
            "remedy": result.check.remedy,
            "more": result.check.paragraph,
        }
        for result in results
    ]


def as_json(results: Sequence[Result], now: float) -> str:
    """Write results for programs; see `records`.

    :param results: What was found.
    :param now: When that was, in seconds since 1970.
    :returns: The text.
    """
    return json.dumps({"time": int(now), "status": status(results), "checks": records(results)}, indent=2)


def prometheus(results: Sequence[Result], now: float) -> str:
    """Write results for the text file collector of Prometheus' node exporter.

    :param results: What was found.
    :param now: When that was, in seconds since 1970.
    :returns: A gauge for each check, from 0 (ok) to 4 (error), and one for the time.
    """
    head = [
        "# HELP flask_sso_doctor_time_seconds When the doctor looked last.",
        "# TYPE flask_sso_doctor_time_seconds gauge",
        f"flask_sso_doctor_time_seconds {int(now)}",
        "# HELP flask_sso_doctor_severity 0 ok, 1 skipped, 2 note, 3 warning, 4 error.",
        "# TYPE flask_sso_doctor_severity gauge",
    ]
    lines = [f'flask_sso_doctor_severity{{code="{each.check.code}"}} {int(each.severity)}' for each in results]
    return "\n".join(head + sorted(lines))
