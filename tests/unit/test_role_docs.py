# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of variables say what the specifications say, and a specification that is wrong is refused."""

from pathlib import Path

import pytest
import role_docs
import yaml

OPTION = {"type": "str", "description": "A name.", "default": ""}


def entry(**options: dict) -> dict:
    return {"short_description": "Do it", "description": "Does it.", "options": options}


def put_role(root: Path, name: str, defaults: dict, **entries: dict) -> Path:
    """Write a role with a specification and defaults."""
    role = root / "roles" / name
    for folder in ("defaults", "meta", "tasks"):
        (role / folder).mkdir(parents=True)
    (role / "defaults/main.yml").write_text(yaml.safe_dump(defaults), "utf-8")
    for spec in entries:
        (role / f"tasks/{spec}.yml").touch()
    return role


def test_a_default_of_several_lines_stays_in_its_row():
    spec = {"main": entry(role_name=OPTION | {"default": "{{ 'a' if b else\n   'c' | d }}\n"})}
    row = next(line for line in role_docs.reference(spec, {}).splitlines() if "`role_name`" in line)
    assert row == r"| `role_name` | str | `{{ 'a' if b else 'c' \| d }}` | A name. |"


def test_the_default_is_that_of_the_defaults_if_the_specification_describes_it():
    spec = {"main": entry(role_size={"type": "int", "description": "By default that of x."})}
    assert "| `role_size` | int | `{{ x }}` |" in role_docs.reference(spec, {"role_size": "{{ x }}"})


@pytest.mark.parametrize(
    ("read", "said"),
    [([], "none"), (["a", "b", "c"], "all"), (["a", "b"], "all but `c`"), (["a"], "`a`")],
)
def test_an_entry_point_names_the_variables_that_it_reads(read: list[str], said: str):
    assert role_docs.which(dict.fromkeys(read), dict.fromkeys("abc")) == said


def test_an_entry_point_of_a_role_without_variables_reads_none():
    assert "| `main` | Do it. | none |" in role_docs.reference({"main": entry()}, {})


def test_suboptions_are_named_after_their_list_or_dictionary():
    inner = {"key": OPTION}
    spec = {
        "r_list": OPTION | {"type": "list", "options": inner},
        "r_dict": OPTION | {"type": "dict", "options": inner},
    }
    assert [line[0] for line in role_docs.variables(spec, {})] == [
        "`r_list`",
        "`r_list[].key`",
        "`r_dict`",
        "`r_dict.key`",
    ]


@pytest.mark.parametrize(
    ("option", "default", "fault"),
    [
        ({"default": ""}, "", ""),
        ({"default": "{{ x }}"}, "{{ x }}", ""),
        ({"default": "a"}, "b", 'role_x is "b" in the defaults and "a" in the specification of main'),
        ({"type": "int"}, "{{ x }}", ""),
        ({"type": "int", "default": "{{ x }}"}, "{{ x }}", 'role_x is null in the defaults and "{{ x }}" in the'),
        ({"type": "int"}, 3, "role_x is 3 in the defaults and null in the specification of main"),
    ],
)
def test_a_specification_and_its_defaults_agree(tmp_path: Path, option: dict, default: object, fault: str):
    role = put_role(tmp_path, "role", {"role_x": default}, main={})
    spec = {"main": entry(role_x={"type": "str", "description": "X."} | option)}
    wrong = role_docs.disagreements(role, spec, set())
    assert (len(wrong) == 1 and fault in wrong[0]) if fault else wrong == []


def test_an_entry_point_without_a_description_is_refused(tmp_path: Path):
    role = put_role(tmp_path, "role", {}, main={})
    spec = {"main": {"short_description": "Do it", "options": {}}}
    assert role_docs.disagreements(role, spec, set()) == ["role: entry point main has no description"]


def shared(monkeypatch: pytest.MonkeyPatch, root: Path, described: dict, *roles: tuple, by_hand: str = ""):
    """Make the table of shared variables from roles, each a name, a default and a description of its only variable."""
    monkeypatch.setattr(role_docs, "DESCRIBED_BY", described)
    specs = {}
    for name, default, description in roles:
        role = put_role(root, name, {f"{name}_x": default}, main={})
        specs[role] = {"main": entry(**{f"{name}_x": OPTION | {"description": description}})}
    table, wrong = role_docs.shared(specs, by_hand + role_docs.BEGIN)
    return [line for line in table.splitlines() if line.startswith("| `")], wrong


def test_a_variable_inside_an_expression_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    default = {"deep": ["/srv/{{ [flask_sso_a] if flask_sso_b is defined else [] }}"], "path": "/var/lib/flask_sso/"}
    rows, wrong = shared(monkeypatch, tmp_path, {}, ("one", default, "It."))
    link = "[`one_x`](../roles/one/README.md)"
    assert rows == [f"| `flask_sso_a` | {link} | It. |", f"| `flask_sso_b` | {link} | It. |"]
    assert wrong == []


def test_no_description_of_another_role_is_taken_by_chance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    roles = [("one", "{{ flask_sso_a }}", "Of one."), ("two", "{{ flask_sso_a }}", "Of two.")]
    _, wrong = shared(monkeypatch, tmp_path / "1", {}, *roles)
    assert wrong == ["flask_sso_a is described by one_x, two_x; name one in DESCRIBED_BY (tools/role_docs.py)"]
    rows, wrong = shared(monkeypatch, tmp_path / "2", {"flask_sso_a": "two_x"}, *roles)
    assert (rows[0].endswith("| Of two. |"), wrong) == (True, [])


def test_a_name_that_is_gone_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    _, wrong = shared(monkeypatch, tmp_path, {"flask_sso_b": "one_x"}, ("one", "{{ flask_sso_a }}", "It."))
    assert wrong == ["DESCRIBED_BY (tools/role_docs.py) names one_x, whose default has no flask_sso_b"]


def test_what_is_described_by_hand_is_not_described_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    by_hand = "| Variable |\n| `flask_sso_a` | By hand. |\n"
    rows, _ = shared(monkeypatch, tmp_path, {}, ("one", "{{ flask_sso_a }}", "It."), by_hand=by_hand)
    assert rows[0].endswith("| See above. |")


def test_plugins_are_listed_with_who_uses_them(tmp_path, monkeypatch):
    """A role of the same name as a module is not one that uses it, and a plugin without users is wrong."""
    monkeypatch.setattr(role_docs, "ROOT", tmp_path)
    for name in ("modules/look", "modules/unused", "lookup/find", "filter/quote"):
        path = tmp_path / f"plugins/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("short_description: Do it | or not\n", "utf-8")
    put_role(tmp_path, "look", {"look_path": "{{ path | campus.flask_sso.quote }}"})
    put_role(tmp_path, "web", {"web_path": "{{ lookup('campus.flask_sso.find') }}"})
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/site.yml").write_text(
        "- name: It\n  campus.flask_sso.look:\n- import_role: {name: campus.flask_sso.look}\n"
    )
    (tmp_path / "roles/web/tasks/main.yml").write_text("- name: It\n  campus.flask_sso.look:\n", "utf-8")
    written, wrong = role_docs.plugins()
    rows = [line for line in written.splitlines() if line.startswith("| `")]
    assert rows == [
        r"| `look` | module | Do it \| or not | web, playbooks |",
        r"| `unused` | module | Do it \| or not |  |",
        r"| `find` | lookup | Do it \| or not | web |",
        r"| `quote` | filter | Do it \| or not | look |",
    ]
    assert wrong == ["plugins/modules/unused.py is used by no role and no playbook"]
