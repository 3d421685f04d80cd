# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of a reused role share: visitors from outside, and further runs of the playbook."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bench_client
import httpx
import pytest
from bench_client import BenchTransport

SCENARIO = Path(__file__).parents[1]
SITE = "http://reuse.example.org"


@dataclass
class Run:
    """A run of the playbook: its exit code, what it said, in one line, and how many tasks changed something."""

    code: int
    said: str

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return int(re.search(r"changed=(\d+)", self.said)[1])


def run_playbook(name: str, variables: dict, stop_at: str | None = None) -> Run:
    """Run a playbook of the scenario with `variables`, or kill it when it begins the task `stop_at`."""
    command = [
        "ansible-playbook",
        "-i",
        os.environ["MOLECULE_INVENTORY_FILE"],
        name,
        "-e",
        json.dumps(variables),
    ]
    said = []
    with subprocess.Popen(
        command, cwd=SCENARIO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        for line in process.stdout:
            said += line.split()
            if stop_at and line.startswith("TASK") and stop_at in line:
                os.killpg(process.pid, signal.SIGKILL)
    return Run(process.returncode, " ".join(said))


@pytest.fixture
def deploy(tmp_path) -> Callable[..., Run]:
    """Deploy a release that calls itself by a name, with `code` at the end of its module and further variables."""

    def run(
        release: str, code: str = "", stop_at: str | None = None, playbook: str = "converge.yml", **variables
    ) -> Run:
        source = tmp_path / release
        shutil.copytree(SCENARIO / "files" / "app", source, dirs_exist_ok=True)
        module = source / "app.py"
        module.write_text(module.read_text().replace('"first"', f'"{release}"') + code)
        return run_playbook(playbook, {"flask_app_source": str(source)} | variables, stop_at)

    return run


@pytest.fixture
def page() -> Callable[..., httpx.Response]:
    """Fetch a page through Apache, from outside."""

    def fetch(path: str = "/", **options) -> httpx.Response:
        with stranger() as client:
            return client.get(path, **options)

    return fetch


def stranger() -> httpx.Client:
    """Return a client of the site, which has no TLS."""
    return httpx.Client(transport=BenchTransport(), base_url=SITE, timeout=30)


visitors = partial(bench_client.visitors, connect=stranger)
