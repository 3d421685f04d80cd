# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites that share a host's shibd; the module sp_site documents them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from ansible_collections.campus.flask_sso.plugins.module_utils.journal import Journal
from ansible_collections.campus.flask_sso.plugins.module_utils.originals import Originals

OVERRIDE = "-override.xml"  # shibd looks for files whose names end so
#: An assertion consumer service that the role has written.
SERVICE = re.compile('<md:AssertionConsumerService Location="([^"]*)"')


@dataclass
class Found:
    """What is on the host; RETURN of the module documents the fields."""

    home: str = ""
    further: bool = False
    first: str = ""
    prepared: bool = False
    listener: str = ""
    shared: bool = False
    others: list[str] = field(default_factory=list)
    services: dict[str, list[str]] = field(default_factory=dict)


def look(path: str, site: str, journal_directory: str) -> Found:
    """Look at shibd's configuration.

    :param path: Configuration directory of shibd.
    :param site: The site that asks.
    :param journal_directory: Directory of the records of all services.
    :returns: What is there.
    """
    found = Found()
    sites, configuration = os.path.join(path, "sites"), os.path.join(path, "shibboleth2.xml")
    link = os.path.join(sites, "default")
    writers = recorded_sites(configuration, journal_directory)
    if os.path.islink(link):
        found.first, found.prepared = os.readlink(link), True
    else:
        found.first = site if site in writers else next(iter(writers), "")
    if found.first and os.path.isfile(configuration):
        text = read(configuration)
        found.listener = "tcp" if "<TCPListener " in text else "unix"
        found.services[found.first] = SERVICE.findall(text)
    own = os.path.join(sites, site)
    found.further = found.first != site if found.first else os.path.isdir(own)
    found.home = own if found.further else path
    names = sorted(os.listdir(sites)) if os.path.isdir(sites) else []
    overrides = [name[: -len(OVERRIDE)] for name in names if name.endswith(OVERRIDE)]
    found.shared = site in writers and site != found.first
    found.others = [name for name in overrides if name != site]
    found.services |= {name: SERVICE.findall(read(os.path.join(sites, name + OVERRIDE))) for name in overrides}
    return found


def read(path: str) -> str:
    """Return the text of a file.

    :param path: Its path.
    """
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def recorded_sites(configuration: str, journal_directory: str) -> list[str]:
    """Return the sites whose runs have written a file of shibd, or use it, in order.

    :param configuration: The file.
    :param journal_directory: Directory of the records of all services.
    :returns: Their names.
    """
    entry = Originals(journal_directory, "shibd").entries.get(configuration, {"sites": []})
    staged = Journal(journal_directory, "shibd").changes.get(configuration, [])
    return sorted({*entry["sites"], *(change["site"] for change in staged)})
