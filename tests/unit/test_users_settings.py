# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users have in ansible.cfg, an inventory or the command line for other plays does not change what a run does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
PLAYBOOKS = sorted(PROJECT.glob("playbooks/*.yml"))
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir())
ON_CONTROLLER = {"ansible_become": False, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}


def tasks_in(entries: list[dict]) -> Iterator[dict]:
    """Return the tasks of a list, those in blocks among them."""
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks_in(entry.get(part) or [])


def all_tasks() -> list[tuple[str, dict]]:
    """Return all tasks of roles and playbooks, with their file."""
    files = [*PROJECT.glob("roles/*/tasks/*.yml"), *PROJECT.glob("roles/*/handlers/*.yml")]
    entries = [
        (path, yaml.safe_load(path.read_text("utf-8"))) for path in [*files, *PROJECT.glob("playbooks/tasks/*.yml")]
    ]
    plays = [(path, play) for path in PLAYBOOKS for play in yaml.safe_load(path.read_text("utf-8"))]
    entries += [(path, play.get(part) or []) for path, play in plays for part in ("pre_tasks", "tasks", "handlers")]
    return [(str(path.relative_to(PROJECT)), task) for path, listed in entries for task in tasks_in(listed)]


TASKS = all_tasks()


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_a_play_says_itself_what_ansible_cfg_could(playbook: Path):
    """With `gathering = explicit` there would be no facts; with `strategy = free`, several hosts would create a CA."""
    for play in yaml.safe_load(playbook.read_text("utf-8")):
        assert "gather_facts" in play
        assert play["strategy"] == "ansible.builtin.linear"


def test_a_task_on_the_controller_is_the_users_own():
    """`ansible_become` and `ansible_python_interpreter` of all hosts, or of a host localhost, are for other tasks."""
    delegated = [(path, task) for path, task in TASKS if task.get("delegate_to") == "localhost"]
    assert delegated
    wrong = [
        (path, task["name"]) for path, task in delegated if not ON_CONTROLLER.items() <= task.get("vars", {}).items()
    ]
    assert wrong == []


def test_no_task_depends_on_how_users_become_root():
    """There may be no sudo, or only for root; and `ansible_become_user` has precedence over a task's."""
    assert [(path, task["name"]) for path, task in TASKS if {"become_user", "become"}.intersection(task)] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_text_is_no_true_value(role: str):
    """INI inventories and `-e name=false` have texts: the templates convert them, or the preflight refuses them."""
    directory = PROJECT / "roles" / role
    specs = yaml.safe_load((directory / "meta/argument_specs.yml").read_text("utf-8"))["argument_specs"]
    options = {
        name for spec in specs.values() for name, option in spec.get("options", {}).items() if option["type"] == "bool"
    }
    text = "".join(
        path.read_text("utf-8")
        for path in [*directory.glob("*/*.yml"), *directory.glob("vars/*/*.yml"), *directory.glob("templates/*")]
    )
    modules = "".join(path.read_text("utf-8") for path in directory.glob("tasks/*.yml"))
    wrong = []
    for name in sorted(options):
        checked = re.search(rf"\b{name} is boolean|\[[^]]*\b{name}\b[^]]*\] \| select\('boolean'\)", text)
        passed_on = re.search(rf'^ +\w+: "{{{{ {name} }}}}"$', modules, re.MULTILINE)  # a module converts its options
        read = re.findall(
            rf"\b(?:if|and|or|not|when:) (?:not )?{name}(?= (?:else|and|or|%}}|}}}})|$)", text, re.MULTILINE
        )
        if not checked and (read or not (passed_on or f"{name} | bool" in text)):
            wrong.append(name)
    assert wrong == []
