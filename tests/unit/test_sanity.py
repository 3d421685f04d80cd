# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins are as ansible-test asks, which is too slow to be asked each time."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
LICENSE = "# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)"


@pytest.mark.parametrize(
    "plugin", sorted([*PLUGINS.glob("modules/*.py"), *PLUGINS.glob("lookup/*.py")]), ids=lambda path: path.stem
)
def test_it_names_its_license_and_an_author_in_the_form_that_ansible_test_knows(plugin: Path):
    head = plugin.read_text("utf-8").splitlines()
    assert LICENSE in head[:4]
    assert "author: campus.flask_sso contributors (!UNKNOWN)" in head


@pytest.mark.parametrize("plugin", sorted(PLUGINS.rglob("*.py")), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_it_neither_prints_nor_exits_by_itself(plugin: Path):
    calls = [
        ast.unparse(node.func) for node in ast.walk(ast.parse(plugin.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    assert {"print", "exit", "quit", "sys.exit"}.isdisjoint(calls)


@pytest.mark.parametrize(
    "source",
    sorted([*PLUGINS.rglob("*.py"), *ROOT.glob("app/flask_sso_app/**/*.py")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_name_says_what_it_is(source: Path):
    names = {node.id for node in ast.walk(ast.parse(source.read_text("utf-8"))) if isinstance(node, ast.Name)}
    assert "_" not in names
