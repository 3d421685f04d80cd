# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application runs as its author wrote it: with its layout, its requirements, its odd files and its environment.

The tests follow each other, and those of the other files, in the life of one site.
"""

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import SCENARIO
from releases import Run

ENVIRONMENT = {
    "LINES": "-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
    "BLANKS": " a\tb ",
    "QUOTES": """say "hi", it's `x`""",
    "SIGNS": "pa$$word $HOME ${X} 100%u %% # no; \\new\\",
    "LETTERS": "Zürich ✓ 😀",
    "EMPTY": "",
    "LONG": "x" * 100_000,
    "TZ": "JST-9",
}
SERVER_ENVIRONMENT = {f"SERVER_{name}": value for name, value in ENVIRONMENT.items() if name != "LONG"}
SHOW = """
import os

import hello_lib
import settings

OFFSET = time.strftime("%z")


@app.get("/environment")
def environment():
    return dict(os.environ) | {"OFFSET": OFFSET}
"""
# Requests the application without httpd in front of it.
ASK = """
import socket

with socket.socket(socket.AF_UNIX) as client:
    client.connect("/run/visitors-gunicorn.sock")
    client.sendall(b"GET /environment HTTP/1.0\\r\\n\\r\\n")
    print(b"".join(iter(lambda: client.recv(65536), b"")).decode().partition("\\r\\n\\r\\n")[2])
"""
FILES = {
    "deploy/requirements.txt": "-r base.txt\n-c constraints.txt\n-e ./vendor/hello\n",
    "deploy/base.txt": "flask\n",
    "deploy/constraints.txt": "flask==3.1.3\n",
    "vendor/hello/pyproject.toml": '[project]\nname = "hello-lib"\nversion = "1"\n',
    "vendor/hello/hello_lib/__init__.py": "",
    "src/settings/__init__.py": "",
    "templates/project.py": "from {{ name }} import app\n",
    "tools/old.py": "print 'Python 2'\n",
    ".env": "TOKEN=hunter2\n",
    "env/pyvenv.cfg": "",
    "node_modules/pkg/index.js": "",
    "uploads/photo.jpg": "",
}
LINKS = {
    "env/python": "/usr/bin/python3",
    "node_modules/loop": "../node_modules",
    ".#app.py": "me@host.1234:5678",
    "uploads/elsewhere": "/etc",
    "latest": "src/settings",
}
PROJECT = {
    ".gitignore": "*.log\n",
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "hello-app"
version = "1"
dependencies = ["flask==3.1.3"]
""",
    "src/hello_app/__init__.py": "",
    "src/hello_app/app.py": (SCENARIO / "files/app/app.py").read_text().replace('"first"', '"committed"'),
}
# Collects what every account can see of commands that name the password; its own command names it otherwise.
WATCH = "while sleep 0.1; do cat /proc/[0-9]*/cmdline 2>/dev/null | grep --text hunter[2] >> /root/seen; done"


@pytest.fixture
def peculiar(tmp_path, deploy) -> Callable[..., Run]:
    """Deploy an application with everything that applications may have in addition to a module."""

    def run(release: str, requirements: str = "", **variables) -> Run:
        for path, content in FILES.items():
            (tmp_path / release / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / release / path).write_text(content)
        for path, target in LINKS.items():
            (tmp_path / release / path).unlink(missing_ok=True)
            (tmp_path / release / path).symlink_to(target)
        with (tmp_path / release / "deploy/requirements.txt").open("a") as file:
            file.write(requirements)
        given = {
            "flask_app_requirements": "deploy/requirements.txt",
            "flask_app_exclude": ["/uploads"],
            "flask_app_environment": ENVIRONMENT | {"PYTHONPATH": "src"},
            "flask_app_server_environment": SERVER_ENVIRONMENT,
        }
        return deploy(release, SHOW, **given | variables)

    return run


def has_all(seen: dict) -> bool:
    """Return whether an application had the expected environment, from its first line on."""
    wanted = ENVIRONMENT | SERVER_ENVIRONMENT | {"OFFSET": "+0900"}
    return {name: seen.get(name) for name in wanted} == wanted


def test_peculiar_application_runs_under_uwsgi(host, peculiar, page):
    run = peculiar("peculiar")
    assert run.code == 0, run.said
    assert "Left out of the release: .env, node_modules/. If the application needs it" in run.said
    assert page().text == "peculiar"
    assert has_all(page("/environment").json())
    assert sorted(host.file("/srv/guestbook/current/app").listdir()) == sorted(
        ["app.py", "__pycache__", "deploy", "latest", "requirements.txt", "src", "templates", "tools", "vendor"]
    )
    assert peculiar("peculiar").changed == 0


def test_peculiar_application_runs_under_gunicorn(host, peculiar):
    run = peculiar("peculiar", playbook="gunicorn.yml")
    assert run.code == 0, run.said
    assert has_all(json.loads(host.check_output("python3 -c %s", ASK)))
    host.check_output("systemctl disable --now visitors-gunicorn.socket visitors-gunicorn.service")


def test_peculiar_application_runs_under_mod_wsgi(peculiar, page):
    run = peculiar("peculiar", playbook="mod_wsgi.yml")
    assert run.code == 0, run.said
    assert has_all(page("/environment").json())


def test_requirement_of_another_server_is_refused_and_the_old_release_keeps_serving(peculiar, page):
    run = peculiar("pinned", "uWSGI==2.0.30\n")
    assert run.code == 2, run.said
    assert "The requirements of the application install another uwsgi than uwsgi==2.0.31" in run.said
    assert (
        "Remove it from deploy/requirements.txt, or set flask_app_uwsgi_version and flask_app_uwsgi_sha256" in run.said
    )
    assert "The user requested uWSGI==2.0.30" in run.said
    assert page().text == "peculiar"


def test_failed_import_names_what_was_left_out(peculiar, page):
    run = peculiar("unconfigured", flask_app_environment={})  # so src is not on the path
    assert run.code == 2, run.said
    assert "No module named 'settings'" in run.said
    assert "The previous release keeps running. Left out of the release: .env, node_modules/." in run.said
    assert page().text == "peculiar"


def test_release_that_its_account_cannot_read_is_built_again(host, peculiar, page):
    """Such as one that a login with the umask 077 made."""
    host.check_output("chmod 0700 /srv/guestbook/current/venv")
    run = peculiar("peculiar")
    assert run.code == 0, run.said
    find = "cd /; runuser --user guestbook -- find /srv/guestbook/current/ -type d ! -executable"
    assert host.check_output(find) == ""
    assert page().text == "peculiar"
    assert peculiar("peculiar").changed == 0


def git(directory: Path, *arguments: str) -> str:
    """Run Git in a directory; return what it prints."""
    author = ["-c", "user.name=Alice", "-c", "user.email=alice@example.org"]
    command = [shutil.which("git"), "-C", str(directory), *author, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository with a project whose modules are below src, and with the tag v1."""
    directory = tmp_path / "repository"
    for path, content in PROJECT.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(content)
    for command in (["init"], ["add", "--all"], ["commit", "--message", "first"], ["tag", "v1"]):
        git(directory, *command)
    (directory / "access.log").touch()
    return directory


@pytest.fixture
def wheelhouse(host, tmp_path) -> Path:
    """What the host's Python needs for the project."""
    python = host.check_output("python3 -c 'import platform; print(platform.python_version())'")
    options = ["--quiet", "--only-binary=:all:", "--python-version", python, "--dest", str(tmp_path / "wheelhouse")]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "flask==3.1.3", "setuptools"], check=True)
    return tmp_path / "wheelhouse"


