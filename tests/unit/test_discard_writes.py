# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trial of a release writes to the application's files is discarded."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "roles/flask_app/files/discard_writes.sh"
# In place of systemd-run: binds the copies in mounts of its own, and runs the rest with the output where it belongs.
BOUND = """#!/bin/sh
set -eu
while [ "$1" != "${1#--property=BindPaths=}" ]; do
    pair=${1#--property=BindPaths=}
    mount --bind "${pair%%:*}" "${pair#*:}"
    shift
done
output=${1#--property=StandardOutput=file:}
shift
exec "$@" > "$output" 2>&1
"""
may_mount = os.geteuid() == 0 and subprocess.run(["/usr/bin/unshare", "--mount", "true"], check=False).returncode == 0


@pytest.mark.skipif(not may_mount, reason="only root mounts")
@pytest.mark.parametrize("end", ["true", "exit 7"])
def test_command_sees_the_data_and_its_writes_are_gone(tmp_path: Path, end: str):
    data, file, trial, bound = (tmp_path / name for name in ("data", "file", "trial", "bound"))
    data.mkdir(mode=0o750)
    (data / "kept").write_text("old")
    file.write_text("old")
    bound.write_text(BOUND)
    bound.chmod(0o755)
    command = f"cat {data}/kept {file}; echo new | tee {data}/kept {data}/more {file}; stat --format=%a {data}; {end}"
    paths = [data, tmp_path / "missing", file]
    script = ["sh", "-euc", SCRIPT.read_text(), "sh", trial, *paths, "--", bound, "sh", "-c"]
    argv = ["/usr/bin/unshare", "--mount", *script, command]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("oldoldnew\n750\n", "")
    assert result.returncode == (7 if end == "exit 7" else 0)
    assert [path.name for path in data.iterdir()] == ["kept"]
    assert ((data / "kept").read_text(), file.read_text()) == ("old", "old")
    assert not trial.exists()


@pytest.mark.skipif(not may_mount, reason="only root mounts, or gives a directory away")
@pytest.mark.parametrize("path", ["site/public", "site/public/below"])
@pytest.mark.parametrize("owner", [0, 65534])
def test_link_in_a_directory_of_another_account_is_refused(tmp_path: Path, owner: int, path: str):
    """Or code of the release could read what it leads to, even below a directory that is closed to it."""
    (tmp_path / "secret/below").mkdir(parents=True)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/public").symlink_to(tmp_path / "secret")
    os.chown(tmp_path / "site", owner, owner)
    script = ["sh", "-euc", SCRIPT.read_text(), "sh", tmp_path / "trial", tmp_path / path, "--", "true"]
    argv = ["/usr/bin/unshare", "--mount", *script]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    said = f"{tmp_path}/site/public is a link. Remove it.\n"
    assert (result.returncode, result.stdout) == ((1, said) if owner else (0, ""))
    assert not (tmp_path / "trial").exists()
