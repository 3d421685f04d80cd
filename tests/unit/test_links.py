# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link that leads nowhere is reported, and no other."""

from pathlib import Path

import links
import pytest

GUIDE = """# The guide
## Two words: `code` & more
## Again
## Again
```sh
# no heading
```
<a id="by-hand"></a>
"""


def found(root: Path, text: str) -> list[str]:
    """Return the faults of a page beside docs/guide.md."""
    (root / "docs").mkdir()
    (root / "docs/guide.md").write_text(GUIDE, "utf-8")
    (root / "README.md").write_text(text, "utf-8")
    return links.faults(root)


@pytest.mark.parametrize(
    "link",
    [
        "docs",
        "docs/guide.md",
        "docs/guide.md#the-guide",
        "docs/guide.md#two-words-code--more",
        "docs/guide.md#again",
        "docs/guide.md#again-1",
        "docs/guide.md#by-hand",
        "#here",
        "https://example.org/nowhere#else",
        "mailto:root@example.org",
    ],
)
def test_a_link_that_leads_somewhere_is_accepted(tmp_path: Path, link: str):
    assert found(tmp_path, f"# Here\n[it]({link})\n") == []


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("guide.md", "leads to no file"),
        ("../etc/passwd", "leads to no file"),
        ("#there", "leads to no heading of README.md"),
        ("docs/guide.md#again-2", "leads to no heading of docs/guide.md"),
        ("docs/guide.md#no-heading", "leads to no heading of docs/guide.md"),
    ],
)
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, link: str, fault: str):
    assert found(tmp_path, f"# Here\n[it]({link})\n") == [f"README.md: the link {link} {fault}"]


def test_what_stands_in_code_is_no_link(tmp_path: Path):
    assert found(tmp_path, "`[a](b)`\n```\n[c](d)\n```\n") == []


def test_a_comment_that_names_a_page_that_is_gone_is_refused(tmp_path: Path):
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles/main.yml").write_text("# see docs/guide.md, docs/gone.md and https://x.org/docs/a.md\n", "utf-8")
    assert found(tmp_path, "") == ["roles/main.yml: there is no docs/gone.md"]


def test_a_page_that_names_a_file_that_is_gone_is_refused(tmp_path: Path):
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/site.yml").touch()
    command = "```\nansible-playbook -i inventories/mine/hosts.yml playbooks/site.yml playbooks/gone.yml\n```\n"
    text = f"{command}`molecule/NAME/molecule.yml` and `tests/unit/test_gone.py`.\n"
    gone = ["playbooks/gone.yml", "tests/unit/test_gone.py"]
    assert found(tmp_path, text) == [f"README.md: there is no {name}" for name in gone]
