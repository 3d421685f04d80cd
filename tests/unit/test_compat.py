# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run with every ansible-core finds interpreters wherever they are, names what is missing, and fails with a run."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

COMPAT = Path(__file__).parents[2] / "tools/compat"
#: An interpreter whose environments have a pip and an Ansible that do nothing.
INTERPRETER = """#!/bin/sh
[ "$1" != -c ] || exit 0
mkdir -p "$3/bin"
for name in pip ansible; do printf '#!/bin/sh\necho %s "$@"\n' $name >"$3/bin/$name"; chmod 755 "$3/bin/$name"; done
"""
#: One that is there and cannot create environments, or is not switched on.
UNUSABLE = "#!/bin/sh\nexit 127\n"


class Project:
    """A copy of the tool, with a bench that does nothing and no interpreter.

    :param directory: Where it is; a home directory is beside it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.write("project/tools/compat", COMPAT.read_text("utf-8"))
        self.write("project/molecule/shared/lane", '#!/usr/bin/env bash\nexec "$@"\n')
        self.molecule("echo 'PLAY RECAP'")
        for program in ("bash", "chmod", "dirname", "grep", "head", "mkdir", "tee"):
            (directory / "bin").mkdir(exist_ok=True)
            (directory / "bin" / program).symlink_to(shutil.which(program))

    def write(self, path: str, text: str) -> None:
        """Write a program."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        file.chmod(0o755)

    def molecule(self, script: str) -> None:
        """Let Molecule do this for each of its commands."""
        self.write("bin/molecule", f"#!/bin/sh\n{script}\n")

    def run(self) -> tuple[int, list[str]]:
        """Run the tool; return its exit code and the lines that it printed."""
        environment = {"HOME": str(self.home), "PATH": str(self.directory / "bin")}
        command = [self.directory / "project/tools/compat"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout.splitlines()


@pytest.fixture
def project(tmp_path) -> Project:
    """A project without an interpreter."""
    return Project(tmp_path)


@pytest.fixture
def ran(project) -> Callable[[], list[str]]:
    """Run the tool, which has to succeed; return the paths of the interpreters that were used, in their order."""

    def ran() -> list[str]:
        code, said = project.run()
        assert code == 0, said
        paths = [line.rpartition(" on ")[2] for line in said if line.startswith("default with ")]
        return [str(Path(path).relative_to(project.directory)) for path in paths]

    return ran


@pytest.mark.parametrize(
    "place", ["bin", "home/.pyenv/versions/3.13.2/bin", "home/.local/share/uv/python/cpython-3.13.2-linux/bin"]
)
def test_an_interpreter_is_found(project, ran, place):
    project.write("bin/python3.11", INTERPRETER)
    project.write("bin/python3.13", UNUSABLE)
    project.write(f"{place}/python3.13", INTERPRETER)
    assert ran() == ["bin/python3.11", "bin/python3.11", f"{place}/python3.13"]


def test_what_has_no_interpreter_is_named(project):
    project.write("bin/python3.11", INTERPRETER)
    project.write("bin/python3.12", UNUSABLE)
    code, said = project.run()
    assert code == 0
    assert said[-1] == (
        "Not run, as no interpreter for it is here: ansible-core 2.21.*, which needs one of python3.12 python3.13 "
        "python3.14, with venv"
    )


def test_nothing_that_has_run_is_a_failure(project):
    code, said = project.run()
    assert (code, len(said)) == (1, 3)


def test_the_tools_set_up_the_hosts(project):
    """ansible-core 2.19.1 may hang there."""
    project.write("bin/python3.11", INTERPRETER)
    project.molecule("case $PATH in *compat*) echo old $1 ;; *) echo new $1 ;; esac")
    steps = ["new destroy", "new prepare", "old check", "old converge", "old idempotence", "old verify", "new destroy"]
    assert [line for line in project.run()[1] if line.startswith(("old ", "new "))] == steps * 2


@pytest.mark.parametrize("script", ["exit 2", "echo '[DEPRECATION WARNING]: old'"])
def test_a_run_that_fails_or_warns_is_named_when_the_others_have_run(project, script):
    project.write("bin/python3.11", INTERPRETER)
    project.write("bin/python3.12", INTERPRETER)
    project.molecule(f"case $PATH in *python3.11-2.19.1*) {script} ;; esac")
    code, said = project.run()
    assert code == 1
    assert len([line for line in said if line.startswith("default with ")]) == 3
    assert said[-1] == f"Failed: ansible-core 2.19.1 on {project.directory}/bin/python3.11"
