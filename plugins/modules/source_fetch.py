#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fetch an application from a Git repository, an archive or a package into a directory."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_fetch
short_description: Fetch an application from a Git repository, an archive or a package into a directory
version_added: 0.1.0
description:
  - Writes the application's source to a directory, from which M(campus.flask_sso.source_archive) packs it. Runs
    nothing of it.
  - A source that is there already is not fetched again. So hosts that share the directory get the same commit, even if
    the branch moves meanwhile.
  - The messages name the variables of the role flask_app.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  type:
    description:
      - With V(git), a repository with its submodules. Git's configuration, credential helpers and the SSH agent apply;
        nothing is asked.
      - With V(archive), a tar or zip archive. Where all of it is in one directory, that directory is the source.
      - With V(package), a wheel or sdist. The source is a file C(requirements.txt) that names it, and its file.
    type: str
    choices: [git, archive, package]
    required: true
  source:
    description:
      - Address or path of the repository; HTTP address or path of the archive; path of the package, or its name and
        version in the package index, such as V(hello==1.0).
    type: str
    required: true
  reference:
    description: Tag, branch or commit of the repository. If empty, it is the default branch.
    type: str
    default: ""
  sha256:
    description: SHA-256 of the archive, which has to have one, or of the file of a package.
    type: str
    default: ""
  dest:
    description: Directory that the module creates. Others must not be able to write to its parent.
    type: path
    required: true
attributes:
  check_mode:
    description: Fetches as well, as nothing but the directory changes.
    support: full
"""

EXAMPLES = r"""
- name: Fetch the application
  campus.flask_sso.source_fetch:
    type: git
    source: https://git.example.org/myapp.git
    reference: v1.2
    dest: /run/user/1000/myapp
  register: fetched
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: Directory with the source.
  returned: success
  type: str
note:
  description: What was fetched, such as the reference and its commit, on one line.
  returned: success
  type: str
  sample: v1.2, commit 2b0c2b5d4fbb4a1d8e2f3f3a7ff6b5c1d0e9f8a7
