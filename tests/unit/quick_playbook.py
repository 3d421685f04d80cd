# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook on the controller in a third of the time.

A server process loads Ansible, and what its modules load, once. Each playbook runs in a fork of it, and so does each of
its modules, which are called as functions: neither is packed and sent to a Python of its own.
"""

from __future__ import annotations

import json
import os
import warnings
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parents[2]
# Ansible reads this as it is imported.
os.environ |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}

from ansible.cli.playbook import PlaybookCLI  # noqa: E402
from ansible.module_utils.testing import patch_module_args  # noqa: E402
from ansible.plugins.action import ActionBase  # noqa: E402
from ansible.vars.clean import remove_internal_keys  # noqa: E402

SERVER = get_context("forkserver")
SERVER.set_forkserver_preload([__name__, "cryptography.x509", "cryptography.hazmat.primitives.serialization.pkcs12"])


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


def _run(arguments: tuple[str, ...], directory: Path, output: Path) -> None:
    """Run a playbook in this process, and end it."""
    os.chdir(directory)
    with output.open("w") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    warnings.simplefilter("ignore")  # whose a module's are depends on who loads its libraries
    with patch.object(ActionBase, "_execute_module", _execute_here):
        PlaybookCLI.cli_executor(["ansible-playbook", *arguments])


def _execute_here(self, module_name: str = "", module_args: dict | None = None, task_vars=None, **options) -> dict:
    """Call a module as a function, in place of the method of :class:`ActionBase` that sends it to a host."""
    namespace, _, name = (module_name or self._task.action).rpartition(".")
    arguments: dict[str, Any] = dict(self._task.args if module_args is None else module_args)
    ignore_unknown = options.get("ignore_unknown_opts", False)
    self._update_module_args(f"{namespace}.{name}", arguments, task_vars or {}, ignore_unknown_opts=ignore_unknown)
    builtin = namespace in ("ansible.builtin", "ansible.legacy")
    package = "ansible.modules" if builtin else f"ansible_collections.{namespace}.plugins.modules"
    module = import_module(f"{package}.{name}")
    said = StringIO()
    with TemporaryDirectory() as place:
        arguments["_ansible_tmpdir"] = place
        with patch_module_args(arguments), redirect_stdout(said), suppress(SystemExit):
            module.main()
    result = json.loads(said.getvalue())
    remove_internal_keys(result)
    return result
