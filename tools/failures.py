#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say at the end of a long run what failed in it and why, in few lines.

    failures.py LOG

LOG is what `make --output-sync=target --print-directory` printed, so the lines of one target stand together.
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


if __name__ == "__main__":
    found = failures(Path(sys.argv[1]).read_text("utf-8", errors="replace"))
    for target, lines in found.items():
        print(f"\n{target} failed:", *lines, sep="\n  ")
    print(f"\nFailed: {', '.join(found) or 'nothing that the log names'}. Everything that was printed: {sys.argv[1]}")