"""

import fcntl
import hashlib
import json
import os
import posixpath
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import fetch_url

ADDRESS = re.compile(r"https?://", re.IGNORECASE)
COMMIT = re.compile(r"[0-9a-f]{4,64}")
FROM_INDEX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]*\])?==[A-Za-z0-9.!+_-]+")
PACKAGE = re.compile(r"[^ /;#]+[.](whl|tar[.]gz|zip)")
#: Git fails instead of asking for a password or of waiting for a server that sends nothing.
GIT = ["git", "-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30"]
SILENT = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "force", "LC_ALL": "C.UTF-8"}


class FetchError(Exception):
    """A source that cannot be fetched. The message has variable, value and remedy."""


def git(*arguments: str, directory: str = ".") -> subprocess.CompletedProcess[str]:
    """Run Git.

    :param arguments: Its arguments.
    :param directory: Where it runs.
    :raises FetchError: if there is no Git.
    """
    environment = {"SSH_ASKPASS": "false"} | os.environ | SILENT
    command = [*GIT, "-C", directory, *arguments]
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise FetchError(
            'flask_app_source_type is "git", and the controller has no command git. Install the package git there.'
        ) from error


def harmless(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """List the members of an archive, as files of the account that unpacks them, and without special permissions.

    :param archive: The archive.
    :returns: Its members, one after the other as they are unpacked.
    :raises tarfile.ExtractError: at one that leads out of the archive's directory, or is a device or FIFO.
    """
    files: set[str] = set()
    links: set[str] = set()
    for member in archive:
        name = posixpath.normpath(member.name)
        target = posixpath.join(posixpath.dirname(name) if member.issym() else "", member.linkname)
        # A later member must not be written, or linked, through a link.
        above = {str(parent) for parent in PurePosixPath(name).parents}
        if (
            not (member.isfile() or member.isdir() or member.issym() or member.islnk())
            or leads_out(name)
            or links & {name, *above}
            or (member.issym() and leads_out(target))
            or (member.islnk() and posixpath.normpath(target) not in files)
        ):
            raise tarfile.ExtractError(f'"{member.name}" leads out of it, or is a device')
        (links if member.issym() else files).add(name)
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        yield member


def leads_out(path: str) -> bool:
    """Say whether a path in an archive is outside.

    :param path: The path.
    :returns: Whether it is absolute, or leads above the directory.
    """
    return posixpath.isabs(path) or posixpath.normpath(path).split("/")[0] == ".."


class Source:
    """What is fetched.

    :param AnsibleModule module: The module, with its options.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.source: str = module.params["source"]
        self.reference: str = module.params["reference"]
        self.sha256: str = module.params["sha256"].lower()

    def git(self, directory: str) -> str:
        """Clone the repository, and check out the reference.

        :param directory: Where to.
        :returns: A description of the commit.
        :raises FetchError: if that is not possible.
        """
        # Where the server can do that, old versions of files stay there.
        cloned = git("clone", "--quiet", "--no-checkout", "--filter=blob:none", "--", self.source, directory)
        if cloned.returncode:
            raise FetchError(
                f'flask_app_source is "{self.source}", which git cannot clone: {said(cloned)} Write a repository that'
                ' "git ls-remote" lists on the controller without asking for anything.'
            )
        names = [f"refs/tags/{self.reference}", f"refs/remotes/origin/{self.reference}"] if self.reference else ["HEAD"]
        names += [self.reference] if COMMIT.fullmatch(self.reference) else []
        found = [git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", directory=directory) for name in names]
        commits = [result.stdout.strip() for result in found if result.returncode == 0]
        if not commits:
            refs = ["refs/tags", "refs/remotes/origin"]
            form = ["--format=%(refname:lstrip=2)", "--sort=-creatordate"]
            listed = git("for-each-ref", *form, *refs, directory=directory).stdout.split()
            known = [name.removeprefix("origin/") for name in listed if name != "origin/HEAD"]
            raise FetchError(
                f'flask_app_source_reference is "{self.reference}", and {self.source} has no such tag, branch or'
                f" commit. Write one that it has; its latest tags and branches: {', '.join(known[:10]) or 'none'}."
            )
        for step in (
            ["checkout", "--quiet", "--detach", commits[0]],
            ["submodule", "--quiet", "update", "--init", "--recursive"],
        ):
            done = git(*step, directory=directory)
            if done.returncode:
                raise FetchError(
                    f'flask_app_source is "{self.source}", of which git cannot check out {commits[0]}: {said(done)}'
                    ' Have "git clone --recurse-submodules" work with it on the controller.'
                )
        named = [self.reference] if self.reference and not commits[0].startswith(self.reference) else []
        return ", ".join([*named, f"commit {commits[0]}"])

    def archive(self, directory: str) -> str:
        """Unpack the archive.

        :param directory: Where to.
        :returns: A description of the archive.
        :raises FetchError: if it cannot be read, or has another checksum.
        """
        if not self.sha256:
            raise FetchError(
                "flask_app_source_sha256 is empty, and an archive needs a checksum. Write what its publisher names, or"
                ' what "sha256sum FILE" prints.'
            )
        path = self._obtain(os.path.dirname(directory))
        unpacked = f"{directory}.unpacked"
        try:
            if path.endswith(".zip"):
                shutil.unpack_archive(path, unpacked)
            else:
                with tarfile.open(path) as archive:
                    # Python has a check of its own since 3.11.4, but Debian 12 has 3.11.2.
                    archive.extraction_filter = getattr(tarfile, "data_filter", None)
                    archive.extractall(unpacked, members=harmless(archive))  # noqa: S202 - checked twice
        except (shutil.ReadError, tarfile.TarError, OSError, ValueError) as error:
            raise FetchError(
                f'flask_app_source is "{self.source}", which cannot be unpacked: {error}. Write a .tar.gz, .tar.xz,'
                " .tar.bz2, .tar or .zip archive without paths that lead out of it."
            ) from error
        names = os.listdir(unpacked)
        only = os.path.join(unpacked, names[0]) if len(names) == 1 else unpacked
        os.rename(only if os.path.isdir(only) else unpacked, directory)
        return f"{os.path.basename(path)}, SHA-256 {self.sha256}"

    def package(self, directory: str) -> str:
        """Write the requirements that name the package, beside its file if it is one.

        :param directory: Where to.
        :returns: Its name and version, or the name of the file.
        :raises FetchError: if it is neither, or has another checksum.
        """
        os.mkdir(directory)
        if FROM_INDEX.fullmatch(self.source):
            if self.sha256:
                raise FetchError(
                    f'flask_app_source_sha256 is "{self.sha256}", and flask_app_source "{self.source}" is in the'
                    " package index, which may have several files of it. Leave it empty, or write the path of a file."
                )
            requirement = note = self.source
        elif PACKAGE.fullmatch(os.path.basename(self.source)) and not ADDRESS.match(self.source):
            note = os.path.basename(self._obtain(directory))
            requirement = f"./{note}"
        else:
            raise FetchError(
                f'flask_app_source is "{self.source}", which is no package. Write the path of a wheel (.whl) or sdist'
                ' (.tar.gz) on the controller, or a name and version in the package index, for example "hello==1.0".'
            )
        with open(os.path.join(directory, "requirements.txt"), "w", encoding="utf-8") as stream:
            stream.write(f"{requirement}\n")
        return note

    def _obtain(self, directory: str) -> str:
        """Download or copy a file, and compare its checksum.

        :param directory: Where to.
        :returns: Its path.
        :raises FetchError: if that is not possible, or it has another checksum.
        """
        is_address = ADDRESS.match(self.source)
        name = os.path.basename(urlsplit(self.source).path if is_address else self.source)
        path = os.path.join(directory, name)
        try:
            if is_address:
                answer, info = fetch_url(self.module, self.source, timeout=30)
                if info["status"] != 200:
                    raise FetchError(
                        f'flask_app_source is "{self.source}", which cannot be downloaded: {info["msg"]}. Write an'
                        " address that the controller reaches, or the path of a file."
                    )
                with open(path, "wb") as stream:
                    shutil.copyfileobj(answer, stream)
            else:
                shutil.copyfile(self.source, path)
            with open(path, "rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise FetchError(
                f'flask_app_source is "{self.source}", which cannot be read: {error.strerror or error}. Write the path'
                " of a file on the controller."
            ) from error
        if self.sha256 not in ("", sha256):
            raise FetchError(
                f'flask_app_source_sha256 is "{self.sha256}", and flask_app_source "{self.source}" has {sha256}. Find'
                " out which is right: the file may be another version, or it was changed."
            )
        return path


def said(process: subprocess.CompletedProcess[str]) -> str:
    """Return what a command has written last, on one line, as a sentence.

    :param process: The command.
    """
    return " ".join(process.stderr.split())[-500:].rstrip(".") + "."


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "type": {"type": "str", "choices": ["git", "archive", "package"], "required": True},
            "source": {"type": "str", "required": True},
            "reference": {"type": "str", "default": ""},
            "sha256": {"type": "str", "default": ""},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    dest = module.params["dest"]
    result = os.path.join(dest, "result.json")
    directory = os.path.join(dest, "source")
    with open(f"{dest}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(result):
            shutil.rmtree(dest, ignore_errors=True)
            os.mkdir(dest, 0o700)
            try:
                note = getattr(Source(module), module.params["type"])(directory)
            except FetchError as error:
                module.fail_json(msg=str(error))
            with open(result, "w", encoding="ascii") as stream:
                json.dump({"path": directory, "note": note}, stream)
        with open(result, encoding="ascii") as stream:
            module.exit_json(changed=False, **json.load(stream))


if __name__ == "__main__":
    main()
