#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Collect what the roles need to know about a host before they change it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Collect what the roles need to know about a host before they change it
version_added: 0.1.0
description:
  - Reads which packages are installed, how old the package lists are, who listens on which TCP port, and which firewall
    runs, and whether SELinux is on. Changes nothing.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  packages_command:
    description: Command that prints a status and a name for each package, in a line each.
    type: list
    elements: str
    required: true
  package_lists_path:
    description: Directory of the lists of apt; empty for a package manager that refreshes its lists by itself.
    type: str
    default: ""
  package_sources:
    description: Files and directories that say where apt finds packages.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Collect packages, listeners and the firewall
  campus.flask_sso.host_state:
    packages_command: [rpm, --query, --all, --queryformat, "installed %{NAME}\n"]
  register: host
"""

RETURN = r"""
firewall:
  description: The firewall service that runs, V(firewalld), V(ufw) or V(nftables); empty where none does.
  returned: success
  type: str
fips:
  description: Whether the kernel is in FIPS mode, where OpenSSL has approved algorithms only.
  returned: success
  type: bool
ipv6:
  description: Whether the kernel has IPv6.
  returned: success
  type: bool
listeners:
  description: Programs that listen on a TCP port.
  returned: success
  type: list
  elements: dict
  contains:
    port:
      description: The port.
      type: int
    name:
      description: Name of the program; empty where the kernel does not tell.
      type: str
    pid:
      description: Number of its process; 0 where the kernel does not tell.
      type: int
package_lists_hours:
  description: >-
    Hours since apt has refreshed its lists; V(null) where there are none or a source has changed since, 0 without apt.
  returned: success
  type: float
packages:
  description: Names of the packages that are installed.
  returned: success
  type: list
  elements: str
selinux:
  description: The mode of SELinux, V(enforcing) or V(permissive); empty where it is off.
  returned: success
  type: str
selinux_missing:
  description: Commands that change the policy of SELinux and that this host lacks.
  returned: success
  type: list
  elements: str
"""

import glob
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule

FIREWALLS = ["firewalld", "ufw", "nftables"]
FIPS = "/proc/sys/crypto/fips_enabled"
IPV6 = "/proc/net/if_inet6"
SELINUX = "/sys/fs/selinux/enforce"
SELINUX_COMMANDS = ["semodule", "restorecon", "getsebool", "setsebool"]


def packages(output):
    """Read which packages are installed.

    :param str output: A status and a name in each line.
    :returns: Their names.
    """
    return sorted({line.split()[1] for line in output.splitlines() if line.startswith("installed ")})


def package_lists_hours(directory, sources, now):
    """Return how old the package lists of apt are.

    :param str directory: Where apt keeps them.
    :param list sources: Files, and directories of files, that say where apt finds packages. Any may be missing.
    :param float now: The time, in seconds since the epoch.
    :returns: Hours since apt has refreshed them, or None where there are none or a source has changed since.
    """
    lists = glob.glob(os.path.join(directory, "*_Packages*"))
    if not lists:
        return None
    # A list that has not changed keeps its server's time. The directory's is that of the last list that has changed, or
    # of a refresh by the roles.
    refreshed = max(os.path.getmtime(path) for path in [directory, *lists])
    described = [path for source in sources for path in [source, *glob.glob(os.path.join(source, "*"))]]
    # A file that is copied may keep an old time of modification. A directory's time tells of files that were removed.
    if any(os.stat(path).st_ctime > refreshed for path in described if os.path.exists(path)):
        return None
    return (now - refreshed) / 3600


def listeners(output):
    """Read who listens on which port.

    :param str output: What ``ss`` has printed: a socket in each line, its address in the fourth column.
    :returns: A list of mappings with ``port``, ``name`` and ``pid``.
    """
    found = []
    for line in output.splitlines():
        port = int(line.split()[3].rpartition(":")[2])
        programs = re.findall(r'\("(.*?)",pid=(\d+),fd=\d+\)', line) or [("", "0")]
        found += [{"port": port, "name": name, "pid": int(pid)} for name, pid in programs]
    return found


def active(names, output):
    """Return which of some services runs.

    :param list names: The services.
    :param str output: What ``systemctl is-active`` has printed for them: a state in each line.
    :returns: The first that is active, or an empty string.
    """
    return next((name for name, state in zip(names, output.splitlines()) if state == "active"), "")


def fips(path):
    """Return whether the kernel is in FIPS mode.

    :param str path: The kernel's file that has it.
    :returns: Whether it is.
    """
    if not os.path.exists(path):
        return False
    with open(path, encoding="ascii") as stream:
        return stream.read(1) == "1"


def selinux(path):
    """Return the mode of SELinux.

    :param str path: The kernel's file that has it.
    :returns: ``enforcing``, ``permissive``, or an empty string where it is off.
    """
    if not os.path.exists(path):
        return ""
    with open(path, encoding="ascii") as stream:
        return "enforcing" if stream.read(1) == "1" else "permissive"


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "packages_command": {"type": "list", "elements": "str", "required": True},
            "package_lists_path": {"type": "str", "default": ""},
            "package_sources": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    lists = module.params["package_lists_path"]
    if not module.get_bin_path("ss"):
        module.fail_json(
            msg='There is no command "ss", which lists the ports in use. Install the package iproute2 or iproute.'
        )

    def output(command, **options):
        return module.run_command(command, environ_update={"LC_ALL": "C"}, **options)[1]

    module.exit_json(
        changed=False,
        packages=packages(output(module.params["packages_command"], check_rc=True)),
        package_lists_hours=package_lists_hours(lists, module.params["package_sources"], time.time()) if lists else 0.0,
        listeners=listeners(
            output(["ss", "--no-header", "--numeric", "--tcp", "--listening", "--processes"], check_rc=True)
        ),
        firewall=active(FIREWALLS, output(["systemctl", "is-active", *FIREWALLS])),
        fips=fips(FIPS),
        ipv6=os.path.exists(IPV6),
        selinux=selinux(SELINUX),
        selinux_missing=[name for name in SELINUX_COMMANDS if not module.get_bin_path(name)],
    )


if __name__ == "__main__":
    main()
