# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is complete only when its account can read it and its server is the one that was asked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILES = Path(__file__).parents[2] / "roles/flask_app/files"
# What only root may do.
PROGRAMS = {
    "runuser": 'shift 3; exec "$@"',
    "chown": "exit 0",
    "install": 'for last; do :; done; exec touch "$last"',
    "find": 'case "$*" in *-readable*) printf "%s" "$FOUND" ;; *) exec /usr/bin/find "$@" ;; esac',
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a script of the role with these arguments; return what it came to."""
    for name, script in PROGRAMS.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def call(script: str, *arguments: object, found: str = "") -> subprocess.CompletedProcess:
        command = ["sh", "-euc", (FILES / script).read_text(), "sh", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", env=os.environ | {"FOUND": found}
        )

    return call


@pytest.fixture
def release(tmp_path) -> Path:
    """A release with an application, and a virtual environment beside it."""
    (tmp_path / "release/app").mkdir(parents=True)
    (tmp_path / "release/app/wsgi.py").write_text("application = None\n")
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    return tmp_path / "release"


def complete(run, release, code: str, found: str = "") -> subprocess.CompletedProcess:
    """Complete a release whose server is judged by Python code."""
    return run("complete_release.sh", release, release.parent / "venv", "owner", "user", code, "x==1", found=found)


def test_a_release_that_holds_is_complete_and_compiled(run, release):
    done = complete(run, release, "import sys; assert sys.argv[1:] == ['x==1']")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (release / "complete").exists()
    assert (release / "venv").resolve() == release.parent / "venv"
    assert list((release / "app/__pycache__").iterdir())


@pytest.mark.parametrize("code", ["print('x 2')", "raise SystemExit('no distribution x')"])
def test_another_server_than_the_one_that_was_asked_for_is_refused(run, release, code):
    done = complete(run, release, code)
    assert done.returncode == 4
    assert "x" in done.stdout
    assert not (release / "complete").exists()


def test_a_release_that_its_account_cannot_read_is_refused(run, release):
    done = complete(run, release, "", found="/srv/app/secret")
    assert (done.returncode, done.stdout) == (3, "/srv/app/secret\n")
    assert not (release / "complete").exists()


def test_what_is_left_of_a_release_goes_and_one_that_is_complete_stays(run, release):
    directory = release.parent
    (directory / "releases").mkdir()
    arguments = (directory, directory / "releases/1", directory / "venv", "owner")
    assert run("begin_release.sh", *arguments).stdout == ""
    (directory / "releases/1/app/left").touch()
    (directory / "venv/complete").touch()
    assert run("begin_release.sh", *arguments).stdout == "venv\n"
    assert not (directory / "releases/1/app/left").exists()
    (directory / "releases/1/app/kept").touch()
    (directory / "releases/1/complete").touch()
    run("begin_release.sh", *arguments)
    assert (directory / "releases/1/app/kept").exists()


def test_a_link_in_the_place_of_a_directory_is_not_followed(run, release):
    elsewhere = release.parent / "elsewhere"
    elsewhere.mkdir()
    (release.parent / "releases").symlink_to(elsewhere)
    begun = run("begin_release.sh", release.parent, release.parent / "releases/1", release.parent / "venv", "owner")
    assert begun.returncode == 1
    assert "releases is a link. Remove it." in begun.stderr
    assert not list(elsewhere.iterdir())


def test_what_only_root_can_read_is_opened_but_not_what_a_link_leads_to(run, release, tmp_path):
    (release / "app/wsgi.py").chmod(0o600)
    (release / "app/closed").mkdir(mode=0o700)
    (tmp_path / "secret").touch(mode=0o600)
    (release / "app/link").symlink_to(tmp_path / "secret")
    complete(run, release, "")
    modes = {path: path.stat().st_mode & 0o777 for path in (release / "app/wsgi.py", release / "app/closed")}
    assert list(modes.values()) == [0o644, 0o755]
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_virtual_environment_that_is_a_link_is_not_opened(run, release, tmp_path):
    """The account that owns it could lead root anywhere."""
    (tmp_path / "closed/bin").mkdir(parents=True)
    (tmp_path / "closed/bin/python").symlink_to(sys.executable)
    (tmp_path / "closed").chmod(0o700)
    shutil.rmtree(release.parent / "venv")
    (release.parent / "venv").symlink_to(tmp_path / "closed")
    complete(run, release, "")
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["releases", "venvs", "wheels"])
def test_nothing_is_removed_behind_a_link(run, tmp_path, name):
    (tmp_path / "elsewhere/kept").mkdir(parents=True)
    (tmp_path / "app").mkdir()
    for directory in {"releases", "venvs", "wheels"} - {name}:
        (tmp_path / "app" / directory).mkdir()
    (tmp_path / "app" / name).symlink_to(tmp_path / "elsewhere")
    removed = run("remove_unused.sh", tmp_path / "app", "current", 1, tmp_path / "app/wheels/1", tmp_path)
    assert removed.returncode == 1
    assert (tmp_path / "elsewhere/kept").exists()
