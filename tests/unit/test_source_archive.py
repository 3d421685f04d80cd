# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal sources give equal archives, and nothing from outside the source, or less than all of it, gets into one."""

import contextlib
import errno
import hashlib
import os
import socket
import stat
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import source_archive, source_fetch


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


@pytest.mark.parametrize(
    "name",
    [
        *(".git", ".hg", ".svn", "__pycache__", ".venv", ".venv3", "venv", ".pytest_cache", ".tox", ".nox"),
        *("app.egg-info", "node_modules", ".DS_Store", "._app.py", "app.py~", "#app.py#", ".app.py.swp"),
    ],
)
def test_what_tools_leave_behind_does_not_count(source, checksum, name):
    before = checksum()
    (source / "pages" / name).mkdir()
    (source / "pages" / name / "file").write_text("x")
    assert checksum() == before


@pytest.mark.parametrize("sign", ["pyvenv.cfg", "bin/activate", "bin/python", "conda-meta/history"])
@pytest.mark.parametrize("name", ["env", "ENV", "py3"])
def test_python_environment_does_not_count_whatever_its_name(source, checksum, name, sign):
    before = checksum()
    (source / name / sign).parent.mkdir(parents=True)
    (source / name / sign).symlink_to("/usr/bin/python3")
    assert checksum() == before


def test_package_of_the_same_name_is_part_of_the_source(source, checksum):
    before = checksum()
    (source / "env").mkdir()
    (source / "env" / "__init__.py").touch()
    assert checksum() != before


def test_source_that_is_a_virtual_environment_itself_is_refused(run_module, source):
    (source / "pyvenv.cfg").touch()
    assert "is a virtual environment itself" in run_module(source_archive, path=str(source))["msg"]


@pytest.mark.parametrize(
    "pattern", ["uploads", "up*s", "uploads/", "static/uploads", "/static/uploads/", "./static/up*"]
)
def test_what_is_named_is_left_out_too(run_module, source, checksum, pattern):
    (source / "static").mkdir()
    before = checksum()
    (source / "static" / "uploads").mkdir()
    os.mkfifo(source / "static" / "uploads" / "pipe")
    result = run_module(source_archive, path=str(source), exclude=[pattern])
    assert (result["sha256"], result["excluded"]) == (before, ["static/uploads/"])


@pytest.mark.parametrize("pattern", ["/uploads", "tic/uploads", "UPLOADS"])
def test_pattern_means_whole_names_and_paths_from_the_source_on(run_module, source, pattern):
    (source / "static" / "uploads").mkdir(parents=True)
    assert run_module(source_archive, path=str(source), exclude=[pattern])["excluded"] == []


def test_what_is_left_out_is_reported_by_its_topmost_path(run_module, source):
    for path in (".env", "pages/.env.production", "env/pyvenv.cfg", "env/lib/app.py", "pages/__pycache__/app.pyc"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).touch()
    (source / os.fsdecode(b"caf\xe9~")).touch()
    excluded = run_module(source_archive, path=str(source))["excluded"]
    assert sorted(excluded) == [".env", "caf\\xe9~", "env/", "pages/.env.production"]


@pytest.mark.parametrize("requirements", ["env/requirements.txt", "./env/requirements.txt", ".env"])
def test_required_file_must_not_be_left_out(run_module, source, requirements):
    (source / "env").mkdir()
    result = run_module(source_archive, path=str(source), exclude=["env"], requirements=requirements)
    assert "is left out, but needed" in result["msg"]
    assert "failed" not in run_module(source_archive, path=str(source), requirements="pages/requirements.txt")


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


@pytest.fixture
def unpacked(run_module, source, tmp_path) -> Callable[[], Path]:
    """Return what packs the source and unpacks it at another place."""

    def unpack() -> Path:
        result = run_module(source_archive, path=str(source), dest=str(tmp_path / "source.tar"))
        assert "failed" not in result, result["msg"]
        assert result["sha256"] == hashlib.sha256((tmp_path / "source.tar").read_bytes()).hexdigest()
        with tarfile.open(tmp_path / "source.tar", errors="surrogateescape") as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            # This refuses what would lead elsewhere.
            archive.extractall(tmp_path / "copy", members=source_fetch.harmless(archive))  # noqa: S202
        return tmp_path / "copy"

    return unpack


