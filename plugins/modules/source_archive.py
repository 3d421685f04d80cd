#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pack a source directory so that equal sources give equal archives."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_archive
short_description: Pack a source directory so that equal sources give equal archives
version_added: 0.1.0
description:
  - Computes the SHA-256 of a directory's contents, and writes them to a tar archive when O(dest) is given.
  - Names, contents, links and executable bits count. Owners and times do not, so a fresh checkout is the same source.
  - A link that stays inside of the directory is kept as a link. One that leads out of it or nowhere is refused, like a
    named pipe, a socket or a device, which are never opened.
  - Left out, at any depth, are files of version control, editors and tools (such as C(.git), C(__pycache__),
    C(node_modules), swap and lock files), every Python environment, whatever its name, and files with the secrets of
    the place where they are (C(.env), C(.env.*), C(.envrc)).
author: campus.flask_sso contributors (!UNKNOWN)
options:
  path:
    description: The directory.
    type: path
    required: true
  dest:
    description: Where to write the archive.
    type: path
  exclude:
    description:
      - Shell patterns of further files to leave out. A pattern is compared with names at any depth; one that has a
        slash before its end, with paths below the directory.
    type: list
    elements: str
    default: []
  requirements:
    description:
      - The file with pip's requirements, below the directory, or a C(pyproject.toml) or C(setup.py), beside which pip
        installs the project. It must not be left out.
    type: str
    default: ""
  sha256:
    description: Checksum of the source at an earlier check. If it has another one now, the module fails.
    type: str
attributes:
  check_mode:
    description: Computes the checksum and writes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Read the application's source
  campus.flask_sso.source_archive:
    path: app
    exclude: [tests, static/uploads]
  register: source
  delegate_to: localhost
"""

RETURN = r"""
sha256:
  description: Checksum of the source.
  returned: always
  type: str
requirements_sha256:
  description:
    - Checksum of what pip reads, the file in O(requirements) and those that it names. Where pip installs something from
      the directory itself, that is the whole of it, and the checksum the source's.
  returned: success
  type: str
excluded:
  description:
    - What was left out, apart from Python's bytecode, as paths below the directory. A directory has a slash at its
      end, and what it holds is not listed. At most 100 paths.
  returned: success
  type: list
  elements: str
