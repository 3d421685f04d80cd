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
"""

import csv
import fcntl
import os
import socket
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule


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
    :returns: The answer, or None if nobody answers there.
    """
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(10)
        try:
            admin.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        admin.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: admin.recv(65536), b"")).decode()


def states(answer, backend):
    """Read the states of the servers of a backend.

    :param str answer: What HAProxy says to "show stat": comma-separated values with names in the first line.
    :param str backend: Name of the backend.
    :returns: What HAProxy says of each server, by its name, for example "UP", "DOWN 1/2" or "MAINT".
    """
    rows = csv.DictReader(answer.lstrip("# ").splitlines())
    return {row["svname"]: row["status"] for row in rows if row["pxname"] == backend and row["svname"] != "BACKEND"}


def serving(states):
    """Tell which servers get requests, and which of these are healthy.

    :param dict states: The state of each server.
    :returns: Two lists of names.
    """
    # "UP 1/2" is one that failed a check, or was not checked since it was enabled; MAINT and DRAIN get no new visitors.
    up = [name for name, state in states.items() if state.startswith(("UP", "no check"))]
    return up, [name for name in up if states[name] in ("UP", "no check")]


def is_out(state):
    """Tell whether a server is disabled.

    :param str state: What HAProxy says of it.
    :returns: Whether it is.
    """
    return state.startswith("MAINT")


def wanted(states, server, state):
    """Tell whether a server has to be enabled or disabled.

    :param dict states: The state of each server.
    :param server: Its name, or None.
    :param state: "enabled" or "disabled".
    :returns: Whether it is there, is not yet as it should be, and need not stay as the only healthy one.
    """
    if server not in states:
        return False
    if state == "enabled":
        return states[server].startswith(("MAINT", "DRAIN"))
    return not is_out(states[server]) and any(name != server for name in serving(states)[1])


def look(module):
    """Ask for the states of the servers. The module ends if HAProxy has no such backend.

    :param module: The module.
    :returns: The state of each server, or None if HAProxy does not run.
    """
    path, backend = module.params["socket"], module.params["backend"]
    answer = ask(path, "show stat")
    if answer is None:
        return None
    if f"\n{backend},BACKEND," not in answer:
        module.fail_json(msg=f"HAProxy at {path} has no backend {backend}. Run playbooks/balancers.yml again.")
    return states(answer, backend)


def change(module, found):
    """Enable or disable the server, if that is wanted.

    :param module: The module. It ends if HAProxy refuses.
    :param found: The state of each server, or None if HAProxy does not run.
    :returns: Whether it was changed, or would be, and the states afterwards.
    """
    server, state = module.params["server"], module.params["state"]
    if not found or not wanted(found, server, state):
        return False, found
    if not module.check_mode:
        command = f"set server {module.params['backend']}/{server} state {'ready' if state == 'enabled' else 'maint'}"
        said = ask(module.params["socket"], command)
        found = look(module)
        if found and is_out(found.get(server, "")) != (state == "disabled"):
            module.fail_json(msg=f'HAProxy at {module.params["socket"]} says to "{command}": {(said or "").strip()}')
    return True, found


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "required": True},
            "server": {"type": "str"},
            "state": {"type": "str", "choices": ["disabled", "enabled"]},
        },
        required_together=[("server", "state")],
        supports_check_mode=True,
    )
    path, server = module.params["socket"], module.params["server"]
    try:
        with alone(path):
            changed, found = change(module, look(module))
    except OSError as error:
        module.fail_json(msg=f"HAProxy does not answer at {path}: {error}. Restart it.")
    running, found = found is not None, found or {}
    up, healthy = serving(found)
    said = {"out": is_out(found.get(server, ""))} if server else {}
    module.exit_json(changed=changed, running=running, serving=up, healthy=healthy, states=found, **said)


if __name__ == "__main__":
    main()
