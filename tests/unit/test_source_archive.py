# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal sources give equal archives, and nothing from outside the source, or less than all of it, gets into one."""

import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import source_archive


@pytest.fixture
def source(tmp_path) -> Path:
    """A small application."""
    directory = tmp_path / "source"
    (directory / "pages").mkdir(parents=True)
    (directory / "app.py").write_text("application = None\n")
    (directory / "run").write_text("#!/bin/sh\n")
    (directory / "run").chmod(0o755)
    (directory / "pages" / "empty").mkdir()
    (directory / "pages" / "größe.html").write_text("<p>\n")
    return directory


@pytest.fixture
def checksum(run_module, source):
    """Return the checksum of the application."""
    return lambda: run_module(source_archive, path=str(source))["sha256"]


def test_times_owners_and_group_permissions_do_not_count(source, checksum):
    before = checksum()
    os.utime(source / "app.py", (0, 0))
    (source / "app.py").chmod(0o600)
    assert checksum() == before


@pytest.mark.parametrize("name", [".git", "__pycache__", ".venv", ".pytest_cache", "app.egg-info"])
def test_what_tools_leave_behind_does_not_count(source, checksum, name):
    before = checksum()
    (source / "pages" / name).mkdir()
    (source / "pages" / name / "file").write_text("x")
    assert checksum() == before


def test_names_contents_and_executable_bits_count(source, checksum):
    seen = {checksum()}
    (source / "app.py").write_text("application = 1\n")
    seen.add(checksum())
    (source / "app.py").chmod(0o755)
    seen.add(checksum())
    (source / "app.py").rename(source / "wsgi.py")
    seen.add(checksum())
    (source / "pages" / "empty").rmdir()
    seen.add(checksum())
    assert len(seen) == 5


def test_archive_holds_the_source(run_module, source, tmp_path):
    run_module(source_archive, path=str(source), dest=str(tmp_path / "source.tar"))
    with tarfile.open(tmp_path / "source.tar") as archive:
        members = {member.name: oct(member.mode) for member in archive}
        assert archive.extractfile("app.py").read() == b"application = None\n"
    assert members == {
        "app.py": "0o644",
        "run": "0o755",
        "pages": "0o755",
        "pages/empty": "0o755",
        "pages/größe.html": "0o644",
    }


def test_check_mode_writes_no_archive(run_module, source, tmp_path):
    assert run_module(source_archive, check_mode=True, path=str(source), dest=str(tmp_path / "source.tar"))["sha256"]
    assert not (tmp_path / "source.tar").exists()


def test_link_to_a_file_inside_counts_as_that_file(source, checksum):
    (source / "wsgi.py").symlink_to("app.py")
    linked = checksum()
    (source / "wsgi.py").unlink()
    (source / "wsgi.py").write_text("application = None\n")
    assert checksum() == linked


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "..", "pages", "/no/such/file"])
def test_link_that_leads_out_or_to_a_directory_or_nowhere_is_refused(run_module, source, target):
    (source / "link").symlink_to(target)
    result = run_module(source_archive, path=str(source))
    assert result["failed"]
    assert str(source / "link") in result["msg"]


def test_source_that_cannot_be_read_is_refused(run_module, tmp_path):
    result = run_module(source_archive, path=str(tmp_path / "none"))
    assert result["failed"]
    assert str(tmp_path / "none") in result["msg"]
