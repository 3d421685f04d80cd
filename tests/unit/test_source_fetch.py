# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository, an archive and a package become a directory; what is wrong with them is said with its remedy."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import source_archive, source_fetch


@pytest.fixture
def fetch(run_module, tmp_path) -> Callable[..., dict]:
    """Fetch a source."""

    def run(type_: str, source: object, **options) -> dict:
        return run_module(source_fetch, type=type_, source=str(source), dest=str(tmp_path / "fetched"), **options)

    return run


@pytest.fixture
def forget(tmp_path) -> Callable[[], None]:
    """Forget what was fetched, as the end of a run does."""
    return lambda: shutil.rmtree(tmp_path / "fetched")


@pytest.fixture
def git(tmp_path, monkeypatch) -> Callable[..., str]:
    """Run Git in a repository, without anybody's configuration."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Alice")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "alice@example.org")

    def run(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path / "repository"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "repository").mkdir()
    run("init", "--quiet", "--initial-branch=main")
    return run


@pytest.fixture
def repository(tmp_path, git) -> Path:
    """A repository with a tag, a newer default branch, and another branch."""
    directory = tmp_path / "repository"
    (directory / ".gitignore").write_text(".venv\nnode_modules\n")
    for name in ("tagged", "main", "other"):
        if name == "other":
            git("checkout", "--quiet", "-b", "feature/other")
        (directory / "app.py").write_text(name)
        git("add", "--all")
        git("commit", "--quiet", "--message", name)
        if name == "tagged":
            git("tag", "--annotate", "--message", "first", "v1")
    git("checkout", "--quiet", "main")
    (directory / ".venv").mkdir()
    (directory / ".venv" / "pyvenv.cfg").touch()
    (directory / "uncommitted.py").touch()
    return directory


@pytest.mark.parametrize(
    ("reference", "content"), [("", "main"), ("main", "main"), ("feature/other", "other"), ("v1", "tagged")]
)
def test_branch_and_tag_are_checked_out_and_the_note_has_the_commit(fetch, git, repository, reference, content):
    result = fetch("git", repository, reference=reference)
    assert (Path(result["path"]) / "app.py").read_text() == content
    commit = git("rev-parse", f"{reference or 'HEAD'}^{{commit}}")
    assert result["note"] == f"{reference}, commit {commit}".removeprefix(", ")
    assert result["changed"] is False


@pytest.mark.parametrize("length", [7, 40])
def test_commit_is_checked_out(fetch, git, repository, length):
    commit = git("rev-parse", "HEAD~1")
    result = fetch("git", repository, reference=commit[:length])
    assert (Path(result["path"]) / "app.py").read_text() == "tagged"
    assert result["note"] == f"commit {commit}"


def test_only_what_is_committed_is_packed(run_module, fetch, repository):
    path = fetch("git", f"file://{repository}")["path"]
    packed = Path(path).parent / "source.tar"
    run_module(source_archive, path=path, dest=str(packed))
    with tarfile.open(packed) as archive:
        assert sorted(archive.getnames()) == [".gitignore", "app.py"]


def test_submodules_are_part_of_the_source(fetch, git, repository, monkeypatch):
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")  # which Git refuses to submodules, as a stranger may name them
    git("submodule", "--quiet", "add", str(repository), "vendor/itself")
    git("commit", "--quiet", "--message", "submodule")
    path = Path(fetch("git", repository)["path"])
    assert (path / "vendor/itself/app.py").read_text() == "main"


def test_branch_that_moves_during_the_run_is_the_same_for_every_host(fetch, forget, git, repository):
    before = fetch("git", repository)
    git("commit", "--quiet", "--allow-empty", "--message", "later")
    assert fetch("git", repository) == before
    forget()
    assert fetch("git", repository)["note"] != before["note"]


@pytest.mark.parametrize("reference", ["v2", "--help", "main..v1", "0123456", "origin/main"])
def test_unknown_reference_is_refused_with_those_that_there_are(fetch, repository, reference):
    said = fetch("git", repository, reference=reference)["msg"]
    assert f'flask_app_source_reference is "{reference}", and {repository} has no such tag, branch or commit' in said
    assert {"main", "feature/other", "v1."} <= set(said.replace(",", "").split())


def test_repository_without_a_commit_is_refused(fetch, git, tmp_path):
    assert "tags and branches: none." in fetch("git", tmp_path / "repository")["msg"]


@pytest.mark.parametrize("source", ["/no/such/repository", "--upload-pack=touch x", "ext::touch x", ""])
def test_what_git_cannot_clone_is_refused_with_its_reason(fetch, git, source):
    said = fetch("git", source)["msg"]
    assert f'flask_app_source is "{source}", which git cannot clone: ' in said
    assert "fatal: " in said
    assert '"git ls-remote"' in said


def test_missing_git_is_named(fetch, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "the controller has no command git. Install the package git" in fetch("git", "/srv/repository")["msg"]


@pytest.fixture
def tree(tmp_path) -> Path:
    """An application below a directory with its version, as archives have it."""
    directory = tmp_path / "tree" / "hello-1.0"
    directory.mkdir(parents=True)
    (directory / "app.py").write_text("application = None\n")
    (directory / "run").touch(0o755)
    (directory / "run").chmod(0o755)
    return directory


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", ["gztar", "xztar", "bztar", "tar", "zip"])
@pytest.mark.parametrize("below", [True, False])
def test_archive_is_unpacked_without_its_only_directory(fetch, tree, tmp_path, form, below):
    path = Path(shutil.make_archive(str(tmp_path / "hello-1.0"), form, tree.parent if below else tree))
    result = fetch("archive", path, sha256=sha256(path).upper())
    assert sorted(file.name for file in Path(result["path"]).iterdir()) == ["app.py", "run"]
    assert result["note"] == f"{path.name}, SHA-256 {sha256(path)}"
    if form != "zip":
        assert (Path(result["path"]) / "run").stat().st_mode & 0o100


@pytest.fixture
def server(tmp_path) -> Iterator[str]:
    """Serve the files on an address."""
    (tmp_path / "served").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_archive_is_downloaded(fetch, server, tree, tmp_path):
    path = Path(shutil.make_archive(str(tmp_path / "served/v1"), "gztar", tree.parent))
    result = fetch("archive", f"{server}/v1.tar.gz?ref=1", sha256=sha256(path))
    assert (Path(result["path"]) / "app.py").exists()
    assert result["note"].startswith("v1.tar.gz, ")


def test_archive_that_is_not_there_is_refused(fetch, server, tmp_path):
    for source, reason in {
        f"{server}/v1.tar.gz": "cannot be downloaded: HTTP Error 404",
        "http://127.0.0.1:1/v1.tar.gz": "cannot be downloaded: ",
        str(tmp_path / "v1.tar.gz"): "cannot be read: No such file",
        str(tmp_path): "cannot be read: Is a directory",
    }.items():
        assert f'flask_app_source is "{source}", which {reason}' in fetch("archive", source, sha256="0")["msg"]


def test_archive_needs_its_checksum(fetch, tree, tmp_path):
    path = Path(shutil.make_archive(str(tmp_path / "app"), "gztar", tree))
    assert "flask_app_source_sha256 is empty, and an archive needs" in fetch("archive", path)["msg"]
    said = fetch("archive", path, sha256="0" * 64)["msg"]
    assert f'flask_app_source_sha256 is "{"0" * 64}", and flask_app_source "{path}" has {sha256(path)}.' in said
    assert "failed" not in fetch("archive", path, sha256=sha256(path))


def member(name: str, link: str = "", form: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return what an archive says of an empty file, or of a link."""
    info = tarfile.TarInfo(name)
    if link:
        info.type, info.linkname = form, link
    return info


