# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of keys of a SAML service provider, and the plan of a step; the module sp_keys documents both."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from itertools import count

LINKS = ("active", "next", "previous")
DAY = 86400


@dataclass
class Found:
    """What is on the host."""

    #: Where each link leads, as it is written. What is no link has an empty string.
    targets: dict[str, str] = field(default_factory=dict)
    #: The directory behind each link.
    directories: dict[str, str] = field(default_factory=dict)
    #: How many days ago each link was made.
    ages: dict[str, float] = field(default_factory=dict)
    #: Directory with keys from before there were sets, or nothing.
    loose: str = ""
    #: Keys of an application that was its own service provider.
    application: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """The plan of a step; RETURN of the module documents its fields."""

    faults: list[str] = field(default_factory=list)
    new_set: str = ""
    sources: list[str] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)


def look(path: str, names: list[str], application: str | None) -> Found:
    """Look at the keys of a host.

    :param path: Configuration directory of the service provider.
    :param names: File names of a set, the key that signs first.
    :param application: Directory of an application that was its own service provider, or nothing.
    :returns: What is there.
    """
    found = Found()
    for link in LINKS:
        place = os.path.join(path, "keys", link)
        if os.path.lexists(place):
            found.targets[link] = os.readlink(place) if os.path.islink(place) else ""
            found.directories[link] = os.path.realpath(place)
            found.ages[link] = (time.time() - os.lstat(place).st_mtime) / DAY
    if present(path, names[:1]):
        found.loose = path
    if application:
        found.application = present(application, names)
    return found


def present(directory: str, names: list[str]) -> list[str]:
    """Find files.

    :param directory: Where they would be; it may be missing.
    :param names: Their names.
    :returns: The paths of those that are there.
    """
    paths = [os.path.join(directory, name) for name in names]
    return [path for path in paths if os.path.lexists(path)]


def plan_deployment(found: Found, path: str, given: dict[str, str]) -> Plan:
    """Plan to keep what is there, to use what is copied from the controller, or to create a first set.

    :param found: What is on the host.
    :param path: Configuration directory of the service provider.
    :param given: Names of the sets that are copied from the controller, by their links.
    :returns: What to do.
    """
    if given:
        return plan_links(path, given)
    if "active" in found.targets:
        return Plan(links=[link for link in LINKS if link in found.targets])
    if found.loose:
        return plan_links(path, {"active": found.loose})
    plan = plan_links(path, {"active": "1"})
    plan.new_set, plan.sources = os.path.join(path, "keys", "1"), found.application
    return plan


def plan_step(found: Found, path: str, names: list[str], step: str) -> Plan:
    """Do a step of a rotation that has no faults.

    :param found: What is on the host.
    :param path: Configuration directory of the service provider.
    :param names: File names of a set.
    :param step: The step: publish, switch or retire.
    :returns: What to do.
    """
    active, following = found.targets["active"], found.targets.get("next")
    if step == "publish":
        plan = plan_links(path, {"active": active, "next": following or new_name(active, path)})
        if not following:
            plan.new_set = os.path.join(path, "keys", new_name(active, path))
        return plan
    if step == "switch" and following:
        return plan_links(path, {"active": following, "previous": active})
    if step == "switch":
        return plan_links(path, {"active": active, "previous": found.targets["previous"]})
    plan = plan_links(path, {"active": active})
    unused = found.directories.get("previous")
    if unused and unused != found.directories["active"]:
        plan.retired = [os.path.join(unused, name) for name in names]
    return plan


def new_name(active: str, path: str) -> str:
    """Name the set after another one.

    :param active: Where the active link leads. Only sets that were made by this collection have numbers.
    :param path: Configuration directory of the service provider.
    :returns: The next number; after a set without a number the first that no set has, as the keys in that one are old.
    """
    if active.isdecimal():
        return str(int(active) + 1)
    return next(name for name in map(str, count(1)) if not os.path.lexists(os.path.join(path, "keys", name)))


def plan_links(path: str, targets: dict[str, str]) -> Plan:
    """Have links lead to sets.

    :param path: Configuration directory of the service provider.
    :param targets: Where each link leads. A link without a target is removed.
    :returns: What to do.
    """
    keys = os.path.join(path, "keys")
    plan = Plan(files=[{"path": keys, "state": "directory"}], links=[link for link in LINKS if link in targets])
    for link in LINKS:
        state = {"state": "link", "target": targets[link]} if link in targets else {"state": "absent"}
        plan.files.append({"path": os.path.join(keys, link), **state})
    return plan


def step_faults(found: Found, path: str, step: str, days: int, force: bool) -> list[str]:
    """Find why a step of a rotation cannot be done now.

    :param found: What is on the host.
    :param path: Configuration directory of the service provider.
    :param step: The step: publish, switch or retire.
    :param days: Days that have to pass after the step before it.
    :param force: Whether they need not.
    :returns: A sentence or more for each reason.
    """
    if "active" not in found.targets:
        return ["The host has no keys yet. Run site.yml first."]
    said = [
        f"{os.path.join(path, 'keys', link)} is no link. Move the keys into a directory beside it and link it to that."
        for link, target in found.targets.items()
        if not target
    ]
    order = ""
    if step == "publish" and "previous" in found.targets:
        order = 'the rotation before this one is not over. Run it with "retire" first.'
    if step == "switch" and not {"next", "previous"} & found.targets.keys():
        order = 'the host has published no next keys. Run it with "publish" first.'
    if step == "retire" and "next" in found.targets:
        order = 'the host does not use its next keys yet. Run it with "switch" first.'
    if order:
        said.append(f'shibboleth_sp_rotation is "{step}", but {order}')
    waits_for = {"switch": "next", "retire": "previous"}.get(step, "")
    left = days - found.ages.get(waits_for, math.inf)
    if left > 0 and not force:
        said.append(
            f'shibboleth_sp_rotation is "{step}", {math.ceil(left)} days too early: identity providers get'
            f" shibboleth_sp_rotation_days ({days}) to read the metadata again. Wait, or set"
            " shibboleth_sp_rotation_force to true if you know that they have."
        )
    return said
