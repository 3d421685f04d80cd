# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what the nodes of a cluster do not agree on."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_differences
short_description: Find what the nodes of a cluster do not agree on
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Compares what M(campus.flask_sso.doctor) returned as RV(campus.flask_sso.doctor#module:node) on each node.
options:
  _input:
    description: Names of nodes with what was returned there.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Fail if the nodes do not agree
  ansible.builtin.assert:
    that: nodes | campus.flask_sso.node_differences | length == 0
  vars:
    nodes: "{{ dict(groups.web | zip(groups.web | map('extract', hostvars, ['examined', 'node']))) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each difference, with what to do.
  type: list
  elements: str
"""

from collections.abc import Iterator, Mapping
from typing import Any, Callable

#: Seconds between the clocks of two nodes that still do not matter. The way to a node takes some, too.
SKEW = 30


def joined(names: list[str]) -> str:
    """Return names as a sentence has them."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def node_differences(nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Find what nodes do not agree on; see the documentation above."""
    return [*different(nodes), *late(nodes)]


def different(nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each thing that two nodes have, and that is not the same."""
    for name in sorted({name for node in nodes.values() for name in node["has"]}):
        owners: dict[str, list[str]] = {}
        for node, described in nodes.items():
            if name in described["has"]:
                owners.setdefault(described["has"][name], []).append(node)
        if len(owners) > 1:
            groups = [f"{value} on {joined(found)}" for value, found in owners.items()]
            yield f"The nodes do not have the same {name}: {', '.join(groups)}. Run site.yml for all of them."


def late(nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence if a clock is wrong."""
    clocks = {node: described["clock"] for node, described in nodes.items()}
    if clocks and max(clocks.values()) - min(clocks.values()) > SKEW:
        earliest, latest = min(clocks, key=clocks.__getitem__), max(clocks, key=clocks.__getitem__)
        yield (
            f"The clock of {latest} is {clocks[latest] - clocks[earliest]:.0f} seconds ahead of that of {earliest}, so"
            " a login that begins at one may be refused by the other. Install and start a time service on both."
        )


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"node_differences": node_differences}
