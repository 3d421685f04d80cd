# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server process of quick_playbook loads once, and what its forks do."""

from __future__ import annotations

import json
import os
import warnings
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

# Ansible reads this as it is imported.
os.environ |= {"ANSIBLE_CONFIG": str(Path(__file__).parents[2] / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}

from ansible.cli.playbook import PlaybookCLI
from ansible.module_utils.testing import patch_module_args
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.clean import remove_internal_keys

init_plugin_loader()
for name in ("ansible.builtin", "community.crypto", "community.general", "campus.flask_sso"):
    import_module(f"ansible_collections.{name}")
for name in ("cryptography.x509", "cryptography.hazmat.primitives.serialization.pkcs12"):
    import_module(name)


def run(arguments: tuple[str, ...], directory: Path, output: Path) -> None:
    """Run a playbook in this process, and end it.

    :param arguments: Arguments of ansible-playbook.
    :param directory: Where it runs.
    :param output: File for what it says.
    """
    os.chdir(directory)
    with output.open("w") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    warnings.simplefilter("ignore")  # whose a module's are depends on who loads its libraries
    with patch("ansible.cli.init_plugin_loader"), patch.object(ActionBase, "_execute_module", execute_here):
        PlaybookCLI.cli_executor(["ansible-playbook", *arguments])


def execute_here(self, module_name: str = "", module_args: dict | None = None, task_vars=None, **options) -> dict:
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
