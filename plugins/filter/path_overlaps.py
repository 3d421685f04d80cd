# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find which sites of one server name have rules for each other's paths."""

from __future__ import annotations

DOCUMENTATION = r"""
name: path_overlaps
short_description: Find which sites of one server name have rules for each other's paths
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns the locations of httpd that are at or below a path, and those of sites beside the same site that the path
    is below.
options:
  _input:
    description: The locations that M(campus.flask_sso.httpd_inventory) has found, without those of the site itself.
    type: list
    elements: dict
    required: true
  prefix:
    description: Path of the site.
    type: str
    required: true
  beside:
    description: How the paths of the files begin that belong to sites beside the same one.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what else has rules for /notes
  ansible.builtin.debug:
    msg: "{{ found.locations | campus.flask_sso.path_overlaps('/notes', '/etc/apache2/flask_sso/portal/30-beside-') }}"
"""

RETURN = r"""
_value:
  description: The locations that overlap with the path.
  type: list
  elements: dict
"""

from typing import Callable


def is_at_or_below(path: str, above: str) -> bool:
    """Return whether a path is another one, or below it."""
    return path == above or path.startswith(f"{above}/")


def path_overlaps(locations: list[dict[str, str]], prefix: str, beside: str) -> list[dict[str, str]]:
    """Find the locations that overlap with a path.

    :param locations: Each with the ``location`` that a rule is for, and the ``path`` of its file.
    :param prefix: The path, without a slash at its end.
    :param beside: How the paths of the files of sites beside the same one begin.
    :returns: Those at or below the path, and those of sites beside the same one that the path is below.
    """
    return [
        each
        for each in locations
        if is_at_or_below(each["location"], prefix)
        or (each["path"].startswith(beside) and is_at_or_below(prefix, each["location"]))
    ]


class FilterModule:
    """The filter that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, str]]]]:
        """Return the filter by its name."""
        return {"path_overlaps": path_overlaps}
