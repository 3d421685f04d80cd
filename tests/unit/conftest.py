# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the collection importable under its own name, and what else is tested; run modules as Ansible does, in here."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible.plugins.loader import init_plugin_loader
from hypothesis import settings

ROOT = Path(__file__).parents[2]

# On a busy machine, slowness is no fault.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Templates find the collection's filters and lookups only if Ansible itself imports it.
init_plugin_loader([str(ROOT / ".collections")])
for place in (".collections", "app", "molecule/shared", "tools"):
    sys.path.insert(0, str(ROOT / place))


@pytest.fixture(scope="session")
def tracked() -> set[str]:
    """List the files of the source: what git tracks or, in a copy without git, what it does not ignore."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    if (ROOT / ".git").exists():
        names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
        return {name for name in names if name and (ROOT / name).is_file()}
    patterns = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    ignored = [pattern.rstrip("/") for pattern in patterns if not pattern.startswith("#")]
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return {
        str(path) for path in paths if not any(fnmatch(part, pattern) for part in path.parts for pattern in ignored)
    }


@pytest.fixture(scope="session")
def run_module() -> Callable[..., dict]:
    """Run a module with parameters, in check mode with `check_mode=True`; return what it returns to Ansible."""

    def run(module: ModuleType, check_mode: bool = False, **parameters) -> dict:
        said = StringIO()
        arguments = patch_module_args(parameters | {"_ansible_check_mode": check_mode})
        with arguments, redirect_stdout(said), pytest.raises(SystemExit):
            module.main()
        return json.loads(said.getvalue())

    return run


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Callable[[dict[str, str]], None]:
    """Have programs, by name, with these shell scripts before those of the system."""

    def have(scripts: dict[str, str]) -> None:
        for name, script in scripts.items():
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return have


@pytest.fixture
def service(run_module, tmp_path):
    """A service without any files, a staged_service.Service."""
    from staged_service import Service  # noqa: PLC0415 (it is found only now)

    return Service(run_module, tmp_path)


@pytest.fixture
def systemctl(service, tmp_path, programs) -> Path:
    """Have a systemctl that starts no unit whose files say "broken"; return the file of what it was asked."""
    asked = tmp_path / "asked"
    scripts = {
        "systemctl": f'echo "$@" >> {asked}\ncase $1 in *restart) ! grep -rqs broken {service.etc} ;; esac',
        "journalctl": "echo web: this is broken",
    }
    programs(scripts)
    return asked
