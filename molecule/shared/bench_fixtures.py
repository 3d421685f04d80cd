# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin with the fixtures of all scenarios; .config/molecule/config.yml loads it."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import bench_client
import httpx
import packet_recorder
import platforms
import pytest
import testinfra
from testinfra.host import Host

# Imported tests show the compared values, too.
pytest.register_assert_rewrite("client_certificate_tests", "login_tests")
# Tests compare the output of playbooks; Molecule enables colours.
os.environ.update(ANSIBLE_FORCE_COLOR="false", ANSIBLE_NOCOLOR="true")


@pytest.fixture(scope="session")
def web() -> Host:
    """Return the host that serves the site."""
    return testinfra.get_host(f"docker://{bench_client.containers()[bench_client.HOST].name}")


@pytest.fixture(scope="session")
def names(web: Host) -> platforms.Platform:
    """Return what the host's distribution calls things."""
    return platforms.of(web)


@pytest.fixture(scope="session")
def run_site() -> Callable[..., tuple[int, str]]:
    """Return a function that runs site.yml with variables, and returns its exit code and its output, in one line."""
    return partial(run_playbook, "site.yml")


def run_playbook(name: str, variables: dict, *options: str) -> tuple[int, str]:
    """Run a playbook of the project on the scenario's hosts; return its exit code and what it printed, in one line."""
    playbook = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / name
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], playbook, "-e", json.dumps(variables)]
    # Minutes at most, even on a slow machine: the limit only ends a run that hangs.
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True, timeout=1800)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def visitor() -> Iterator[httpx.Client]:
    """Return a client that has never been to the site."""
    with bench_client.client() as session:
        yield session


@pytest.fixture
def report(capsys: pytest.CaptureFixture) -> Callable[[str], None]:
    """Print a line, also where the test passes."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    return print_line


@pytest.fixture
def recorder(web: Host) -> Iterator[None]:
    """Answer every request, until the test ends, with the uwsgi packet that httpd sent for it."""
    with recording(web):
        yield


@contextmanager
def recording(web: Host) -> Iterator[None]:
    """Have the packet recorder take the application's place at its socket."""
    script = Path(packet_recorder.__file__).read_text()
    command = ["docker", "exec", "--interactive", web.backend.name, "python3", "-c", script, "/run/flask_app.sock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"recording\n"
        yield
