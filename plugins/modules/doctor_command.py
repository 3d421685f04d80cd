#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Leave the command flask-sso-doctor on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor_command
short_description: Leave the command flask-sso-doctor on a host
version_added: 0.1.0
description:
  - Writes the checks of M(campus.flask_sso.doctor) as one executable archive of Python files, which needs only Python's
    standard library.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  path:
    description: Where the command is.
    type: path
    default: /usr/local/sbin/flask-sso-doctor
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Reports what would change.
    support: full
"""

EXAMPLES = r"""
- name: Leave the doctor on the host
  campus.flask_sso.doctor_command:
"""

RETURN = r"""
path:
  description: Where the command is.
  returned: success
  type: str
"""

import io
import os
import pkgutil
import zipfile
from importlib.util import find_spec

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils import doctor

# Ansible sends with the module what it imports, and this imports all the rest.
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor import command

NAME = "flask_sso_doctor"
START = f"from {NAME}.{command.__name__.rpartition('.')[2]} import main\nraise SystemExit(main())\n"
MODE = 0o755
DATE = (1980, 1, 1, 0, 0, 0)  # always the same, so that the same files are the same archive


def archive():
    """Pack the package of the doctor with a start.

    Nothing is compressed: versions of zlib differ in what they make of the same files, and so would the archives of
    two controllers.

    :returns: The bytes of an executable archive.
    """
    package = doctor.__name__
    names = [package, *(found.name for found in pkgutil.walk_packages(doctor.__path__, f"{package}."))]
    sources = {"__main__.py": START}
    for name in sorted(names):
        loader = find_spec(name).loader
        own = (NAME + name[len(package) :]).replace(".", "/")
        sources[f"{own}/__init__.py" if loader.is_package(name) else f"{own}.py"] = loader.get_source(name)
    packed = io.BytesIO(b"#!/usr/bin/env python3\n")
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "a") as files:
        for path, source in sources.items():
            files.writestr(zipfile.ZipInfo(path, DATE), source, zipfile.ZIP_STORED)
    return packed.getvalue()


def current(path):
    """Read what is there.

    :param str path: The command.
    :returns: Its bytes; None if there is none.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/sbin/flask-sso-doctor"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    wanted = archive() if module.params["state"] == "present" else None
    found = current(path)
    executable = found is None or os.stat(path).st_mode & 0o7777 == MODE
    changed = found != wanted or (wanted is not None and not executable)
    if changed and not module.check_mode:
        if wanted is None:
            os.unlink(path)
        else:
            new = os.path.join(module.tmpdir, "flask-sso-doctor")
            with open(new, "wb") as file:
                file.write(wanted)
            os.chmod(new, MODE)
            module.atomic_move(new, path)
            os.chmod(path, MODE)
    module.exit_json(changed=changed, path=path)


if __name__ == "__main__":
    main()
