# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook on the controller in a fraction of the time.

A server process loads Ansible, and what its modules load, once. Each playbook runs in a fork of it, and so does each of
its modules, which are called as functions: neither is packed and sent to a Python of its own.
"""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(["playbook_server"])


def run_playbook(*arguments: str, directory: Path) -> str:
    """Run a playbook.

    :param arguments: Arguments of ansible-playbook.
    :param directory: Where it runs.
    :returns: What it said, with the return code as its last word.
    """
    output = directory / "output"
    process = SERVER.Process(target=_run, args=(arguments, directory, output))
    process.start()
    process.join()
    return f"{output.read_text()} {process.exitcode}"


def _run(*job) -> None:
    """Have a fork of the server do its work."""
    import playbook_server  # noqa: PLC0415 (it would change the test's process)

    playbook_server.run(*job)
