# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a cluster have to agree on, as far as each of them shows it."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from .checks.application import services
from .checks.shibboleth import metadata, named
from .model import UnseenError
from .site import Site


def described(site: Site) -> dict[str, str]:
    """Describe a node.

    :param site: The node.
    :returns: What it has, and a value that is the same on all nodes of a healthy cluster. No value is secret.
    """
    found: dict[str, str] = {}
    for look in (own_keys, sealer, providers, releases):
        try:
            found.update(look(site))
        except (UnseenError, OSError, ET.ParseError):
            continue  # a check says why
    return found


def digest(texts: list[str]) -> str:
    """Return a short value that is the same for the same texts in any order."""
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:12]


def keys(root: ET.Element) -> str:
    """Return the digest of the certificates in metadata."""
    return digest(["".join((each.text or "").split()) for each in named(root, "X509Certificate")])


def own_keys(site: Site) -> Iterator[tuple[str, str]]:
    """Yield the keys that the service provider publishes."""
    if site.has_shibboleth:
        for each in site.sites:
            answer = site.host.request(f"{each.url}Shibboleth.sso/Metadata", each.address)
            yield f"keys of the service provider {each.name}", keys(ET.fromstring(answer.body))  # noqa: S314 (its own)


def sealer(site: Site) -> Iterator[tuple[str, str]]:
    """Yield what the keys of the cookie with a session are derived from, by names that are readable in cookies."""
    if site.has_shibboleth:
        names = re.findall(r"^[0-9]+-([0-9a-f]+):", site.host.read("/run/shibboleth/sealer.keys"), re.MULTILINE)
        yield "secrets of the cookie with a session", digest(sorted(set(names)))


def providers(site: Site) -> Iterator[tuple[str, str]]:
    """Yield the keys of each identity provider; a federation's metadata may be newer on one node than on another."""
    for _configuration, documents in metadata(site):
        for document in documents.values():
            if name := document.get("entityID"):
                yield f"keys of the identity provider {name}", keys(document)


def releases(site: Site) -> Iterator[tuple[str, str]]:
    """Yield the current release of each server of an application that has a unit and a socket of its own."""
    for unit in services(site):
        shown = site.host.run("systemctl", "show", "--property=WorkingDirectory", "--value", unit.name).text.strip()
        found = re.search(r"/releases/([^/]+)", site.host.run("readlink", "--canonicalize", shown).text)
        if found:
            yield f"release of {unit.name.partition('.')[0]}", found[1]
