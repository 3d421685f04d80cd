# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal sources give equal archives."""

import io
import os
import tarfile

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import source_archive


@pytest.fixture
def source(tmp_path):
    """A small source tree."""
    (tmp_path / "src/package").mkdir(parents=True)
    (tmp_path / "src/package/app.py").write_text("x = 1\n")
    (tmp_path / "src/requirements.txt").write_text("flask\n")
    return tmp_path / "src"


def checksum(run, source, **options):
    """The checksum that the module gives."""
    return run(source_archive, path=str(source), **options)["sha256"]


def test_times_owners_and_caches_do_not_count(run, source):
    """A fresh checkout is the same source."""
    before = checksum(run, source)
    os.utime(source / "requirements.txt", (0, 0))
    (source / "__pycache__").mkdir()
    (source / "__pycache__/app.cpython-311.pyc").write_bytes(b"x")
    assert checksum(run, source) == before


@pytest.mark.parametrize("change", ["content", "name", "mode"])
def test_what_runs_counts(run, source, change):
    """Contents, names and executable bits make another source."""
    before = checksum(run, source)
    file = source / "package/app.py"
    {
        "content": lambda: file.write_text("x = 2\n"),
        "name": lambda: file.rename(source / "package/main.py"),
        "mode": lambda: file.chmod(0o755),
    }[change]()
    assert checksum(run, source) != before


def test_the_archive_holds_the_tree(run, source, tmp_path):
    """Folders come before what is in them, and check mode writes nothing."""
    dest = tmp_path / "out.tar"
    checksum(run, source, dest=str(dest), check=True)
    assert not dest.exists()
    checksum(run, source, dest=str(dest))
    with tarfile.open(fileobj=io.BytesIO(dest.read_bytes())) as archive:
        assert sorted(archive.getnames()) == ["package", "package/app.py", "requirements.txt"]


def test_a_link_out_of_the_tree_is_refused(run, source):
    """It would carry a file of the controller to the host."""
    (source / "passwords").symlink_to("/etc/passwd")
    result = run(source_archive, path=str(source))
    assert result["failed"]
    assert "passwords is a symbolic link" in result["msg"]
