# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on hosts loads with EL 9's Python, the oldest that is supported."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import ansible
import pytest
import untrusted_roles

PROJECT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".")
    for directory in ("modules", "module_utils")
    for path in (PROJECT / "plugins" / directory).rglob("*.py")
    if path.stem != "__init__"
)
#: Of the distribution, pyenv or uv.
PLACES = ((Path.home() / ".pyenv/versions", "3.9*/bin"), (Path.home() / ".local/share/uv/python", "cpython-3.9*/bin"))


@pytest.fixture(scope="module")
def python39() -> str:
    """Return the path of Python 3.9."""
    others = [str(path / "python3.9") for place, pattern in PLACES for path in place.glob(pattern)]
    for path in (shutil.which("python3.9"), *others):
        # One of pyenv's may be on PATH without being switched on.
        if path and not subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode:
            return path
    pytest.skip("not run, as there is no Python 3.9 here")


def test_modules_load(python39: str, tmp_path: Path) -> None:
    """With module_utils of the ansible-core here, and nothing else."""
    (tmp_path / "ansible").mkdir()
    (tmp_path / "ansible" / "__init__.py").touch()
    (tmp_path / "ansible" / "module_utils").symlink_to(Path(ansible.__file__).parent / "module_utils")
    names = [f"ansible_collections.campus.flask_sso.{name}" for name in MODULES]
    assert len(names) > 30
    code = f"import importlib\nfor name in {names}:\n    importlib.import_module(name)"
    path = os.pathsep.join([str(tmp_path), str(PROJECT / ".collections")])
    run = subprocess.run(
        [python39, "-B", "-c", code], check=False, env={"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_script_of_the_cookies_keys_loads(python39: str, tmp_path: Path) -> None:
    script = tmp_path / "keys.py"
    script.write_text(untrusted_roles.Site(tmp_path).made("shibboleth_sp", "sealer_keys.py.j2", {}))
    load = f"import runpy; assert runpy.run_path({str(script)!r})['write']"
    run = subprocess.run([python39, "-B", "-c", load], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
