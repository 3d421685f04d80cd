#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""List the releases of an application on a host, and find the one to roll back to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: List the releases of an application on a host, and find the one to roll back to
version_added: 0.1.0
description:
  - Lists the releases that M(campus.flask_sso.activation) has recorded, and says which one a rollback would activate,
    or why none. Changes nothing, and returns no settings.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  directory:
    description: Directory of the records.
    type: path
    required: true
  release:
    description: Id of the release to roll back to. If empty, it is the one before the current one.
    type: str
    default: ""
attributes:
  check_mode:
    description: Only reads and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Look at the releases of the application
  campus.flask_sso.release_info:
    directory: /etc/guestbook/releases
  register: guestbook
"""

RETURN = r"""
releases:
  description: The releases, the one that was deployed last first. Times are in UTC.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 0b5e41c1a9d2
      built: 2026-01-31 12:00:00 UTC
      deployed: 2026-01-31 12:00:10 UTC
      activated: 2026-02-03 09:30:00 UTC
      note: v1.2
      current: true
      fault: ""
summary:
  description: The same, a line for each.
  returned: success
  type: list
  elements: str
current:
  description: Id of the release that runs; empty if none was recorded.
  returned: success
  type: str
target:
  description: Id of the release to roll back to; empty if there is a fault.
  returned: success
  type: str
fault:
  description: Why the application cannot be rolled back, and what to do; empty if it can.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.releases import Release, Releases, written


def described(release: Release, current: Release | None) -> dict[str, Any]:
    """Describe a release, without its settings.

    :param release: The release.
    :param current: The one that runs.
    """
    times = {name: written(getattr(release, name)) for name in ("built", "deployed", "activated")}
    is_current = current is not None and release.id == current.id
    return {"id": release.id, **times, "note": release.note, "current": is_current, "fault": release.fault}


def line(found: dict[str, Any]) -> str:
    """Write a release on one line.

    :param found: What :func:`described` returned.
    """
    note = " ".join(found["note"].split())
    parts = [f"{found['id']}: built {found['built']}", f"activated {found['activated']}", note, found["fault"]]
    return ", ".join(filter(None, parts)) + (" (current)" if found["current"] else "")


def fault(target: Release, current: Release) -> str:
    """Find why a release cannot replace the current one.

    :param target: The release.
    :param current: The one that runs.
    :returns: The reason, and what to do instead; empty if it can.
    """
    differing = [
        f'{name} is "{current.interface.get(name, "")}" and was "{value}"'
        for name, value in sorted(target.interface.items())
        if value != current.interface.get(name, "")
    ]
    if target.fault:
        return f"Release {target.id} cannot run: {target.fault}. Deploy its source again."
    if differing:
        return (
            f"Release {target.id} ran in another way: {', '.join(differing)}. A rollback changes neither httpd nor"
            " accounts and TLS; deploy the source of that release with these variables instead."
        )
    return ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "release": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    wanted = module.params["release"]
    releases = Releases(module.params["directory"])
    current = releases.current
    by_deployment = sorted(releases.known.values(), key=lambda release: release.deployed, reverse=True)
    found = [described(release, current) for release in by_deployment]
    summary = [line(one) for one in found]
    there_are = f"There are: {'; '.join(summary)}." if summary else "Deploy one first."
    target: Release | None = None
    if current is None:
        problem = f"{releases.directory} has no release. {there_are}"
    elif target := releases.known.get(wanted) if wanted else releases.before(current):
        problem = fault(target, current)
    elif wanted:
        problem = f'flask_app_release is "{wanted}", and the host has no such release. {there_are}'
    else:
        problem = (
            f"There is no release before {current.id} on the host. Name one in flask_app_release. {there_are}"
            " flask_app_keep_releases says how many are kept."
        )
    module.exit_json(
        changed=False,
        releases=found,
        summary=summary,
        current=current.id if current else "",
        target=target.id if target and not problem else "",
        fault=problem,
    )


if __name__ == "__main__":
    main()
