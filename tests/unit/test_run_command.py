# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NAME-run passes a command to systemd as it was typed."""

import os
import sys
from pathlib import Path

import jinja2
import pytest
from ansible_collections.campus.flask_sso.plugins.filter.python_literal import python_literal

TEMPLATE = Path(__file__).parents[2] / "roles/flask_app/templates/run.py.j2"


@pytest.fixture
def run(monkeypatch):
    """Run the program with arguments as an account, root by default; return what it executes."""
    environment = jinja2.Environment()  # noqa: S701 (it makes no HTML)
    environment.filters["campus.flask_sso.python_literal"] = python_literal
    variables = {
        "flask_app__maintenance_path": "/run/portal-steps",
        "flask_app__properties": ["User=web", 'Environment="A=ü\\n"'],
        "flask_app_user": "web",
    }
    code = compile(environment.from_string(TEMPLATE.read_text("utf-8")).render(variables), "web-run", "exec")

    def execute(*arguments: str, uid: int = 0) -> list[str]:
        executed = []
        monkeypatch.setattr(sys, "argv", ["web-run", *arguments])
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr(os, "execvp", lambda _file, argv: executed.extend(argv))
        exec(code, {"__doc__": ""})  # noqa: S102 (the program ends by replacing itself)
        return executed

    return execute


def test_command_keeps_its_arguments_and_gets_the_sandbox(run):
    executed = run("flask", "users", "--name", "$HOME ${X} 5%", "--", "--seconds")
    assert executed[0] == "systemd-run"
    assert executed[-7:] == ["/usr/bin/env", "flask", "users", "--name", "$$HOME $${X} 5%", "--", "--seconds"]
    assert executed[-9:-7] == ["--property=User=web", '--property=Environment="A=ü\\n"']


def test_time_limit_is_systemds(run):
    assert "--property=RuntimeMaxSec=60" in run("--seconds", "60", "flask", "db", "upgrade")


def test_maintenance_ends_with_the_last_command(run):
    """Each has a directory in the one that httpd looks for, and removes both, unless another's is in it, too."""
    words = [word for _ in range(2) for word in " ".join(run("--maintenance", "flask", "db", "upgrade")).split()]
    own = {word for word in words if word.startswith("/run/portal-steps/")}
    assert len(own) == 2
    assert words.count("/run/portal-steps") == 2
    assert words.count("--property=ExecStopPost=-+/usr/bin/rmdir") == 2


@pytest.mark.parametrize(
    ("arguments", "uid", "said"), [((), 0, "Write a command."), (("flask",), 1000, "Run it as root")]
)
def test_what_cannot_run_is_refused_in_words(run, capsys, arguments, uid, said):
    with pytest.raises(SystemExit):
        run(*arguments, uid=uid)
    assert said in capsys.readouterr().err
