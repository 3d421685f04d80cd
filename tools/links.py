#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail where the documentation links to a file or a heading that is not there, or a file names one that is gone.

Addresses on the web are not asked.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
HEADING = re.compile(r"^#{1,6} +(.+?) *#* *$", re.MULTILINE)
ANCHOR = re.compile(r"""<a (?:id|name)=["']([^"']+)["']""")
LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?: +\"[^\"]*\")?\)")
#: Where pages are, and what else names them.
FOLDERS = ["app", "benchmarks", "docs", "inventories", "molecule", "playbooks", "plugins", "roles", "tools"]
#: How a page names a file of the collection. A name in upper case stands for many, and inventories/mine is the user's.
IN_PAGES = re.compile(
    rf"(?<![\w./{{}}-])(?!inventories/mine/)(?:{'|'.join(FOLDERS)}|tests)/[a-z0-9_/.-]+\.(?:md|py|yml)\b"
)
#: How comments and messages name a page or a playbook.
ELSEWHERE = re.compile(r"(?<![\w./{}-])(?:docs/[\w-]+\.md|playbooks/[a-z0-9_/-]+\.yml)\b")


def anchors(text: str) -> set[str]:
    """Make the anchors of a page as GitHub and GitLab do.

    :param text: The page.
    :returns: What may stand after "#" in a link to it.
    """
    text = FENCE.sub("", text)
    seen: Counter[str] = Counter()
    found = set(ANCHOR.findall(text))
    for heading in HEADING.findall(text):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken(page: Path, root: Path) -> Iterator[str]:
    """Find the links of a page that lead nowhere.

    :param page: The page.
    :param root: Directory that links must not leave.
    :returns: One sentence for each.
    """
    text = CODE.sub("", FENCE.sub("", page.read_text("utf-8")))
    for link in LINK.findall(text):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        where = f"{page.relative_to(root)}: the link {link}"
        if not target.exists() or not target.is_relative_to(root):
            yield f"{where} leads to no file"
        elif parts.fragment and parts.fragment not in anchors(target.read_text("utf-8")):
            yield f"{where} leads to no heading of {target.relative_to(root)}"


def misnamed(path: Path, root: Path) -> Iterator[str]:
    """Find the files of the collection that a file names and that are not there.

    :param path: The file.
    :param root: Directory of the collection.
    :returns: One sentence for each.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return
    named = IN_PAGES if path.suffix == ".md" else ELSEWHERE
    for name in sorted(set(named.findall(text))):
        if not (root / name).exists():
            yield f"{path.relative_to(root)}: there is no {name}"


def faults(root: Path) -> list[str]:
    """Check all pages, and what names them.

    :param root: Directory of the collection.
    :returns: What is wrong, one sentence each.
    """
    files = [path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file()]
    files = sorted([*root.glob("*.md"), *(path for path in files if "__pycache__" not in path.parts)])
    wrong = [fault for path in files if path.suffix == ".md" for fault in broken(path, root)]
    return wrong + [fault for path in files for fault in misnamed(path, root)]


if __name__ == "__main__":
    wrong = faults(ROOT)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)