def test_archive_holds_the_source(source, unpacked):
    names = {
        "plain": 0o644,
        os.fsdecode(b"caf\xe9"): 0o755,
        "line\nbreak": 0o644,
        "-x": 0o644,
        "a" * 255: 0o644,
        "/".join(["deep" * 30] * 10) + "/end": 0o644,
    }
    for name, mode in names.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(os.fsencode(name))
        (source / name).chmod(mode & 0o700)
    copy = unpacked()
    assert {name: (copy / name).read_bytes() for name in names} == {name: os.fsencode(name) for name in names}
    assert {name: (copy / name).stat().st_mode & 0o777 for name in names} == names
    assert (copy / "pages" / "empty").is_dir()
    assert (copy / "pages" / "größe.html").read_text() == "<p>\n"


def test_wheels_can_be_made_from_the_files(source, unpacked):
    """An archive of zip's kind cannot hold a time before 1980."""
    copy = unpacked()
    with zipfile.ZipFile(copy / "app.whl", "w") as wheel:
        wheel.write(copy / "app.py")


def test_large_file_is_not_held_in_memory(source, checksum):
    with (source / "large").open("wb") as stream:
        stream.truncate(300 * 2**20)
    tracemalloc.start()
    checksum()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20


def test_hard_links_are_files_of_their_own(source, unpacked):
    (source / "twin.py").hardlink_to(source / "app.py")
    assert (unpacked() / "twin.py").read_text() == "application = None\n"


def test_check_mode_writes_no_archive(run_module, source, tmp_path):
    assert run_module(source_archive, check_mode=True, path=str(source), dest=str(tmp_path / "source.tar"))["sha256"]
    assert not (tmp_path / "source.tar").exists()


LINKS = {
    "wsgi.py": "app.py",
    "latest": "pages",
    "pages/back.py": "../app.py",
    "pages/root": "..",
    "self": ".",
    "through/x": "../latest/größe.html",
    "absolute.py": "{source}/app.py",
    "around.py": "../source/app.py",
}


@pytest.mark.parametrize("name", LINKS)
def test_link_that_stays_inside_leads_to_the_same_place_in_the_copy(source, unpacked, name):
    for link in {"latest", name}:
        (source / link).parent.mkdir(exist_ok=True)
        (source / link).symlink_to(LINKS[link].format(source=source))
    copy = unpacked()
    assert (copy / name).is_symlink()
    place = (source / name).resolve().relative_to(source.resolve())
    assert (copy / name).resolve() == (copy / place).resolve()


def test_links_of_a_package_manager_in_what_is_left_out_do_not_matter(source, checksum):
    before = checksum()
    for name, target in {"a": "b", "b": "a", "c": "/etc", "d": "none", "e": "../.."}.items():
        (source / "node_modules" / "pkg").mkdir(parents=True, exist_ok=True)
        (source / "node_modules" / name).symlink_to(target)
    (source / ".#app.py").symlink_to("me@host.1234:5678")
    (source / "env").symlink_to(sys.prefix)
    assert checksum() == before


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/etc/passwd", "outside of"),
        ("../../outside", "outside of"),
        ("..", "outside of"),
        ("/dev/null", "outside of"),
        ("/no/such/file", "outside of"),
        ("none", "leads nowhere"),
        ("link", "leads nowhere"),
        ("app.py/none", "leads nowhere"),
        (".env", "left out"),
        (".git/hooks/hook", "left out"),
        ("env/bin/python", "left out"),
    ],
)
def test_link_out_of_the_source_or_nowhere_is_refused_by_name(run_module, source, target, reason):
    for path in (".env", ".git/hooks/hook", "env/bin/python"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).touch()
    (source / "link").symlink_to(target)
    result = run_module(source_archive, path=str(source))
    assert result["failed"]
    assert f"{source / 'link'} is a link to " in result["msg"]
    assert reason in result["msg"]
    assert "flask_app_exclude" in result["msg"]


def make_socket(path: Path) -> None:
    """Leave a socket behind."""
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a named pipe"),
        (make_socket, "a socket"),
        (lambda path: os.mknod(path, stat.S_IFCHR, os.makedev(1, 3)), "a device"),
    ],
)
def test_special_file_is_refused_by_name_without_waiting(run_module, source, make, kind):
    try:
        make(source / "special")
    except PermissionError:
        pytest.skip("only root makes devices")
    result = run_module(source_archive, path=str(source))
    assert f"{source / 'special'} is {kind}. Remove it, or leave it out" in result["msg"]


@pytest.mark.parametrize("change", ["shorter", "longer", "other"])
def test_file_that_changes_while_it_is_read_is_refused(run_module, source, monkeypatch, change):
    path = source / "app.py"
    content = {"shorter": "", "longer": "x" * 100, "other": "application = True\n"}[change]
    add = tarfile.TarFile.addfile

    def change_before_reading(archive, member, stream=None):
        if member.name == path.name:
            path.write_text(content)
        add(archive, member, stream)

    monkeypatch.setattr(tarfile.TarFile, "addfile", change_before_reading)
    result = run_module(source_archive, path=str(source))
    assert f"{path} changed while it was read. Run again" in result["msg"]