"""

import codecs
import hashlib
import os
import re
import stat
import tarfile
from contextlib import nullcontext
from fnmatch import fnmatchcase

from ansible.module_utils.basic import AnsibleModule

BYTECODE = ["*.pyc", "__pycache__"]
TOOLS = [
    ".git",
    ".hg",
    ".svn",
    ".bzr",
    ".*_cache",
    ".tox",
    ".nox",
    ".hypothesis",
    ".eggs",
    "*.egg-info",
    ".venv*",
    "venv",
]
TOOLS += ["node_modules", ".direnv", ".vagrant", ".DS_Store", "._*", ".nfs*"]
EDITORS = [".#*", "#*#", "*~", ".*.sw[a-p]", "*.swp"]
SECRETS = [".env", ".env.*", ".envrc"]
# A directory with any of them is a Python environment.
ENVIRONMENT = ["pyvenv.cfg", "conda-meta", "bin/activate", "bin/python", "Scripts/activate"]

# In a file of requirements: what names another one, and what pip installs from the directory instead of an index.
NESTED = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]*(?![ =]|https?:)(.+)")
LOCAL = re.compile(
    r"""(-e|--editable)\b | (-f|--find-links)[ =]*(?![ =]|https?:) | (?!-).*\bfile:
    | (?!-).*\b(git|hg|svn|bzr)\+ | -.*\s(-[recf]|--(requirement|editable|constraint|find-links))\b
    | \. | (?!-|https?:)[^ ;\[]*(/|\.(whl|zip|tar|t[gbx]z))""",
    re.VERBOSE | re.IGNORECASE,
)

# Not files of requirements: pip installs the project in the same directory.
PROJECTS = ("pyproject.toml", "setup.py")

SPECIAL = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
MODIFIED = 946684800  # the year 2000: wheels that pip builds from the files cannot hold times before 1980
OR_EXCLUDE = "or leave it out: write its name into flask_app_exclude"


class SourceError(Exception):
    """Something in a source that cannot be packed. The message has the path and the remedy."""


class Output:
    """An output that computes the archive's checksum, and writes the archive to a file if there is one.

    :param stream: The file, open for writing bytes, or nothing.
    """

    def __init__(self, stream=None):
        self.stream = stream
        self.sha256 = hashlib.sha256()

    def write(self, data):
        """Write the next part.

        :param bytes data: The part.
        """
        self.sha256.update(data)
        if self.stream:
            self.stream.write(data)


class Source:
    """A source directory.

    :param str directory: The directory.
    :param list exclude: Shell patterns of what is left out in addition to the usual files.
    :param str requirements: The file with pip's requirements, below the directory; empty if there is none.
    """

    def __init__(self, directory, exclude, requirements):
        self.root = os.path.realpath(directory)
        self.patterns = BYTECODE + TOOLS + EDITORS + SECRETS + [os.path.normpath(pattern) for pattern in exclude]
        self.requirements = os.path.normpath(requirements) if requirements else ""
        self.excluded = []

    def _full(self, path):
        """Return the full path of something below the directory."""
        return os.path.join(self.root, path)

    def _is_excluded(self, path):
        """Return whether something below the directory is left out by its own name."""
        name = os.path.basename(path)
        if any(fnmatchcase(path if "/" in pattern else name, pattern.lstrip("/")) for pattern in self.patterns):
            return True
        return os.path.isdir(self._full(path)) and any(
            os.path.lexists(self._full(f"{path}/{sign}")) for sign in ENVIRONMENT
        )

    def _is_left_out(self, path):
        """Return whether something below the directory is left out, or a directory that holds it."""
        parts = path.split("/")
        return any(self._is_excluded("/".join(parts[:end])) for end in range(1, len(parts) + 1))

    def _walk(self):
        """Yield every path below the directory with its status, in an order that depends on the names alone."""
        folders = [""]
        while folders:
            folder = folders.pop()
            for name in sorted(os.listdir(self._full(folder)), key=os.fsencode):
                path = os.path.join(folder, name)
                if self._is_excluded(path):
                    if not any(fnmatchcase(name, pattern) for pattern in BYTECODE):
                        self.excluded.append(path + "/" * os.path.isdir(self._full(path)))
                    continue
                status = os.lstat(self._full(path))
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)
                yield path, status

    def _target(self, path):
        """Return the target of a link, relative to itself, so that it is valid wherever the source is unpacked.

        :raises SourceError: if that is outside of the source, left out of it, or nowhere.
        """
        link = self._full(path)
        target = os.path.realpath(link)
        if os.path.commonpath([self.root, target]) != self.root:
            raise SourceError(
                f"{link} is a link to {target}, outside of {self.root}. Copy that into the source, {OR_EXCLUDE}."
            )
        if not os.path.exists(link):
            raise SourceError(f"{link} is a link to {os.readlink(link)}, which leads nowhere. Remove it, {OR_EXCLUDE}.")
        if target != self.root and self._is_left_out(os.path.relpath(target, self.root)):
            raise SourceError(f"{link} is a link to {target}, which is left out. Replace it by a copy, {OR_EXCLUDE}.")
        return os.path.relpath(target, os.path.dirname(link))

    def _add_file(self, archive, member):
        """Add a file, without waiting if it has become something else since it was listed.

        :raises SourceError: if it changes meanwhile.
        """
        path = self._full(member.name)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            before = os.fstat(stream.fileno())
            member.size = before.st_size
            member.mode = 0o755 if before.st_mode & 0o100 else 0o644
            try:
                archive.addfile(member, stream)
                after = os.fstat(stream.fileno())
            except OSError as error:
                if error.errno:
                    raise
                after = None  # tarfile reports without a number that the file is shorter by now
        if after is None or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise SourceError(f"{path} changed while it was read. Run again when nothing writes to it, {OR_EXCLUDE}.")

    def pack(self, output):
        """Write a tar archive that depends only on the directory's contents.

        :param Output output: The output.
        :raises OSError: if something cannot be read, or the archive not be written.
        :raises SourceError: if there is something that cannot be packed.
        """
        if os.path.lexists(self._full("pyvenv.cfg")):
            raise SourceError(
                f"{self.root} is a virtual environment itself, as its pyvenv.cfg says."
                " Create the environment in another directory."
            )
        if self.requirements and self._is_left_out(self.requirements):
            raise SourceError(
                f"{self._full(self.requirements)} is left out, but needed. Name another file, or keep this one."
            )
        # As a stream: neither a large file nor the archive is in memory.
        options = {"format": tarfile.GNU_FORMAT, "encoding": "utf-8", "errors": "surrogateescape"}
        with tarfile.open(fileobj=output, mode="w|", **options) as archive:
            for path, status in self._walk():
                member = tarfile.TarInfo(path)
                member.mtime = MODIFIED
                kind = stat.S_IFMT(status.st_mode)
                if kind in SPECIAL:
                    raise SourceError(f"{self._full(path)} is {SPECIAL[kind]}. Remove it, {OR_EXCLUDE}.")
                if kind == stat.S_IFREG:
                    self._add_file(archive, member)
                elif kind == stat.S_IFLNK:
                    member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, self._target(path)
                    archive.addfile(member)
                else:
                    member.type, member.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(member)

    def requirements_sha256(self):
        """Return the checksum of the files that pip reads, or nothing where it reads more of the directory."""
        if os.path.basename(self.requirements) in PROJECTS:
            return None
        digest, pending, seen = hashlib.sha256(), [self.requirements] if self.requirements else [], set()
        while pending:
            path = pending.pop(0)
            if path in seen:
                continue
            seen.add(path)
            if path.startswith("..") or self._is_left_out(path) or not os.path.isfile(self._full(path)):
                return None
            with open(self._full(path), "rb") as stream:
                content = stream.read()
            if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return None
            digest.update(b"%d %s" % (len(content), content))
            for line in re.sub(r"\\\r?\n", " ", content.decode("utf-8", "replace")).splitlines():
                said = re.sub(r"(^|\s)#.*", "", line).strip()
                if nested := NESTED.match(said):
                    pending.append(os.path.normpath(os.path.join(os.path.dirname(path), nested[1])))
                elif LOCAL.match(said):
                    return None
        return digest.hexdigest()


def printable(text):
    """Return a text in which bytes that are not UTF-8, as names may have them, can be shown.

    :param str text: The text, with such bytes as surrogates.
    """
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "dest": {"type": "path"},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "requirements": {"type": "str", "default": ""},
            "sha256": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path, dest = module.params["path"], module.params["dest"]
    source = Source(path, module.params["exclude"], module.params["requirements"])
    try:
        with open(dest, "wb") if dest and not module.check_mode else nullcontext() as stream:
            output = Output(stream)
            source.pack(output)
    except SourceError as error:
        module.fail_json(msg=printable(f"The source in {path} cannot be packed: {error}"))
    except OSError as error:
        remedy = (
            f" Let the account that runs Ansible read it, {OR_EXCLUDE}." if isinstance(error, PermissionError) else ""
        )
        module.fail_json(
            msg=printable(f"The source in {path} cannot be packed: {error.filename or dest}: {error.strerror}.{remedy}")
        )
    sha256 = output.sha256.hexdigest()
    if module.params["sha256"] not in (None, sha256):
        module.fail_json(
            msg=f"The source in {path} was changed since this run began. Run again when nothing writes to it."
        )
    module.exit_json(
        changed=False,
        sha256=sha256,
        requirements_sha256=source.requirements_sha256() or sha256,
        excluded=[printable(path) for path in source.excluded[:100]],
    )


if __name__ == "__main__":
    main()
