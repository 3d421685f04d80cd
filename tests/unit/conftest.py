# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the collection importable under its own name, and run its modules as Ansible does, in this process."""

import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

sys.path.insert(0, str(Path(__file__).parents[2] / ".collections"))


@pytest.fixture
def run_module(capsys):
    """Run a module with parameters, in check mode with `check_mode=True`; return what it hands to Ansible."""

    def run(module, check_mode: bool = False, **parameters) -> dict:
        with patch_module_args(parameters | {"_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run
