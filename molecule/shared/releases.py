# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of an application behind an Apache that was set up by hand, and visitors from outside."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from bench_client import BenchTransport


@dataclass
class Run:
    """A run of the playbook: its exit code, its output in one line, and how many tasks changed something."""

    code: int
    said: str

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return int(re.search(r"changed=(\d+)", self.said)[1])


def run_playbook(
    playbook: Path,
    variables: dict,
    stop_at: str | None = None,
    watch: Callable[[str], object] = str,
    directory: Path | None = None,
    **environment: str,
) -> Run:
    """Run a playbook with `variables`, or kill it when it begins the task `stop_at`; `watch` gets its lines.

    It is started in `directory`, by default its own; `environment` is added to the environment of ansible-playbook.
    """
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    command = ["ansible-playbook", "-i", inventory, str(playbook.absolute()), "-e", json.dumps(variables)]
    said = []
    with subprocess.Popen(
        command,
        cwd=directory or playbook.parent,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        for line in process.stdout:
            said += line.split()
            watch(line)
            if stop_at and line.startswith("TASK") and stop_at in line:
                os.killpg(process.pid, signal.SIGKILL)
    return Run(process.returncode, " ".join(said))


def releases(scenario: Path, directory: Path) -> Callable[..., Run]:
    """Return a function that deploys a release of a scenario's application, whose sources it writes to `directory`.

    The release calls itself by a name, has `code` at the end of its module, is an archive if it is `packed`, and is
    deployed with further variables.
    """

    def deploy(
        release: str,
        code: str = "",
        stop_at: str | None = None,
        playbook: str = "converge.yml",
        watch: Callable[[str], object] = str,
        packed: bool = False,
        **variables,
    ) -> Run:
        source = directory / release
        shutil.copytree(scenario / "files" / "app", source, dirs_exist_ok=True)
        module = source / "app.py"
        module.write_text(module.read_text().replace('"first"', f'"{release}"') + code)
        given = {"flask_app_source": str(source)}
        if packed:
            archive = Path(shutil.make_archive(str(source), "gztar", directory, release))
            checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
            given = {
                "flask_app_source": str(archive),
                "flask_app_source_type": "archive",
                "flask_app_source_sha256": checksum,
            }
        return run_playbook(scenario / playbook, given | variables, stop_at, watch)

    return deploy


def stranger(site: str, **options) -> httpx.Client:
    """Return a client of a site that has no TLS; `options` go to the transport."""
    return httpx.Client(transport=BenchTransport(**options), base_url=site, timeout=60)
