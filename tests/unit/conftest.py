# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the modules importable under the collection's name, and run them without a host."""

import io
import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))


@pytest.fixture
def run(capsys):
    """Return a function that runs a module's main() and returns what Ansible would get."""

    def call(module, check=False, **arguments):
        wanted = arguments | {"_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(wanted), pytest.raises(SystemExit):
            module.main()
        return json.load(io.StringIO(capsys.readouterr().out))

    return call
