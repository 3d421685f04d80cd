#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say at the end of a long run what failed in it and why, in few lines, and which warnings Ansible gave.

    failures.py LOG

It fails if there is anything to say. LOG is what `make --output-sync=target --print-directory` printed, so the lines of
one target stand together.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LINES_PER_TARGET, WIDTH = 15, 300

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FRAME = re.compile(r"^ +│ ?")
TARGET = re.compile(r"^make\[\d+\]: Entering directory.*?^make\[\d+\]: Leaving directory", re.MULTILINE | re.DOTALL)
ENDED_BADLY = re.compile(r"^make\[\d+\]: \*\*\* \[\S+ (\S+)\]", re.MULTILINE)
TASK = re.compile(r"^(TASK|RUNNING HANDLER) \[")
WARNING = re.compile(r"^\[(DEPRECATION )?WARNING\]: ")
# What pytest and Ansible begin the line with that says why.
REASON = re.compile(r"^(FAILED (?!- RETRYING)|ERROR |E  +\S|\[ERROR\]: |fatal: )")


def failures(log: str) -> dict[str, list[str]]:
    """Find the targets that failed and the lines that say why.

    :param log: What make printed.
    :returns: For each failed target its reasons; its last lines where none is known to be a reason.
    """
    found = {}
    for block in TARGET.findall(COLOUR.sub("", log)):
        for target in ENDED_BADLY.findall(block):
            lines = [FRAME.sub("", line).rstrip()[:WIDTH] for line in block.splitlines() if line.strip()]
            reasons = [line for line in lines if REASON.match(line) and "Molecule" not in line]
            found[target] = reasons[-LINES_PER_TARGET:] or lines[-LINES_PER_TARGET:]
    return found


def warnings(log: str) -> dict[str, str]:
    """Find what Ansible warned of in the scenarios.

    :param log: What make printed.
    :returns: For each warning the task that gave it first.
    """
    found: dict[str, str] = {}
    task = ""
    for line in COLOUR.sub("", log).splitlines():
        text = FRAME.sub("", line).rstrip()
        if TASK.match(text):
            task = text.rstrip(" *")
        elif text != line.rstrip() and WARNING.match(text):
            found.setdefault(text[:WIDTH], task)
    return found


def main(path: Path) -> int:
    """Print what there is to say.

    :param path: The log.
    :returns: The exit code.
    """
    log = path.read_text("utf-8", errors="replace")
    failed, warned = failures(log), warnings(log)
    for target, lines in failed.items():
        print(f"\n{target} failed:", *lines, sep="\n  ")
    for warning, task in warned.items():
        print(f"\n{warning}\n  by {task}")
    if failed:
        print(f"\nFailed: {', '.join(failed)}.")
    if failed or warned:
        print(f"\nEverything that was printed: {path}")
    return 1 if failed or warned else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