@pytest.fixture(params=[True, False], ids=["with Python's check", "without"])
def fetch_archive(request, fetch, tmp_path, monkeypatch) -> Callable[..., dict]:
    """Return what packs members and fetches them. Python's own check is used where the controller's Python has it."""
    if not request.param:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)

    def fetched(*members: tarfile.TarInfo) -> dict:
        path = tmp_path / "packed.tar"
        with tarfile.open(path, "w") as archive:
            for one in members:
                archive.addfile(one)
        return fetch("archive", path, sha256=sha256(path))

    return fetched


@pytest.mark.parametrize(
    "members",
    [
        [member("../outside")],
        [member("pages/../../outside")],
        [member("passwd", "/etc/passwd")],
        [member("up", "../..")],
        [member("pages/up", "../../outside")],
        [member("passwd", "/etc/passwd", tarfile.LNKTYPE)],
        [member("passwd", "../outside", tarfile.LNKTYPE)],
        [member("here", "."), member("here/written through a link")],
        [member("here", "."), member("linked", "here/passwd", tarfile.LNKTYPE)],
        [member("file", "here"), member("file")],
        [member("null", "x", tarfile.CHRTYPE)],
        [member("fifo", "x", tarfile.FIFOTYPE)],
    ],
    ids=lambda members: ", ".join(f"{one.name}-{one.linkname}".strip("-") for one in members),
)
def test_archive_that_leads_outside_is_refused(fetch_archive, tmp_path, members):
    said = fetch_archive(*members)["msg"]
    assert "cannot be unpacked" in said
    assert "without paths that lead out of it" in said
    assert list(tmp_path.rglob("outside")) == []


