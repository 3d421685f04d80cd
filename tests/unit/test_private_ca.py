# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private authority gives people and hosts certificates that strict software accepts, and takes them back."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

ROOT = Path(__file__).parents[2]
GRACE = {"id": "ghopper", "name": "Grace Hopper", "email": "grace.hopper@example.org"}
CECILIA = {"id": "cpayne", "name": "Cecilia Payne"}
NAMES = ["*.example.org", "example.org", "192.0.2.1", "2001:db8::1"]
LONGER_TERMS = {"private_ca_certificate_days": 1900, "private_ca_intermediate_days": 2000}
PLAY = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: campus.flask_sso.private_ca
        tasks_from: "{{ entry_point }}"
    - ansible.builtin.copy:
        dest: chain.pem
        content: "{{ private_ca_certificate }}"
        mode: "0644"
      when: private_ca_certificate is defined
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
        return self.verify(f"people/{person['id']}/certificate.pem", "sslclient")

    def verify(self, certificate: str, purpose: str, *options: str) -> str:
        """Return what OpenSSL says about a certificate of whose chain it trusts the root alone."""
        command = f"openssl verify -x509_strict -purpose {purpose} -crl_check_all -CAfile ca.pem -CRLfile crl.pem"
        done = subprocess.run(
            [*command.split(), "-untrusted", "authorities.pem", *options, certificate],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.files,
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


@pytest.fixture(scope="module")
def tiers(tmp_path_factory) -> Authority:
    """An authority with an intermediate that has given Grace a certificate, and a wildcard certificate to a host."""
    directory = tmp_path_factory.mktemp("tiers")
    host = {"private_ca_names": NAMES, "private_ca_key_path": str(directory / "host/key.pem")}
    made = Authority(directory, private_ca_intermediate=True, private_ca_people=[GRACE], **host)
    said = [
        made.run(entry_point, *options)
        for options in (["--check"], [])
        for entry_point in ("people", "host_certificate")
    ]
    assert all(text.endswith(" 0") for text in said), said
    return made


def test_intermediate_signs_and_the_root_alone_is_trusted(tiers):
    root, intermediate = (
        x509.load_pem_x509_certificate((tiers.files / name).read_bytes()) for name in ("ca.pem", "intermediate.pem")
    )
    limits = [
        made.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        for made in (root, intermediate)
    ]
    assert limits == [1, 0]
    assert tiers.verifies(GRACE) == "people/ghopper/certificate.pem: OK\n"
    tiers.certificate(GRACE).verify_directly_issued_by(intermediate)
    person = tiers.files / "people/ghopper"
    passphrase = (person / "passphrase").read_bytes().strip()
    packed = pkcs12.load_key_and_certificates((person / "ghopper.p12").read_bytes(), passphrase)
    assert set(packed[2]) == {root, intermediate}


@pytest.mark.parametrize(
    ("option", "name", "verdict"),
    [
        ("-verify_hostname", "www.example.org", "OK"),
        ("-verify_hostname", "example.org", "OK"),
        ("-verify_hostname", "deep.www.example.org", "hostname mismatch"),
        ("-verify_ip", "192.0.2.1", "OK"),
        ("-verify_ip", "2001:db8::1", "OK"),
        ("-verify_ip", "192.0.2.2", "IP address mismatch"),
    ],
)
def test_host_has_the_names_it_asked_for_and_no_other(tiers, option, name, verdict):
    assert verdict in tiers.verify("issued/localhost-_.example.org.pem", "sslserver", option, name)


@pytest.mark.parametrize("visitor", ["shows the whole chain", "shows one certificate"])
def test_strict_server_and_client_believe_each_other(tiers, tmp_path, visitor):
    """The client trusts the root alone; the server, too, where visitors show what it needs."""
    whole = visitor == "shows the whole chain"
    person = tiers.files / "people/ghopper"
    shown = tmp_path / "shown.pem"
    parts = [person / "certificate.pem", *([tiers.files / "intermediate.pem"] if whole else [])]
    shown.write_text("".join(part.read_text() for part in parts))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tiers.directory / "chain.pem", tiers.directory / "host/key.pem")
    server.load_verify_locations(tiers.files / ("ca.pem" if whole else "authorities.pem"))
    server.load_verify_locations(tiers.files / "crl.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_CHAIN
    client = ssl.create_default_context(cafile=tiers.files / "ca.pem")
    client.load_cert_chain(shown, person / "key.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname="www.example.org"), server.wrap_bio(up, down, server_side=True)]
    while ends:
        for end in [*ends]:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                ends.remove(end)


def test_second_run_needs_no_root_key_and_changes_nothing(tiers):
    (tiers.files / "ca.key").rename(tiers.directory / "safe")
    try:
        assert "changed=0" in tiers.run("people")
        assert "changed=0" in tiers.run("host_certificate")
        said = " ".join(tiers.run("main", **LONGER_TERMS).split())
        assert "the root's key, which has to sign it, is not there" in said
    finally:
        (tiers.directory / "safe").rename(tiers.files / "ca.key")


def test_interrupted_run_is_taken_up_with_the_keys_that_are_there(tiers):
    """It had made the intermediate's key and Grace's, and not yet their certificates."""
    keys = [tiers.files / name for name in ("intermediate.key", "people/ghopper/key.pem")]
    before = [key.read_bytes() for key in keys]
    for name in ("intermediate.pem", "ca-crl.pem", "intermediate-crl.pem", "crl.pem", "people/ghopper/certificate.pem"):
        (tiers.files / name).unlink()
    assert tiers.run("people").endswith(" 0")
    assert [key.read_bytes() for key in keys] == before
    assert tiers.verifies(GRACE).endswith("OK\n")


def test_intermediate_is_renewed_with_its_key_before_it_runs_out(tiers):
    """What it signed before holds under the new certificate, whatever kind of key is asked for by now."""
    held, path = tiers.certificate(GRACE), tiers.files / "intermediate.pem"
    before = x509.load_pem_x509_certificate(path.read_bytes())
    assert tiers.run("people", private_ca_key_type="RSA", **LONGER_TERMS).endswith(" 0")
    after = x509.load_pem_x509_certificate(path.read_bytes())
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert after.public_key() == before.public_key()
    assert tiers.certificate(GRACE) == held
    assert tiers.verifies(GRACE).endswith("OK\n")


def test_intermediate_takes_back_what_it_signed(tiers):
    assert tiers.run("revoke", private_ca_revoke=["ghopper"]).endswith(" 0")
    assert "certificate revoked" in tiers.verifies(GRACE)


@pytest.mark.parametrize(
    ("fixture", "wanted", "words"),
    [("authority", True, "was made to sign no other authority"), ("tiers", False, "has an intermediate authority")],
)
def test_authority_stays_what_it_is(request, fixture, wanted, words):
    """Nothing has changed when a run refuses to give it an intermediate, or to do without."""
    made = request.getfixturevalue(fixture)
    before = {path: path.read_bytes() for path in made.files.rglob("*") if path.is_file()}
    said = " ".join(made.run("people", private_ca_people=[GRACE], private_ca_intermediate=wanted).split())
    assert words in said
    assert "changed=0" in said
    assert {path: path.read_bytes() for path in made.files.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"private_ca_intermediate": "yes"}, "Write true or false, without quotes"),
        ({"private_ca_intermediate": True, "private_ca_intermediate_days": 397}, "has to outlast what it signs"),
        ({"private_ca_intermediate": True, "private_ca_days": 1000}, "and the root the intermediate"),
    ],
)
def test_impossible_intermediate_is_refused(tmp_path, variables, words):
    assert words in " ".join(Authority(tmp_path).run("main", **variables).split())
    assert not (tmp_path / "private_ca").exists()
