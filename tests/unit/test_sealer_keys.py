# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys with which the hosts of a cluster recover each other's sessions."""

import hostile_roles
import pytest
from lxml import etree

SP = "{urn:mace:shibboleth:3.0:native:sp:config}"
SHORT, LONG = "1:" + "A" * 22 + "==", "22:" + "b" * 43 + "="


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> hostile_roles.Site:
    """A site of which nothing is wrong."""
    return hostile_roles.Site(tmp_path_factory.mktemp("controller"))


@pytest.mark.parametrize("is_cluster", [True, False])
def test_sessions_are_recovered_if_there_are_keys(site, is_cluster):
    variables = {"shibboleth_sp_sealer_file": "/keys" if is_cluster else ""}
    root = etree.fromstring(site.made("shibboleth_sp", "shibboleth2.xml.j2", variables).encode())
    cache = root.find(f"{SP}SessionCache")
    assert [element.get("path") for element in root.iter(f"{SP}DataSealer")] == ["sealer.keys"] * is_cluster
    # Any node can end a login, so where it goes on is with the visitor.
    assert root.find(f".//{SP}Sessions").get("relayState") == ("cookie" if is_cluster else "ss:mem")
    ids = site.made("shibboleth_sp", "saml_sp_part.attribute_ids", {})
    assert ids
    assert cache.get("persistedAttributes", "").split() == (ids if is_cluster else [])


@pytest.mark.parametrize(
    ("lines", "is_refused"),
    [
        ([SHORT], False),
        ([SHORT, LONG], False),
        ([], True),
        ([""], True),
        (["A" * 22 + "=="], True),
        ([SHORT[:-1]], True),
        ([SHORT + " x"], True),
    ],
)
def test_file_without_keys_is_refused_and_never_shown(site, tmp_path, lines, is_refused):
    path = tmp_path / "sealer.keys"
    path.write_text("".join(f"{line}\n" for line in lines))
    faults = site.faults("shibboleth_sp", {"shibboleth_sp_sealer_file": str(path)})
    assert bool(faults) is is_refused
    assert all("shibboleth_sp_sealer_file" in fault and "AAAA" not in fault for fault in faults)


def test_further_site_is_told_that_the_first_one_has_the_keys(site, tmp_path):
    path = tmp_path / "sealer.keys"
    path.write_text(f"{SHORT}\n")
    place = {"home": "/etc/shibboleth/sites/b", "further": True, "first": "a", "others": ["a"], "services": {}}
    variables = {"shibboleth_sp_sealer_file": str(path), "shibboleth_sp__place": place}
    assert any("has one set of keys, that of a." in fault for fault in site.faults("shibboleth_sp", variables))
