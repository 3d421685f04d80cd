# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that a host has are kept, and a rotation goes from step to step, each in its order and its time."""

from __future__ import annotations

import os
import shutil
import time
from hashlib import sha256
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret, VaultSecretsContext
from ansible_collections.campus.flask_sso.plugins.filter.key_sets import key_sets
from ansible_collections.campus.flask_sso.plugins.modules import sp_keys

NAMES = ["sp-signing-key.pem", "sp-signing-cert.pem", "sp-encrypt-key.pem", "sp-encrypt-cert.pem"]


class Host:
    """A host below a directory."""

    def __init__(self, root: Path, run_module) -> None:
        self.path, self.application, self.run_module = root / "shibboleth", root / "saml", run_module
        self.keys = self.path / "keys"
        self.path.mkdir()

    def write(self, directory: Path) -> None:
        """Write a set of keys."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (directory / name).write_text(name)

    def link(self, days: float = 0, **targets: str) -> None:
        """Make links, some days ago, and the sets that they lead to."""
        for name, target in targets.items():
            self.write(self.keys / target)
            (self.keys / name).symlink_to(target)
            made = time.time() - days * 86400
            os.utime(self.keys / name, (made, made), follow_symlinks=False)

    def look(self, step: str = "deploy", **options) -> dict:
        """Run the module."""
        paths = {"path": str(self.path), "application": str(self.application)}
        return self.run_module(sp_keys, step=step, names=NAMES, **paths, **options)

    def follow(self, step: str = "deploy", **options) -> dict:
        """Run the module, and do what it says; return that."""
        plan = self.look(step, **options)
        assert plan["faults"] == []
        if plan["new_set"]:
            self.write(Path(plan["new_set"]))
        for file in plan["files"]:
            path = Path(file["path"])
            if file["state"] == "directory":
                path.mkdir(exist_ok=True)
            elif path.is_symlink() and (file["state"] == "absent" or os.readlink(path) != file["target"]):
                path.unlink()
            if file["state"] == "link" and not path.is_symlink():
                path.symlink_to(file["target"])
        for path in plan["retired"]:
            Path(path).unlink(missing_ok=True)
        return plan

    def links(self) -> dict[str, str]:
        """Return where the links lead."""
        return {path.name: os.readlink(path) for path in sorted(self.keys.iterdir()) if path.is_symlink()}


@pytest.fixture
def host(tmp_path, run_module) -> Host:
    """A host without keys."""
    return Host(tmp_path, run_module)


def test_host_without_keys_gets_the_first_set(host):
    plan = host.follow()
    assert (plan["new_set"], plan["sources"], plan["links"]) == (f"{host.keys}/1", [], ["active"])
    assert host.links() == {"active": "1"}
    plan = host.look()
    assert (plan["new_set"], plan["files"], plan["links"], plan["changed"]) == ("", [], ["active"], False)


def test_keys_of_an_application_that_was_its_own_service_provider_are_copied(host):
    host.write(host.application)
    plan = host.look()
    assert plan["new_set"] == f"{host.keys}/1"
    assert plan["sources"] == [f"{host.application}/{name}" for name in NAMES]
    host.follow()
    assert host.look()["sources"] == []


def test_keys_that_a_host_had_before_stay_where_they_are(host):
    host.write(host.path)
    host.write(host.application)
    plan = host.follow()
    assert (plan["new_set"], plan["sources"]) == ("", [])
    assert host.links() == {"active": str(host.path)}


def test_keys_that_are_copied_from_the_controller_take_the_place_of_the_hosts_own(host):
    host.link(active="1", previous="0")
    plan = host.follow(given={"next": "bbb", "active": "aaa"})
    assert plan["new_set"] == ""
    assert plan["links"] == ["active", "next"]
    assert host.links() == {"active": "aaa", "next": "bbb"}


def test_deployment_amid_a_rotation_changes_nothing(host):
    host.link(active="1", next="2")
    plan = host.look()
    assert (plan["new_set"], plan["files"], plan["links"]) == ("", [], ["active", "next"])


@pytest.mark.parametrize(("first", "following"), [("1", "2"), ("9", "10"), ("0a1b2c3d4e5f", "1"), ("", "1")])
def test_rotation_goes_its_way_and_each_step_may_be_repeated(host, first, following):
    """From a set with a number, from one that was copied from the controller, from keys that lie loose."""
    if first:
        host.link(active=first)
    else:
        host.write(host.path)
        host.follow()
        first = str(host.path)
    assert host.follow("publish")["new_set"] == f"{host.keys}/{following}"
    assert host.links() == {"active": first, "next": following}
    assert host.follow("publish")["new_set"] == ""
    for _ in range(2):
        plan = host.follow("switch", days=0)
        assert plan["links"] == ["active", "previous"]
        assert host.links() == {"active": following, "previous": first}
    plan = host.follow("retire", days=0)
    assert plan["retired"] == [f"{(host.keys / first).resolve()}/{name}" for name in NAMES]
    assert host.links() == {"active": following}
    assert sorted(path.name for path in (host.keys / following).iterdir()) == sorted(NAMES)
    assert host.follow("retire")["retired"] == []


def test_interrupted_publishing_is_taken_up_with_the_set_that_it_made(host):
    host.link(active="1")
    host.write(host.keys / "2")
    assert host.look("publish")["new_set"] == f"{host.keys}/2"


def test_rotation_does_not_publish_old_keys_of_the_host(host):
    """Which had its own before keys came from the controller."""
    host.link(active="0a1b2c3d4e5f")
    host.write(host.keys / "1")
    assert host.look("publish")["new_set"] == f"{host.keys}/2"


def test_active_keys_are_not_destroyed_with_the_previous_ones(host):
    host.link(active="1", days=20)
    (host.keys / "previous").symlink_to("1")
    assert host.look("retire", force=True)["retired"] == []


@pytest.mark.parametrize(
    ("links", "step", "words"),
    [
        ({}, "publish", "The host has no keys yet. Run site.yml first."),
        ({}, "switch", "The host has no keys yet. Run site.yml first."),
        ({"active": "2", "previous": "1"}, "publish", 'the rotation before this one is not over. Run it with "retire"'),
        ({"active": "1"}, "switch", 'the host has published no next keys. Run it with "publish" first.'),
        (
            {"active": "1", "next": "2"},
            "retire",
            'the host does not use its next keys yet. Run it with "switch" first.',
        ),
    ],
)
def test_step_out_of_its_order_is_refused_and_needs_nothing(host, links, step, words):
    host.link(**links)
    plan = host.look(step, force=True)
    [fault] = plan["faults"]
    assert words in fault
    assert not any(plan[name] for name in ("new_set", "sources", "files", "links", "retired"))


@pytest.mark.parametrize(("step", "waits_for"), [("switch", "next"), ("retire", "previous")])
@pytest.mark.parametrize(("age", "left"), [(0, 14), (0.5, 14), (1.5, 13), (13.9, 1), (14.1, 0), (400, 0)])
def test_step_before_its_time_is_refused_unless_it_is_forced(host, step, waits_for, age, left):
    host.link(active="1", days=400)
    host.link(days=age, **{waits_for: "2"})
    faults = host.look(step)["faults"]
    assert len(faults) == bool(left)
    assert not left or f'shibboleth_sp_rotation is "{step}", {left} days too early' in faults[0]
    assert host.look(step, days=0)["faults"] == host.look(step, force=True)["faults"] == []


def test_all_faults_are_told_at_once(host):
    host.write(host.keys / "active")
    host.link(next="2", previous="0")
    place, order, early = host.look("retire")["faults"]
    assert place.startswith(f"{host.keys}/active is no link.")
    assert order.startswith('shibboleth_sp_rotation is "retire", but the host does not use its next keys yet.')
    assert "14 days too early" in early


def test_set_on_the_controller_keeps_its_name_in_another_place(tmp_path):
    for place in ("active", "next", "spare"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "sp-signing-cert.pem").write_text(f"{place}\n")
    names = key_sets(str(tmp_path))
    # The names that hosts have their sets by.
    assert names == {"active": "96879611650f", "next": "c6c1c9a9c854"}
    shutil.move(tmp_path / "active", tmp_path / "previous")
    shutil.move(tmp_path / "next", tmp_path / "active")
    assert key_sets(str(tmp_path)) == {"active": names["next"], "previous": names["active"]}


def test_encrypted_certificate_names_the_same_set(tmp_path, monkeypatch):
    (tmp_path / "active").mkdir()
    certificate = tmp_path / "active/sp-signing-cert.pem"
    certificate.write_bytes(b"certificate\n")
    names = key_sets(str(tmp_path))
    secrets = [("default", VaultSecret(b"password"))]
    certificate.write_bytes(VaultLib().encrypt(b"certificate\n", secret=secrets[0][1]))
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets))
    assert key_sets(str(tmp_path)) == names


def test_nothing_is_copied_from_the_controller_without_a_directory():
    assert key_sets("") == {}


def test_the_checksum_of_the_metadata_is_returned(host):
    metadata = host.path / "idp-metadata.xml"
    assert host.look(metadata=str(metadata))["metadata_sha256"] == ""
    metadata.write_text("<a/>")
    assert host.look(metadata=str(metadata))["metadata_sha256"] == sha256(b"<a/>").hexdigest()