def test_source_that_changed_since_the_check_is_refused(run_module, source, checksum):
    before = checksum()
    assert "failed" not in run_module(source_archive, path=str(source), sha256=before)
    (source / "app.py").write_text("application = 1\n")
    assert "was changed since this run began" in run_module(source_archive, path=str(source), sha256=before)["msg"]


@pytest.mark.parametrize("name", ["app.py", "pages"])
def test_what_may_not_be_read_is_refused_by_name(run_module, source, monkeypatch, name):
    def refuse(path, *arguments):
        if path == str(source / name):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return original(path, *arguments)

    call = "listdir" if name == "pages" else "open"  # root may read everything, so the system cannot be asked to refuse
    original = getattr(os, call)
    monkeypatch.setattr(source_archive.os, call, refuse)
    result = run_module(source_archive, path=str(source))
    assert f"{source / name}: Permission denied. Let the account that runs Ansible read it, or" in result["msg"]


def test_source_that_cannot_be_read_is_refused(run_module, tmp_path):
    result = run_module(source_archive, path=str(tmp_path / "none"))
    assert result["failed"]
    assert str(tmp_path / "none") in result["msg"]


@pytest.fixture
def requirements_checksum(run_module, source) -> Callable[[str], tuple[str, str]]:
    """Write the requirements; return their checksum and that of the source."""

    def written(text: str) -> tuple[str, str]:
        (source / "requirements.txt").write_text(text, "utf-8")
        result = run_module(source_archive, path=str(source), requirements="requirements.txt")
        return result["requirements_sha256"], result["sha256"]

    return written


PINNED = "flask==3.1.2 --hash=sha256:ab \\\n    --hash=sha256:cd  # see docs/file: x\n"


@pytest.mark.parametrize(
    "text",
    [
        PINNED,
        "-r pages/more.txt\n",
        "--constraint=pages/more.txt\n",
        "--require-hashes\n",
        "--index-url https://index.example.org/simple/\n",
        "-f https://wheels.example.org/\n",
        "thing @ https://example.org/thing-1.0-py3-none-any.whl\n",
        "https://example.org/thing-1.0.tar.gz\n",
        "thing[more,less]==1.0 ; python_version < '4/2'\n",
    ],
)
def test_requirements_from_an_index_depend_on_their_own_files_alone(source, requirements_checksum, text):
    (source / "pages/more.txt").write_text(PINNED)
    before, whole = requirements_checksum(text)
    (source / "app.py").write_text("application = 1\n")
    after, _ = requirements_checksum(text)
    assert (after == before, before == whole) == (True, False)
    assert requirements_checksum(text + "more==1.0\n")[0] != before
    (source / "pages/more.txt").write_text("other==1.0\n")
    assert (requirements_checksum(text)[0] != before) == ("more.txt" in text)


@pytest.mark.parametrize(
    "text",
    [
        "-e .\n",
        "--editable=./pages\n",
        ".\n",
        "./pages\n",
        "pages/thing\n",
        "thing @ file:pages\n",
        "file:pages\n",
        "thing-1.0-py3-none-any.whl\n",
        "-f pages\n",
        "--find-links=pages\n",
        "-r pages/nowhere.txt\n",
        "-r ../elsewhere.txt\n",
        "-r pages/more.txt\n",
        "\ufeff-e .\n",
        "--no-index --find-links pages\n",
        "--pre -r pages/more.txt\n",
        "thing-1.0.txz\n",
        "thing @ git+https://git.example.org/thing@main\n",
        "git+https://git.example.org/thing@main\n",
    ],
)
def test_requirements_from_the_source_depend_on_all_of_it(source, requirements_checksum, text):
    """Also if pip will report that a file is missing."""
    (source / "pages/more.txt").write_text("-e .\n")
    found, whole = requirements_checksum(text)
    assert found == whole


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py"])
def test_project_depends_on_all_of_its_source(run_module, source, name):
    (source / "pages" / name).write_text("x = 1\n")
    result = run_module(source_archive, path=str(source), requirements=f"pages/{name}")
    assert result["requirements_sha256"] == result["sha256"]


def test_requirements_that_name_each_other_come_to_an_end(source, requirements_checksum):
    (source / "pages/more.txt").write_text("-r ../requirements.txt\n")
    found, whole = requirements_checksum("-r pages/more.txt\n")
    assert found != whole
