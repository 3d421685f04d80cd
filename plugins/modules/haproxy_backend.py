#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask HAProxy which servers of a backend get requests."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_backend
short_description: Ask HAProxy which servers of a backend get requests
version_added: 0.1.0
description: Asks the administration socket of HAProxy on the host. Changes nothing.
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
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Ask which nodes get requests
  campus.flask_sso.haproxy_backend:
    socket: /run/haproxy/admin.sock
    backend: nodes
  register: nodes
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
"""

import csv
import socket

from ansible.module_utils.basic import AnsibleModule


def statistics(path):
    """Ask HAProxy for its statistics.

    :param str path: Path of the administration socket.
    :returns: The answer, comma-separated values with names in the first line, or None if nobody answers there.
    """
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(10)
        try:
            admin.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        admin.sendall(b"show stat\n")
        return b"".join(iter(lambda: admin.recv(65536), b"")).decode()


def states(answer, backend):
    """Read the states of the servers of a backend.

    :param str answer: The statistics.
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


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        answer = statistics(module.params["socket"])
    except OSError as error:
        module.fail_json(msg=f"HAProxy does not answer at {module.params['socket']}: {error}. Restart it.")
    backend = module.params["backend"]
    if answer is not None and f"\n{backend},BACKEND," not in answer:
        module.fail_json(
            msg=f"HAProxy at {module.params['socket']} has no backend {backend}. Run playbooks/balancers.yml again."
        )
    found = states(answer or "", backend)
    up, healthy = serving(found)
    module.exit_json(changed=False, running=answer is not None, serving=up, healthy=healthy, states=found)


if __name__ == "__main__":
    main()
