# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python whose library httpd loads while it is root is root's alone."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

SCRIPT = (Path(__file__).parents[2] / "roles/mod_wsgi_app/files/trusted_python.sh").read_text()
ROOTS = "/usr/bin/python3"


def ask(python: object) -> subprocess.CompletedProcess:
    """Run the script."""
    return subprocess.run(["/bin/sh", "-euc", SCRIPT, "sh", str(python)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["python3", ROOTS])
def test_python_of_the_distribution_tells_its_version(name, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = ask(name)
    assert (done.returncode, done.stdout[:9]) == (0, f"Python {platform.python_version_tuple()[0]}.")


def test_python_in_a_directory_that_others_can_write_to_is_not_run(programs, tmp_path):
    """All of its path counts, the target of a link, too; the program leaves no trace."""
    ran = tmp_path / "ran"
    programs({"python3.99": f"touch {ran}"})
    open_to_all = tmp_path.parent / f"{tmp_path.name}-open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (tmp_path / "bin").rename(open_to_all / "bin")
    (tmp_path / "bin").symlink_to(open_to_all / "bin")
    for name in ("python3.99", open_to_all / "bin/python3.99"):
        assert ask(name).returncode == 3
    assert not ran.exists()


def test_link_to_a_python_in_a_directory_that_others_can_write_to_is_not_run(tmp_path):
    """It leads to root's Python now, and may lead elsewhere later."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin").chmod(0o777)
    (tmp_path / "bin/python3.99").symlink_to(ROOTS)
    (tmp_path / "link").symlink_to("bin/python3.99")
    for name in ("bin/python3.99", "link"):
        done = ask(tmp_path / name)
        assert (done.returncode, done.stdout) == (3, f"{tmp_path}/bin\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can give a file to another account")
def test_python_of_another_account_is_not_run(programs, tmp_path):
    programs({"python3.99": f"touch {tmp_path}/ran"})
    os.chown(tmp_path / "bin/python3.99", 65534, 65534)
    done = ask("python3.99")
    assert (done.returncode, done.stdout) == (3, f"{tmp_path}/bin/python3.99\n")
    assert not (tmp_path / "ran").exists()


def test_missing_python_is_named():
    done = ask("python3.98")
    assert (done.returncode, done.stderr) == (1, "There is no python3.98.\n")