def test_archive_with_links_is_unpacked_without_special_permissions(fetch_archive):
    program = member("bin/program")
    program.mode, program.uid, program.uname = 0o6777, 65534, "nobody"
    same = member("same", "bin/program", tarfile.LNKTYPE)
    same.mode = program.mode
    links = [
        member("bin/link", "program"),
        member("up", "bin/../bin/link"),
        same,
    ]
    path = Path(fetch_archive(program, *links, member("plain"))["path"])
    assert {name: stat.S_IMODE((path / name).stat().st_mode) for name in ("bin/program", "up", "plain")} == {
        "bin/program": 0o755,
        "up": 0o755,
        "plain": 0o644,
    }
    assert (path / "bin/program").stat().st_uid == os.getuid()
    assert (path / "up").resolve() == path / "bin/program"
    assert (path / "same").samefile(path / "bin/program")


@pytest.mark.parametrize("name", ["app.tar.gz", "app.zip", "app.txt"])
def test_file_that_is_no_archive_is_refused(fetch, tmp_path, name):
    path = tmp_path / name
    path.write_text("<!doctype html>")
    assert "cannot be unpacked" in fetch("archive", path, sha256=sha256(path))["msg"]


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A wheel."""
    path = tmp_path / "hello-1.0-py3-none-any.whl"
    files = {
        "hello/__init__.py": "application = None\n",
        "hello-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
        "hello-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "hello-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_package_is_a_requirement_that_pip_installs(run_module, fetch, wheel, tmp_path):
    result = fetch("package", wheel, sha256=sha256(wheel))
    assert result["note"] == wheel.name
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", str(tmp_path / "target")]
    subprocess.run([*command, "--requirement", "requirements.txt"], cwd=result["path"], check=True)
    assert (tmp_path / "target/hello/__init__.py").exists()
    packed = run_module(source_archive, path=result["path"], requirements="requirements.txt")
    assert packed["requirements_sha256"] == packed["sha256"]  # so another file gets a virtual environment of its own


@pytest.mark.parametrize("name", ["hello==1.0", "Hello.World[web,db]==1.0.post1+local"])
def test_name_and_version_are_a_requirement(fetch, name):
    result = fetch("package", name)
    assert result["note"] == name
    assert (Path(result["path"]) / "requirements.txt").read_text() == f"{name}\n"


@pytest.mark.parametrize(
    "source",
    ["hello", "hello>=1.0", "hello==1.0\n--index-url=https://x", "/srv/hello.rpm", "https://x/hello-1.0.whl", ""],
)
def test_what_is_no_package_is_refused(fetch, source):
    said = fetch("package", source)["msg"]
    assert f'flask_app_source is "{source}", which is no package. Write the path of a wheel' in said


def test_checksum_belongs_to_a_file(fetch, tmp_path):
    assert "which may have several files of it" in fetch("package", "hello==1.0", sha256="0")["msg"]
    (tmp_path / "hello-1.0.tar.gz").touch()
    assert "Find out which is right" in fetch("package", tmp_path / "hello-1.0.tar.gz", sha256="0")["msg"]
    assert "cannot be read: No such file" in fetch("package", tmp_path / "hello-2.0.tar.gz")["msg"]


def test_failed_attempt_leaves_nothing_behind_and_others_cannot_look_inside(fetch, git, repository, tmp_path):
    assert fetch("git", repository, reference="v2")["failed"]
    assert "failed" not in fetch("git", repository, reference="v1")
    assert (tmp_path / "fetched").stat().st_mode & 0o777 == 0o700