def test_project_from_a_repository_is_installed_from_a_wheelhouse_and_its_commit_recorded(
    host, deploy, page, repository, wheelhouse
):
    project = {
        "flask_app_source": str(repository),
        "flask_app_source_type": "git",
        "flask_app_source_reference": "v1",
        "flask_app_requirements": "pyproject.toml",
        "flask_app_wsgi": "hello_app.app:app",
        "flask_app_wheelhouse": str(wheelhouse),
    }
    run = deploy("unused", **project)
    assert run.code == 0, run.said
    assert page().text == "committed"
    assert f"v1, commit {git(repository, 'rev-parse', 'v1')}" in host.check_output("cat /etc/guestbook/releases/*.json")
    assert not host.file("/srv/guestbook/current/app/access.log").exists
    assert host.check_output("find /srv/guestbook/ -name wheelhouse -o -name pip.conf") == ""
    assert deploy("unused", **project).changed == 0

    refused = deploy("unused", **project | {"flask_app_source_reference": "v2"})
    assert (refused.code, refused.changed) == (2, 0), refused.said
    assert 'flask_app_source_reference is "v2"' in refused.said
    assert "its latest tags and branches: " in refused.said
    assert page().text == "committed"


@pytest.fixture
def index(host) -> Iterator[dict[str, str]]:
    """Serve packages to those who know a password, and return the variables that name the place."""
    host.check_output("/srv/guestbook/current/venv/bin/pip download --quiet --dest /root/index flask==3.1.3")
    script = base64.b64encode((SCENARIO / "files/index.py").read_bytes()).decode()
    host.check_output(f"echo {script} | base64 --decode > /root/index.py")
    host.check_output("systemd-run --collect --unit=index --working-directory=/root/index python3 /root/index.py")
    host.check_output("systemd-run --collect --unit=watch sh -c %s", WATCH)
    yield {
        "flask_app_index_url": "http://127.0.0.1:8079/simple/",
        "flask_app_index_username": "deploy",
        "flask_app_index_password": "hunter2",
    }
    host.check_output("systemctl stop index watch")


def test_password_of_a_package_index_is_in_no_output_and_no_file(host, deploy, page, index, tmp_path):
    """The release comes as an archive."""
    for name in ("private.txt", "refused.txt"):
        (tmp_path / "private").mkdir(exist_ok=True)
        (tmp_path / "private" / name).write_text("flask==3.1.3\n")
    run = deploy("private", packed=True, flask_app_requirements="private.txt", **index)
    assert run.code == 0, run.said
    assert page().text == "private"
    assert "hunter2" not in run.said
    assert not host.file("/root/seen").size
    assert (
        host.run("grep --recursive --files-with-matches hunter2 /srv/guestbook /etc/guestbook /tmp /var/tmp").stdout
        == ""
    )
    assert re.search(r"GET /flask-.* 200", host.check_output("journalctl --unit=index"))

    wrong = index | {"flask_app_index_password": "swordfish"}
    refused = deploy("private", flask_app_requirements="refused.txt", **wrong)
    assert (refused.code, refused.changed) == (2, 0), refused.said
    assert f'flask_app_index_url is "{index["flask_app_index_url"]}", which does not answer' in refused.said
    assert "HTTP Error 401" in refused.said
    assert "swordfish" not in refused.said
    assert page().text == "private"
