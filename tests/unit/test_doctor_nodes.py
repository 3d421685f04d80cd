# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor finds what the nodes of a cluster do not agree on, and shows no secret of theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.node_differences import node_differences
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor import nodes
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.host import Output, Response
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.site import Site
from doctor_hosts import IDP_METADATA, SITE, SP_METADATA, FakeHost

CERTIFICATE = "<KeyDescriptor><X509Certificate>MIIC\n  abc</X509Certificate></KeyDescriptor>"
DIRECTORY = "systemctl show --property=WorkingDirectory --value app.service"
KEYS = "/run/shibboleth/sealer.keys"
RELEASE = "readlink --canonicalize /srv/app/current/app"


def node() -> FakeHost:
    """Return a healthy node."""
    host = FakeHost()
    host.commands[DIRECTORY] = Output(0, "/srv/app/current/app\n")
    host.commands[RELEASE] = Output(0, "/srv/app/releases/0b5e41c1a9d2/app\n")
    return host


def other_own_key(host: FakeHost) -> None:
    """Have a node publish another key."""
    text = SP_METADATA.replace("<SPSSODescriptor>", f"<SPSSODescriptor>{CERTIFICATE}")
    host.answers[f"{SITE}Shibboleth.sso/Metadata"] = Response(200, {}, text)


def other_provider_key(host: FakeHost) -> None:
    """Have a node with earlier metadata of the identity provider."""
    host.files["/etc/shibboleth/idp-metadata.xml"] = IDP_METADATA.replace("<KeyDescriptor/>", CERTIFICATE)


def other_secret(host: FakeHost) -> None:
    """Have a node derive the keys of the cookie from another secret."""
    host.files[KEYS] = host.files[KEYS].replace("01ab23cd", "ffffffff")


def other_release(host: FakeHost) -> None:
    """Have a node with another release."""
    host.commands[RELEASE] = Output(0, "/srv/app/releases/77777777/app\n")


def described(clock: float = 0.5, change: Callable[[FakeHost], None] | None = None) -> dict:
    """Return what the module does of a node."""
    host = node()
    if change:
        change(host)
    return {"clock": clock, "has": nodes.described(Site(host))}


def test_nodes_that_agree():
    assert sorted(described()["has"]) == [
        "keys of the identity provider https://idp.example.org/idp",
        "keys of the service provider app.example.org",
        "release of app",
        "secrets of the cookie with a session",
    ]
    assert "KEY" not in str(described())
    assert node_differences({"web1": described(), "web2": described(2.5)}) == []
    assert node_differences({}) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (other_own_key, "keys of the service provider app.example.org"),
        (other_provider_key, "keys of the identity provider https://idp.example.org/idp"),
        (other_secret, "secrets of the cookie with a session"),
        (other_release, "release of app"),
    ],
)
def test_node_that_differs(change, name):
    (said,) = node_differences({"web1": described(), "web2": described(change=change), "web3": described()})
    assert said.startswith(f"The nodes do not have the same {name}: ")
    assert " on web1 and web3, " in said
    assert said.endswith(" on web2. Run site.yml for all of them.")


def test_node_that_is_in_trouble_has_less_to_compare():
    host = node()
    host.answers.clear()
    assert [name.partition(" https://")[0] for name in nodes.described(Site(host))] == [
        "secrets of the cookie with a session",
        "keys of the identity provider",
        "release of app",
    ]


def test_clock():
    (said,) = node_differences({"web1": described(-40), "web2": described(1)})
    assert said.startswith("The clock of web2 is 41 seconds ahead of that of web1")
