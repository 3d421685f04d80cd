# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples that the documentation shows, as tests use them."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(rf"({'|'.join(path.name for path in ROOT.glob('roles/*'))}|flask_sso)_\w")
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Loader(yaml.SafeLoader):
    """Read YAML, and values that ansible-vault has encrypted as the text that they are there."""


Loader.add_constructor("!vault", Loader.construct_yaml_str)


def examples(page: Path) -> dict[str, Any]:
    """Read the YAML that a page shows.

    :param page: A page in Markdown.
    :returns: What each example holds, by its text.
    """
    texts = [dedent(text) for _, text in BLOCK.findall(page.read_text("utf-8"))]
    return {text: Loader(text).get_single_data() for text in texts}


def playbooks(page: Path) -> list[str]:
    """Find the playbooks among the examples of a page.

    :param page: A page in Markdown.
    :returns: Their texts.
    """
    return [
        text
        for text, content in examples(page).items()
        if isinstance(content, list) and all("hosts" in play for play in content)
    ]


def inventories(page: Path) -> list[str]:
    """Find the inventories among the examples of a page.

    :param page: A page in Markdown.
    :returns: Their texts.
    """
    return [
        text
        for text, content in examples(page).items()
        if isinstance(content, dict) and any(isinstance(group, dict) and "hosts" in group for group in content.values())
    ]


def variables(content: Any) -> dict[str, Any]:
    """Find the variables of the collection that an example sets, wherever it does that.

    :param content: What the example holds: plays, an inventory, or variables and nothing else.
    :returns: Their values by their names.
    """
    found: dict[str, Any] = {}
    if isinstance(content, dict):
        for name, value in content.items():
            found |= {name: value} if VARIABLE.match(str(name)) else variables(value)
    elif isinstance(content, list):
        for item in content:
            found |= variables(item)
    return found
