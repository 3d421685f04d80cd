#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask HAProxy which servers of a backend get requests, and take one out or put it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_backend
short_description: Ask HAProxy which servers of a backend get requests, and take one out or put it back
version_added: 0.1.0
description:
  - Asks the administration socket of HAProxy on the host.
  - With O(server), it also enables or disables this one. Several runs at the same time look and disable one after the
    other, so that they do not disable all servers.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  socket:
    description: Path of the administration socket.
    type: path
    required: true
  backend:
    description: Name of the backend.
    type: str
    required: true
  server:
    description: Name of the server to enable or disable. Nothing changes if the backend does not have it.
    type: str
  state:
    description:
      - V(enabled) lets it get requests once its checks succeed.
      - V(disabled) sends it no new requests, but only while another server is healthy.
    type: str
    choices: [disabled, enabled]
  drain_seconds:
    description: How long to wait until a server that is disabled has no sessions left.
    type: int
    default: 0
attributes:
  check_mode:
    description: Says what would change, and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Ask which nodes get requests
  campus.flask_sso.haproxy_backend:
    socket: /run/haproxy/admin.sock
    backend: nodes
  register: nodes

- name: Take a node out, unless no other one is healthy
  campus.flask_sso.haproxy_backend:
    socket: /run/haproxy/admin.sock
    backend: nodes
    server: web1
    state: disabled
    drain_seconds: 60
"""

RETURN = r"""
running:
  description: Whether HAProxy answers at the socket.
  returned: success
  type: bool
serving:
  description: Names of the servers that get requests now.
  returned: success
  type: list
  elements: str
process:
  description: Number of HAProxy's process, which is another one after a reload; 0 where it does not run.
  returned: success
  type: int
healthy:
  description:
    - Those of RV(serving) whose last check succeeded, or that HAProxy does not check. One that was enabled is not among
      them until its first check.
  returned: success
  type: list
  elements: str
states:
  description: What HAProxy says of each server, by its name, for example V(UP), V(DOWN) or V(MAINT).
  returned: success
  type: dict
out:
  description: Whether O(server) is disabled, so that it gets no requests whatever its checks find.
  returned: when O(server) is given
  type: bool
sessions:
  description: How many sessions O(server) still has, that is requests, or connections where HAProxy reads none.
  returned: when O(server) is given
  type: int
