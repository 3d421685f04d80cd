# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private authority gives people certificates that strict software accepts, and takes them back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

ROOT = Path(__file__).parents[2]
GRACE = {"id": "ghopper", "name": "Grace Hopper", "email": "grace.hopper@example.org"}
CECILIA = {"id": "cpayne", "name": "Cecilia Payne"}
PLAY = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: campus.flask_sso.private_ca
        tasks_from: "{{ entry_point }}"
"""


class Authority:
    """An authority in a directory of its own."""

    def __init__(self, directory: Path, **variables) -> None:
        self.directory = directory
        self.variables = {
            "flask_sso_artifacts": str(directory),
            "ansible_python_interpreter": sys.executable,
        } | variables
        self.files = directory / "private_ca"
        (directory / "play.yml").write_text(PLAY)
        (directory / "hosts.ini").write_text("localhost ansible_connection=local\n")

    def run(self, entry_point: str, *options: str, **variables) -> str:
        """Run an entry point of the role; return what Ansible said, with the return code as its last word."""
        settings = json.dumps(self.variables | {"entry_point": entry_point} | variables)
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.ini", "play.yml", "-e", settings, *options],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        )
        return f"{done.stdout}{done.stderr} {done.returncode}"

    def have(self, *people: dict) -> str:
        """Have certificates for people."""
        return self.run("people", private_ca_people=people)

    def certificate(self, person: dict) -> x509.Certificate:
        """Return what a person holds."""
        return x509.load_pem_x509_certificate((self.files / "people" / person["id"] / "certificate.pem").read_bytes())

    def verifies(self, person: dict) -> str:
        """Return what OpenSSL says about a person's certificate, as strictly as it can."""
        command = "openssl verify -x509_strict -purpose sslclient -crl_check -CAfile ca.pem -CRLfile crl.pem"
        certificate = f"people/{person['id']}/certificate.pem"
        done = subprocess.run(
            [*command.split(), certificate], check=False, capture_output=True, text=True, cwd=self.files
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    """An authority that has given Grace a certificate."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    said = made.run("people", "--check", private_ca_people=[GRACE])
    assert said.endswith(" 0"), said
    assert not made.files.exists()
    said = made.have(GRACE)
    assert said.endswith(" 0"), said
    return made


def test_certificate_is_a_persons_and_strictly_right(authority):
    certificate = authority.certificate(GRACE)
    assert authority.verifies(GRACE) == "people/ghopper/certificate.pem: OK\n"
    assert certificate.subject.rfc4514_string() == "CN=Grace Hopper"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == [GRACE["email"]]


def test_rsa_will_do_as_well(tmp_path):
    authority = Authority(tmp_path, private_ca_key_type="RSA")
    assert authority.have(GRACE).endswith(" 0")
    assert authority.verifies(GRACE) == "people/ghopper/certificate.pem: OK\n"
    assert authority.certificate(GRACE).public_key().key_size == 3072


def test_second_run_changes_nothing(authority):
    assert "changed=0" in authority.have(GRACE)


def test_browser_gets_key_and_certificate_by_a_passphrase_of_its_own(authority):
    person = authority.files / "people" / GRACE["id"]
    passphrase = (person / "passphrase").read_text().strip()
    key, certificate, _ = pkcs12.load_key_and_certificates((person / "ghopper.p12").read_bytes(), passphrase.encode())
    assert certificate == authority.certificate(GRACE)
    assert key.public_key() == certificate.public_key()
    assert len(passphrase) == 24
    for name in ("key.pem", "passphrase", "ghopper.p12"):
        assert (person / name).stat().st_mode & 0o077 == 0


def test_passphrase_comes_from_the_vault(authority):
    said = authority.run("people", private_ca_people=[CECILIA], private_ca_passphrases={"cpayne": "from the vault"})
    assert said.endswith(" 0"), said
    assert "from the vault" not in said
    person = authority.files / "people" / "cpayne"
    assert pkcs12.load_key_and_certificates((person / "cpayne.p12").read_bytes(), b"from the vault")[0]
    assert not (person / "passphrase").exists()


def test_revoked_certificate_is_refused_and_replaced(authority):
    """Grace loses her computer: the old certificate is worthless, and the next run gives her another key."""
    lost = authority.certificate(GRACE)
    said = authority.run("revoke", private_ca_revoke=["ghopper"])
    assert said.endswith(" 0"), said
    assert "certificate revoked" in authority.verifies(GRACE)
    assert "changed=0" in authority.run("revoke", private_ca_revoke=["ghopper"])
    assert authority.have(GRACE).endswith(" 0")
    new = authority.certificate(GRACE)
    assert new.public_key() != lost.public_key()
    assert authority.verifies(GRACE).endswith("OK\n")
    assert "changed=0" in authority.have(GRACE)


def test_whoever_has_no_certificate_cannot_lose_it(authority):
    said = " ".join(authority.run("revoke", private_ca_revoke=["nobody"]).split())
    assert 'private_ca_revoke names "nobody"' in said
    assert "Write the id of somebody who has one" in said


def test_id_that_is_a_path_is_refused(authority):
    said = " ".join(authority.have(GRACE | {"id": "../ghopper"}).split())
    assert "which files get their names from" in said
    assert not (authority.files / "ghopper").exists()


def test_certificate_near_its_end_is_renewed_with_its_key(authority):
    before = authority.certificate(GRACE)
    said = authority.run("people", private_ca_people=[GRACE], private_ca_renew_days=396)
    assert said.endswith(" 0"), said
    assert authority.certificate(GRACE) == before  # 397 days are still more
    said = authority.run(
        "people", private_ca_people=[GRACE], private_ca_certificate_days=500, private_ca_renew_days=400
    )
    assert said.endswith(" 0"), said
    after = authority.certificate(GRACE)
    assert after.serial_number != before.serial_number
    assert after.public_key() == before.public_key()


def test_list_of_revoked_certificates_gets_a_new_term_in_time(authority):
    def number() -> tuple:
        crl = x509.load_pem_x509_crl((authority.files / "crl.pem").read_bytes())
        return crl.next_update_utc, len(list(crl))

    before = number()
    assert "changed=0" in authority.run("crl")
    assert number() == before
    assert authority.run("crl", private_ca_crl_days=90).endswith(" 0")  # of 90 days, fewer than half are left
    assert number()[0] > before[0]
    assert number()[1] == before[1] == 1
