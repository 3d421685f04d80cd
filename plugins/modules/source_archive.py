#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a source directory so that equal sources give equal archives."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_archive
short_description: Pack a source directory so that equal sources give equal archives
version_added: 0.1.0
description:
  - Computes the SHA-256 of a directory's contents, and writes them to a tar archive when O(dest) is given.
  - Names, contents and executable bits count. Owners and times do not, so a fresh checkout is the same source.
author: campus.flask_sso contributors
options:
  path:
    description: The directory.
    type: path
    required: true
  dest:
    description: Where to write the archive.
    type: path
  exclude:
    description: Shell patterns of file and directory names that are left out, at any depth.
    type: list
    elements: str
    default: [.git, .venv, venv, .env, "*.pyc", __pycache__, .*_cache, "*.egg-info", .hypothesis]
attributes:
  check_mode:
    description: Computes the checksum and writes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Read the application's source
  campus.flask_sso.source_archive:
    path: app
  register: source
  delegate_to: localhost
"""

RETURN = r"""
sha256:
  description: Checksum of the source.
  returned: always
  type: str
"""

import hashlib
import io
import os
import tarfile
from fnmatch import fnmatch

from ansible.module_utils.basic import AnsibleModule


def pack(directory, exclude):
    """Pack a directory into a tar archive that depends on its contents only.

    :param str directory: The directory.
    :param list exclude: Shell patterns of names that are left out.
    :returns: The archive, as bytes.
    :raises OSError: if something cannot be read.
    :raises ValueError: if a symbolic link leads out of the directory or to another directory.
    """

    def wanted(name):
        return not any(fnmatch(name, pattern) for pattern in exclude)

    def refuse(error):
        raise error

    root = os.path.realpath(directory)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder, folders, files in os.walk(root, onerror=refuse):
            folders[:] = sorted(filter(wanted, folders))
            for name in folders:
                if os.path.islink(os.path.join(folder, name)):
                    raise ValueError(f"{os.path.join(folder, name)} is a symbolic link to a directory")
                member = tarfile.TarInfo(os.path.relpath(os.path.join(folder, name), root))
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
            for name in sorted(filter(wanted, files)):
                path = os.path.join(folder, name)
                if os.path.commonpath([root, os.path.realpath(path)]) != root:
                    raise ValueError(f"{path} is a symbolic link to {os.path.realpath(path)}, outside of {root}")
                with open(path, "rb") as stream:
                    content = stream.read()
                member = tarfile.TarInfo(os.path.relpath(path, root))
                member.size = len(content)
                member.mode = 0o755 if os.stat(path).st_mode & 0o100 else 0o644
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def main():
    """Run the module."""
    ignored = [".git", ".venv", "venv", ".env", "*.pyc", "__pycache__", ".*_cache", "*.egg-info", ".hypothesis"]
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "dest": {"type": "path"},
            "exclude": {"type": "list", "elements": "str", "default": ignored},
        },
        supports_check_mode=True,
    )
    try:
        archive = pack(module.params["path"], module.params["exclude"])
        if module.params["dest"] and not module.check_mode:
            with open(module.params["dest"], "wb") as stream:
                stream.write(archive)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"The source in {module.params['path']} cannot be packed: {error}")
    module.exit_json(changed=False, sha256=hashlib.sha256(archive).hexdigest())


if __name__ == "__main__":
    main()