"""

import csv
import fcntl
import os
import re
import socket
import time
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule

POLL_SECONDS = 0.2


@contextmanager
def alone(path):
    """Let other runs wait before they look and change. The lock ends with the process.

    :param str path: Path of the administration socket.
    """
    try:
        descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield  # HAProxy does not run
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def ask(path, command):
    """Send HAProxy a command.

    :param str path: Path of the administration socket.
    :param str command: The command.
    :returns: The answer, or None if no HAProxy answers there, or if it ends.
    """
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(10)
        try:
            admin.connect(path)
            admin.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode() or None
        except (FileNotFoundError, ConnectionError):
            return None


def servers(answer, backend):
    """Read the statistics of the servers of a backend.

    :param str answer: What HAProxy says to "show stat": comma-separated values with names in the first line.
    :param str backend: Name of the backend.
    :returns: The values of each server by their names, by its name.
    """
    rows = csv.DictReader(answer.lstrip("# ").splitlines())
    return {row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] != "BACKEND"}


def states(found):
    """Tell what HAProxy says of each server.

    :param found: The statistics of the servers, or None if HAProxy does not run.
    :returns: For example "UP", "DOWN 1/2" or "MAINT", by the server's name.
    """
    return {name: row["status"] for name, row in (found or {}).items()}


def serving(found):
    """Tell which servers get requests, and which of these are healthy.

    :param found: The statistics of the servers.
    :returns: Two lists of names.
    """
    # "UP 1/2" is one that failed a check, or was not checked since it was enabled; MAINT and DRAIN get no new visitors.
    up = {name: state for name, state in states(found).items() if state.startswith(("UP", "no check"))}
    return list(up), [name for name, state in up.items() if state in ("UP", "no check")]


def is_out(found, server):
    """Tell whether a server is disabled.

    :param found: The statistics of the servers.
    :param server: Its name.
    :returns: Whether it is.
    """
    state = states(found).get(server, "")
    return state.startswith("MAINT") and state != "MAINT (resolution)"  # of a name that the DNS does not know


def sessions(found, server):
    """Tell how many sessions a server has.

    :param found: The statistics of the servers.
    :param server: Its name.
    :returns: The number.
    """
    return int((found or {}).get(server, {}).get("scur") or 0)


def wanted(found, server, state):
    """Tell whether a server has to be enabled or disabled.

    :param found: The statistics of the servers.
    :param server: Its name, or None.
    :param state: "enabled" or "disabled".
    :returns: Whether it is there, is not yet as it should be, and need not stay as the only healthy one.
    """
    if server not in found:
        return False
    if state == "enabled":
        return states(found)[server].startswith(("MAINT", "DRAIN"))
    return not is_out(found, server) and any(name != server for name in serving(found)[1])


def look(module):
    """Ask for the statistics of the servers. The module ends if HAProxy has no such backend.

    :param module: The module.
    :returns: Those of each server, by its name, or None if HAProxy does not run.
    """
    path, backend = module.params["socket"], module.params["backend"]
    answer = ask(path, "show stat")
    if answer is None:
        return None
    if f"\n{backend},BACKEND," not in answer:
        module.fail_json(msg=f"HAProxy at {path} has no backend {backend}. Run playbooks/balancers.yml again.")
    return servers(answer, backend)


def change(module):
    """Enable or disable the server, if that is wanted.

    :param module: The module. It ends if HAProxy refuses.
    :returns: Whether it was changed, or would be, and the statistics of the servers afterwards.
    """
    server, state, path = (module.params[name] for name in ("server", "state", "socket"))
    with alone(path):
        found = look(module)
        if not found or not wanted(found, server, state):
            return False, found
        if not module.check_mode:
            command = (
                f"set server {module.params['backend']}/{server} state {'ready' if state == 'enabled' else 'maint'}"
            )
            said = ask(path, command)
            found = look(module)
            if found and is_out(found, server) != (state == "disabled"):
                module.fail_json(msg=f'HAProxy at {path} says to "{command}": {(said or "").strip()}')
    return True, found


def drain(module, found):
    """Wait until the server, which is disabled, has no sessions, for as long as the module's option says.

    A HAProxy that is reloaded meanwhile enables it, and is told again. Other runs may look in between.

    :param module: The module.
    :param found: The statistics of the servers.
    :returns: The last ones.
    """
    server, deadline = module.params["server"], time.monotonic() + module.params["drain_seconds"]
    if not is_out(found, server):
        return found
    while found and (sessions(found, server) or not is_out(found, server)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        _changed, found = change(module)
    return found


def process(path):
    """Ask for the number of HAProxy's process.

    :param str path: Path of the administration socket.
    :returns: The number, or 0 if HAProxy does not run.
    """
    numbers = re.findall(r"(?m)^Pid: ([0-9]+)$", ask(path, "show info") or "")
    return int(numbers[0]) if numbers else 0


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "required": True},
            "server": {"type": "str"},
            "state": {"type": "str", "choices": ["disabled", "enabled"]},
            "drain_seconds": {"type": "int", "default": 0},
        },
        required_together=[("server", "state")],
        supports_check_mode=True,
    )
    path, server = module.params["socket"], module.params["server"]
    try:
        changed, found = change(module)
        if not module.check_mode:
            found = drain(module, found)
        number = process(path)
    except OSError as error:
        module.fail_json(msg=f"HAProxy does not answer at {path}: {error}. Restart it.")
    up, healthy = serving(found)
    said = {"out": is_out(found, server), "sessions": sessions(found, server)} if server else {}
    module.exit_json(
        changed=changed,
        running=found is not None,
        process=number,
        serving=up,
        healthy=healthy,
        states=states(found),
        **said,
    )


if __name__ == "__main__":
    main()
