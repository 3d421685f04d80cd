# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys with which the hosts of a cluster recover each other's sessions."""

from __future__ import annotations

import base64
import datetime as dt
import getpass
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import untrusted_roles
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from lxml import etree

SP = "{urn:mace:shibboleth:3.0:native:sp:config}"
SECRET, OTHER = (base64.b64encode(byte * 32).decode() for byte in (b"a", b"b"))
TODAY = dt.date(2027, 1, 1)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """A site of which nothing is wrong."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("controller"))


@pytest.fixture
def keys(site: untrusted_roles.Site, tmp_path: Path) -> Callable[..., list[tuple[str, bytes]]]:
    """Return a function that has a host derive the keys of a day, and returns their names and the keys, in order."""
    command, secrets, path = tmp_path / "keys.py", tmp_path / "secrets", tmp_path / "run" / "sealer.keys"

    def derive(today: dt.date, *lines: str, **variables: int) -> list[tuple[str, bytes]]:
        secrets.write_text("".join(f"{line}\n" for line in lines))
        places = {
            "shibboleth_sp__sealer_secrets_path": str(secrets),
            "shibboleth_sp__sealer_keys_path": str(path),
            "shibboleth_sp__platform": {"user": getpass.getuser()},
        }
        command.write_text(site.made("shibboleth_sp", "sealer_keys.py.j2", places | variables))
        path.parent.mkdir(exist_ok=True)
        write = f"import datetime, runpy; runpy.run_path({str(command)!r})['write']({today!r})"
        subprocess.run([sys.executable, "-c", write], check=True)
        assert path.stat().st_mode & 0o777 == 0o400
        assert os.listdir(path.parent) == [path.name]
        found = [line.split(":") for line in path.read_text().splitlines()]
        return [(name, base64.b64decode(key, validate=True)) for name, key in found]

    return derive


@pytest.mark.parametrize("is_cluster", [True, False])
def test_sessions_are_recovered_if_there_is_a_secret(site, is_cluster):
    variables = {"shibboleth_sp_sealer_file": "/secret" if is_cluster else ""}
    root = etree.fromstring(site.made("shibboleth_sp", "shibboleth2.xml.j2", variables).encode())
    cache = root.find(f"{SP}SessionCache")
    sealers = [element.get("path") for element in root.iter(f"{SP}DataSealer")]
    assert sealers == ["/run/shibboleth/sealer.keys"] * is_cluster
    # Any node can end a login, so where it goes on is with the visitor.
    assert root.find(f".//{SP}Sessions").get("relayState") == ("cookie" if is_cluster else "ss:mem")
    ids = site.made("shibboleth_sp", "saml_sp_part.attribute_ids", {})
    assert ids
    assert cache.get("persistedAttributes", "").split() == (ids if is_cluster else [])
    # Further sites write the unit's own drop-in, too, and have no secret.
    unit = site.made("shibboleth_sp", "shibd.service.j2", variables)
    assert unit == site.made("shibboleth_sp", "shibd.service.j2", {})


def test_key_of_a_day_is_derived_by_hkdf(keys):
    name, key = keys(TODAY, SECRET)[-1]
    assert re.fullmatch("20270101-[0-9a-f]{8}", name)
    assert key == HKDFExpand(hashes.SHA256(), 32, b"key 20270101").derive(base64.b64decode(SECRET))


def test_today_encrypts_and_the_days_around_it_decrypt(keys):
    """Also those of another node, where it is still yesterday, or already tomorrow."""
    yesterday, today, tomorrow = (keys(TODAY + dt.timedelta(days), SECRET) for days in (-1, 0, 1))
    for one, other in ((yesterday, today), (today, yesterday), (today, tomorrow), (tomorrow, today)):
        assert one[-1] in other
        assert one[-1] != other[-1]
    assert len({key for _, key in today}) == len(today) == 15


@pytest.mark.parametrize(("lifetime", "days"), [(28800, 13), (20 * 86400, 21)])
def test_key_decrypts_as_long_as_a_session_lasts(keys, lifetime, days):
    found = keys(TODAY, SECRET, saml_sp_session_lifetime=lifetime)
    for age, is_known in ((days, True), (days + 1, False)):
        assert (keys(TODAY - dt.timedelta(age), SECRET)[-1] in found) is is_known


def test_last_secret_encrypts_and_the_others_decrypt(keys):
    before, during, after = keys(TODAY, SECRET), keys(TODAY, OTHER, SECRET), keys(TODAY, SECRET, OTHER)
    assert before[-1] == during[-1]
    assert after[-1] == keys(TODAY, OTHER)[-1] != before[-1]
    assert set(during) == set(after) > set(before)
    assert len({name for name, _ in after}) == len(after)


@pytest.mark.parametrize(
    ("lines", "is_refused"),
    [
        ([SECRET], False),
        ([SECRET, OTHER], False),
        ([], True),
        ([""], True),
        (["A" * 22 + "=="], True),
        ([f"1:{SECRET}"], True),
        ([SECRET[:-1]], True),
        ([SECRET + " x"], True),
    ],
)
def test_file_without_a_secret_is_refused_and_never_shown(site, tmp_path, lines, is_refused):
    path = tmp_path / "sealer.secret"
    path.write_text("".join(f"{line}\n" for line in lines))
    faults = site.faults("shibboleth_sp", {"shibboleth_sp_sealer_file": str(path)})
    assert bool(faults) is is_refused
    assert all("shibboleth_sp_sealer_file" in fault and SECRET[:9] not in fault for fault in faults)


def test_further_site_is_told_that_the_first_one_has_the_secret(site, tmp_path):
    path = tmp_path / "sealer.secret"
    path.write_text(f"{SECRET}\n")
    place = {"home": "/etc/shibboleth/sites/b", "further": True, "first": "a", "others": ["a"], "services": {}}
    variables = {"shibboleth_sp_sealer_file": str(path), "shibboleth_sp__place": place}
    assert any("has one set of secrets, that of a." in fault for fault in site.faults("shibboleth_sp", variables))
