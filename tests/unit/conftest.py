# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the collection importable under its own name, and what else is tested; run modules as Ansible does, in here."""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from ansible.module_utils.testing import patch_module_args

for place in (".collections", "app", "molecule/shared", "tools"):
    sys.path.insert(0, str(Path(__file__).parents[2] / place))


@pytest.fixture(scope="session")
def run_module() -> Callable[..., dict]:
    """Run a module with parameters, in check mode with `check_mode=True`; return what it hands to Ansible."""

    def run(module: ModuleType, check_mode: bool = False, **parameters) -> dict:
        said = StringIO()
        arguments = patch_module_args(parameters | {"_ansible_check_mode": check_mode})
        with arguments, redirect_stdout(said), pytest.raises(SystemExit):
            module.main()
        return json.loads(said.getvalue())

    return run
