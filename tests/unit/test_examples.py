# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows is what Ansible and the roles accept; molecule/readme runs the examples of roles."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import examples
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = examples.ROOT
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("roles/*/README.md"))]
#: The inventory of the README, whose group some of the plays are for.
EXAMPLE = ("-i", "inventories/example/hosts.yml")
#: Groups of an inventory have such names, too.
GROUPS = {"flask_sso_balancers"}


@pytest.fixture(scope="module")
def options() -> dict[str, dict]:
    """Describe each variable: as a role does or, where only site.yml reads it, by its name alone."""
    table = re.findall(r"^\| `(flask_sso_\w+)`", (ROOT / "docs/variables.md").read_text("utf-8"), re.MULTILINE)
    found: dict[str, dict] = {name: {"type": "raw"} for name in table}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry_point in yaml.safe_load(path.read_text("utf-8"))["argument_specs"].values():
            found.update(entry_point.get("options", {}))
    return found


def name(page: Path) -> str:
    """Name a page in a test's result."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_variables_of_an_example_exist_and_have_the_right_type(page: Path, options: dict[str, dict]):
    shown = {
        key: value for content in examples.examples(page).values() for key, value in examples.variables(content).items()
    }
    assert shown.keys() - options.keys() <= GROUPS
    literal = {key: value for key, value in shown.items() if "{{" not in str(value) and key not in GROUPS}
    specification = {key: options[key] for key in literal}
    assert ArgumentSpecValidator(specification).validate(literal).error_messages == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("roles/*/README.md")), ids=name)
def test_each_role_shows_a_playbook_with_itself(page: Path):
    role = page.parent.name
    assert any(f"campus.flask_sso.{role}\n" in text for text in examples.playbooks(page))


def written(found: Callable[[Path], list[str]], directory: Path) -> list[Path]:
    """Write the examples of all pages that a function finds into files."""
    paths = []
    for page in PAGES:
        for number, text in enumerate(found(page)):
            paths.append(directory / f"{name(page).replace('/', '-')}-{number}.yml")
            paths[-1].write_text(text, "utf-8")
    assert paths
    return paths


def run(program: str, *arguments: object, **environment: str) -> tuple[int, str]:
    """Run a program of Ansible; return its exit status and what it complains about."""
    command = [Path(sys.executable).with_name(program), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_ansible_accepts_the_playbooks(tmp_path: Path):
    paths = written(examples.playbooks, tmp_path)
    assert run("ansible-playbook", *EXAMPLE, "-i", "web,balancers,", "--syntax-check", *paths) == (0, "")


def test_ansible_accepts_the_inventories(tmp_path: Path):
    paths = [*sorted(ROOT.glob("inventories/*/hosts.yml")), *written(examples.inventories, tmp_path)]
    sources = [word for path in paths for word in ("-i", path)]
    assert run("ansible-inventory", "--list", *sources, ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true") == (0, "")
