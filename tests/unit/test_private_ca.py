# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private CA issues certificates to people and hosts that strict software accepts, and revokes them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.people_faults import people_faults
from ansible_collections.campus.flask_sso.plugins.filter.revocation import revocation
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs12

ROOT = Path(__file__).parents[2]
GRACE = {"id": "ghopper", "name": "Grace Hopper", "email": "grace.hopper@example.org"}
CECILIA = {"id": "cpayne", "name": "Cecilia Payne"}
NAMES = ["*.example.org", "example.org", "192.0.2.1", "2001:db8::1"]
LONGER_TERMS = {"private_ca_certificate_days": 1900, "private_ca_intermediate_days": 2000}
#: With what makes the scenarios' runs fast, too.
ENVIRONMENT = {
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "molecule/shared/callback_plugins"),
    "ANSIBLE_CALLBACKS_ENABLED": "campus.flask_sso.no_garbage_collection,controller_cache",
}
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
    """A CA in its own directory."""

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
        """Run an entry point of the role; return Ansible's output, with the return code as its last word."""
        settings = json.dumps(self.variables | {"entry_point": entry_point} | variables)
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.ini", "play.yml", "-e", settings, *options],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=os.environ | ENVIRONMENT,
        )
        return f"{done.stdout}{done.stderr} {done.returncode}"

    def have(self, *people: dict) -> str:
        """Issue certificates to people."""
        return self.run("people", private_ca_people=people)

    def certificate(self, person: dict) -> x509.Certificate:
        """Return a person's certificate."""
        return x509.load_pem_x509_certificate((self.files / "people" / person["id"] / "certificate.pem").read_bytes())

    def revoked(self) -> list[int]:
        """Return the serial numbers on the CRL."""
        return [entry.serial_number for entry in x509.load_pem_x509_crl((self.files / "crl.pem").read_bytes())]

    def verifies(self, person: dict) -> str:
        """Return OpenSSL's verification of a person's certificate, as strict as it can be."""
        return self.verify(f"people/{person['id']}/certificate.pem", "sslclient")

    def verify(self, certificate: str, purpose: str, *options: str) -> str:
        """Return OpenSSL's verification of a certificate if it only trusts the root."""
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
    """A CA that has issued a certificate to Grace."""
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


def test_browser_gets_key_and_certificate_by_a_passphrase_of_its_own(authority):
    person = authority.files / "people" / GRACE["id"]
    passphrase = (person / "passphrase").read_text().strip()
    key, certificate, _ = pkcs12.load_key_and_certificates((person / "ghopper.p12").read_bytes(), passphrase.encode())
    assert certificate == authority.certificate(GRACE)
    assert key.public_key() == certificate.public_key()
    assert len(passphrase) == 24
    for name in ("key.pem", "passphrase", "ghopper.p12"):
        assert (person / name).stat().st_mode & 0o077 == 0


def test_file_for_a_browser_is_encrypted_so_that_systems_in_use_can_read_it(authority):
    """See pyca/cryptography#7293: stronger encryption keeps people with an older macOS or Android out."""
    person = authority.files / "people" / GRACE["id"]
    command = f"openssl pkcs12 -info -noout -in {person}/ghopper.p12 -passin file:{person}/passphrase"
    said = subprocess.run(command.split(), check=True, capture_output=True, text=True).stderr
    assert "MAC: sha1" in said
    kinds = [line.partition(": ")[2] for line in said.splitlines() if line.startswith(("PKCS7 Enc", "Shrouded"))]
    assert kinds == ["pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 50000"] * 2


def test_passphrase_comes_from_the_vault(authority):
    said = authority.run("people", private_ca_people=[CECILIA], private_ca_passphrases={"cpayne": "from the vault"})
    assert said.endswith(" 0"), said
    assert "from the vault" not in said
    person = authority.files / "people" / "cpayne"
    assert pkcs12.load_key_and_certificates((person / "cpayne.p12").read_bytes(), b"from the vault")[0]
    assert not (person / "passphrase").exists()


def test_revoked_certificate_is_refused_and_replaced(authority):
    """Grace loses her computer: the old certificate is refused, and the next run issues another one for a new key."""
    lost = authority.certificate(GRACE)
    shutil.rmtree(authority.files / "people/ghopper/issued")  # as if it were older than the record
    said = authority.run("revoke", private_ca_revoke=["ghopper"])
    assert said.endswith(" 0"), said
    assert "certificate revoked" in authority.verifies(GRACE)
    assert "changed=0" in authority.run("revoke", private_ca_revoke=["ghopper"])
    assert authority.have(GRACE).endswith(" 0")
    new = authority.certificate(GRACE)
    assert new.public_key() != lost.public_key()
    assert authority.verifies(GRACE).endswith("OK\n")
    said = authority.have(GRACE)
    assert "changed=0" in said
    assert "issue_person.yml" not in said  # nothing of it is looked at again


def test_lost_crl_is_recreated_with_all_serial_numbers(authority):
    """CRL and record replace each other; without either, no revoked certificate is silently accepted again."""
    crl, record = authority.files / "crl.pem", authority.files / "revoked.txt"
    before = authority.revoked(), record.read_text()
    assert before[0] == [int(before[1], 16)]
    for lost in (crl, record):
        lost.unlink()
        assert authority.run("crl").endswith(" 0")
        assert (authority.revoked(), record.read_text()) == before
        assert "changed=0" in authority.run("crl")
    crl.rename(authority.directory / "backup")
    record.unlink()
    said = " ".join(authority.run("crl").split())
    (authority.directory / "backup").rename(crl)
    assert "Restore one of them from a backup" in said
    assert authority.run("crl").endswith(" 0")
    assert (authority.revoked(), record.read_text()) == before


def test_every_certificate_that_a_person_has_had_is_revoked(tmp_path):
    """Another name or address makes another certificate for the same key; the first is older than the record."""
    authority, held = Authority(tmp_path), []
    person = GRACE | {"id": "19061209"}
    path = authority.files / "people/19061209"
    for change in ({}, {"name": "Grace Brewster Hopper"}, {"email": "hopper@example.org"}):
        assert authority.have(person | change).endswith(" 0")
        held.append(authority.certificate(person))
        if len(held) == 1:
            shutil.rmtree(path / "issued")
    assert held[0].public_key() == held[1].public_key() == held[2].public_key()
    files = (path / "issued").iterdir()
    on_record = {int(file.stem, 16): x509.load_pem_x509_certificate(file.read_bytes()) for file in files}
    assert on_record == {certificate.serial_number: certificate for certificate in held}
    (path / "certificate.pem").unlink()  # as if the run that replaces it had been interrupted
    assert authority.run("revoke", private_ca_revoke=["19061209"]).endswith(" 0")
    assert sorted(authority.revoked()) == sorted(certificate.serial_number for certificate in held)


def test_serial_number_is_hexadecimal_as_it_is_printed_everywhere(authority):
    before = authority.revoked()
    forms = ["0A1B2C3D4E5F60718293", "0a:1b:2c:3d:4e:5f:60:71:82:93"]
    assert revocation(forms, str(authority.files / "people")) == {"serials": [0x0A1B2C3D4E5F60718293] * 2, "faults": []}
    assert authority.run("revoke", private_ca_revoke=forms).endswith(" 0")
    assert authority.revoked() == [*before, 0x0A1B2C3D4E5F60718293]
    assert "changed=0" in authority.run("revoke", private_ca_revoke=forms[1:])
    assert authority.verifies(GRACE).endswith("OK\n")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ([], "is empty"),
        ("ghopper", "is not a list"),
        (["ghopper", "unknown"], 'has "unknown"'),
        (["ada"], "a serial number of 16 digits or more"),
        ([20251234567890123456], "in quotes"),
        (["*"], 'has "*"'),
        (["../people/ghopper"], "the id of a person who has one"),
    ],
)
def test_person_without_a_certificate_cannot_be_revoked(authority, named, words):
    [fault] = revocation(named, str(authority.files / "people"))["faults"]
    assert words in fault


def test_nothing_is_revoked_if_one_of_several_has_no_certificate(authority):
    """All of them are named at once, and what else is wrong with the CA."""
    before = authority.revoked()
    named = ["ghopper", "unknown", "ada", 20251234567890123456]
    said = " ".join(authority.run("revoke", private_ca_revoke=named, private_ca_crl_days=0).split())
    assert "4 faults" in said
    assert all(words in said for words in ('has "unknown"', 'has "ada"', "in quotes", "private_ca_crl_days is 0"))
    assert said.endswith(" 2")
    assert authority.revoked() == before


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ({"id": "../ghopper"}, "which files get their names from"),
        ({"id": "ghopper\n"}, "which files get their names from"),
        ({"id": "Ghopper"}, "of lower-case letters"),
        ({"id": "someone", "name": "é" * 33}, "a name of at most 64 bytes"),
        ({"id": "someone", "name": " "}, "a name of at most 64 bytes"),
        ({"id": "someone", "email": "hopper@exämple.org"}, "an email address in ASCII"),
        ({"name": "Another"}, "more than once: ghopper"),
        ({"id": "someone", "name": "grace hopper"}, "more than once: grace hopper"),
    ],
)
def test_people_who_cannot_get_certificates_are_refused(person, words):
    assert words in " ".join(people_faults([GRACE, {"id": "ghopper", "name": "Another"} | person]))


def test_people_of_all_kinds_get_certificates():
    others = [
        {"id": "0", "name": "é" * 32},
        {"id": "a.b_c-d", "name": "X", "email": ""},
        {"id": "y", "name": "Y", "email": None},
    ]
    assert people_faults([GRACE, CECILIA, *others]) == []


def test_all_faults_of_people_and_terms_are_told_before_anything_is_made(tmp_path):
    authority = Authority(tmp_path, private_ca_crl_days=0, private_ca_days=397)
    said = " ".join(authority.have(GRACE, {"id": "../x", "name": "Grace Hopper"}).split())
    assert "4 faults" in said
    assert all(
        words in said
        for words in ("../x", "more than once: grace hopper", "private_ca_crl_days is 0", "has to be valid longer")
    )
    assert not authority.files.exists()


def test_playbook_that_collects_faults_goes_on_without_certificates(tmp_path):
    """It fails with those of all roles."""
    made = Authority(tmp_path)
    said = made.run("people", private_ca_people=[{"id": "../x", "name": "X"}], flask_sso_collect_faults=True)
    assert said.endswith(" 0"), said
    assert not made.files.exists()


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


def test_crl_is_renewed_in_time(authority):
    def number() -> tuple:
        crl = x509.load_pem_x509_crl((authority.files / "crl.pem").read_bytes())
        return crl.next_update_utc, [(entry.serial_number, entry.revocation_date_utc) for entry in crl]

    before = number()
    assert "changed=0" in authority.run("crl")
    assert number() == before
    assert authority.run("crl", private_ca_crl_days=90).endswith(" 0")  # of 90 days, fewer than half are left
    assert number()[0] > before[0]
    assert number()[1] == before[1] != []


def test_second_run_changes_nothing_and_the_authority_keeps_its_name(authority):
    """With another name in the CRL or in a certificate, servers would refuse all certificates."""
    said = authority.run("people", private_ca_people=[GRACE], private_ca_common_name="Another name")
    assert "changed=0" in said
    assert authority.verifies(GRACE).endswith("OK\n")


def test_ca_signs_nothing_that_is_valid_longer(authority):
    said = " ".join(authority.run("people", private_ca_days=4000, private_ca_certificate_days=3660).split())
    assert "expires before what it is about to sign" in said
    assert "Write fewer days" in said


@pytest.fixture(scope="module")
def tiers(tmp_path_factory) -> Authority:
    """A CA with an intermediate that has issued a certificate to Grace, and a wildcard certificate to a host."""
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


def test_nothing_is_refused_by_a_clock_that_is_behind(tiers):
    begins = [
        x509.load_pem_x509_certificate(path.read_bytes()).not_valid_before_utc
        for path in [*tiers.files.glob("*[!l].pem"), *tiers.files.glob("*/*.pem"), *tiers.files.glob("people/*/cert*")]
        if "authorities" not in path.name
    ]
    begins += [x509.load_pem_x509_crl(path.read_bytes()).last_update_utc for path in tiers.files.glob("*crl.pem")]
    assert len(begins) == 7
    assert max(begins) < datetime.now(UTC) - timedelta(minutes=59)


def test_directory_of_a_hosts_key_is_closed_if_it_is_made(tiers, tmp_path):
    """One that is there stays as open as it is: it may be /etc."""
    (tmp_path / "there").mkdir(mode=0o755)
    for name, mode in {"there": 0o755, "made": 0o700}.items():
        host = {"private_ca_names": [f"{name}.example.org"], "private_ca_key_path": f"{tmp_path}/{name}/key.pem"}
        said = tiers.run("host_certificate", **host)
        assert said.endswith(" 0"), said
        assert (tmp_path / name).stat().st_mode & 0o777 == mode


def test_interrupted_host_gets_a_certificate_for_the_key_that_it_has(tiers):
    """An earlier run had created a new key, but not yet the certificate."""
    key, chain = tiers.directory / "host/key.pem", tiers.directory / "chain.pem"
    shutil.copy(tiers.files / "people/ghopper/key.pem", key)
    assert tiers.run("host_certificate").endswith(" 0")
    certified = x509.load_pem_x509_certificate(chain.read_bytes()).public_key()
    assert certified == tiers.certificate(GRACE).public_key()
    known = certified.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    said = tiers.run("host_certificate", private_ca_public_key=known)
    assert "changed=0" in said


@pytest.mark.parametrize("visitor", ["shows the whole chain", "shows one certificate"])
def test_strict_server_and_client_accept_each_other(tiers, tmp_path, visitor):
    """The client trusts only the root; the server, too, if visitors send the intermediate."""
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
        assert "the root's key, which has to sign it, is missing" in said
    finally:
        (tiers.directory / "safe").rename(tiers.files / "ca.key")


def test_interrupted_run_is_completed_with_the_existing_keys(tiers):
    """It had created the intermediate's key and Grace's, but not yet their certificates."""
    keys = [tiers.files / name for name in ("intermediate.key", "people/ghopper/key.pem")]
    before = [key.read_bytes() for key in keys]
    for name in ("intermediate.pem", "ca-crl.pem", "intermediate-crl.pem", "crl.pem", "people/ghopper/certificate.pem"):
        (tiers.files / name).unlink()
    assert tiers.run("people").endswith(" 0")
    assert [key.read_bytes() for key in keys] == before
    assert tiers.verifies(GRACE).endswith("OK\n")


def test_intermediate_is_renewed_with_its_key_before_it_expires(tiers):
    """Certificates that it signed stay valid, even if another type of key or another name is set by now."""
    held, path = tiers.certificate(GRACE), tiers.files / "intermediate.pem"
    before = x509.load_pem_x509_certificate(path.read_bytes())
    wanted = {"private_ca_key_type": "RSA", "private_ca_common_name": "Another name"}
    assert tiers.run("people", **wanted, **LONGER_TERMS).endswith(" 0")
    after = x509.load_pem_x509_certificate(path.read_bytes())
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert after.public_key() == before.public_key()
    assert tiers.certificate(GRACE) == held
    assert tiers.verifies(GRACE).endswith("OK\n")


def test_intermediate_revokes_what_it_signed(tiers):
    """Without its CRL, too: that is re-created."""
    assert tiers.run("revoke", private_ca_revoke=["ghopper"]).endswith(" 0")
    assert "certificate revoked" in tiers.verifies(GRACE)
    for name in ("intermediate-crl.pem", "crl.pem"):
        (tiers.files / name).unlink()
    assert tiers.run("crl").endswith(" 0")
    assert "certificate revoked" in tiers.verifies(GRACE)


@pytest.mark.parametrize(
    ("fixture", "wanted", "words"),
    [
        ("authority", True, "was created without permission to sign another CA"),
        ("tiers", False, "has an intermediate CA"),
    ],
)
def test_type_of_a_ca_cannot_be_changed(request, fixture, wanted, words):
    """A run that refuses to add or remove an intermediate changes nothing."""
    made = request.getfixturevalue(fixture)
    before = {path: path.read_bytes() for path in made.files.rglob("*") if path.is_file()}
    said = " ".join(made.run("people", private_ca_people=[GRACE], private_ca_intermediate=wanted).split())
    assert words in said
    assert "changed=0" in said
    assert {path: path.read_bytes() for path in made.files.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"private_ca_intermediate": "yes", "private_ca_crl_days": 0, "private_ca_certificate_days": "397"},
            ["Write true or false, without quotes", "private_ca_crl_days is 0", "at least 1, without quotes"],
        ),
        (
            {"private_ca_intermediate": True, "private_ca_intermediate_days": 397},
            ["has to be valid longer than what it signs"],
        ),
        ({"private_ca_intermediate": True, "private_ca_days": 1000}, ["and the root longer than the intermediate"]),
        ({"private_ca_days": 397}, ["has to be valid longer than what it signs"]),
    ],
)
def test_impossible_terms_are_refused(tmp_path, variables, words):
    said = " ".join(Authority(tmp_path).run("main", **variables).split())
    assert all(fault in said for fault in words)
    assert not (tmp_path / "private_ca").exists()


def on_host(authority: Authority, *names: str) -> dict[str, str]:
    """Return the variable with what a host has of a CA."""
    return {"private_ca_host_certificates": "".join((authority.directory / name).read_text() for name in names)}


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("has", ["chain.pem", "private_ca/authorities.pem"])
def test_ca_of_a_host_is_not_replaced_by_accident(tiers, tmp_path, has, there):
    """The controller has lost the CA, or has that of a colleague."""
    assert tiers.run("host_certificate").endswith(" 0")
    other = Authority(tmp_path, private_ca_people=[GRACE])
    if there:
        assert other.run("main").endswith(" 0")
    before = sorted(tmp_path.rglob("*"))
    said = " ".join(other.run("people", **on_host(tiers, has)).split())
    assert 'localhost has certificates of the CA "campus.flask_sso private CA" with the key' in said
    assert f'private_ca_directory ("{other.files}") has {"one with the key" if there else "no CA"}' in said
    assert f"all clients then have to trust {'this' if there else 'a new'} CA" in said
    assert said.endswith(" 2")
    assert sorted(tmp_path.rglob("*")) == before
    assert other.run("people", private_ca_replace="true", **on_host(tiers, has)).endswith(" 0")
    assert (other.files / "people/ghopper/certificate.pem").exists()


@pytest.mark.parametrize("has", ["chain.pem", "private_ca/authorities.pem", "private_ca/ca.pem", "hosts.ini"])
def test_hosts_own_ca_goes_on(tiers, has):
    assert tiers.run("host_certificate").endswith(" 0")
    said = tiers.run("main", **on_host(tiers, has))
    assert "changed=0" in said
    assert said.endswith(" 0")


def test_nothing_is_revoked_without_a_ca(tmp_path):
    """A new CA would have a list without the certificate that is to be revoked."""
    other = Authority(tmp_path)
    said = " ".join(other.run("revoke", private_ca_revoke=["0123456789ABCDEF0123"]).split())
    assert "has no CA whose certificates could be revoked" in said
    assert said.endswith(" 2")
    assert not other.files.exists()


def test_new_host_does_not_get_the_ca_that_another_one_refuses(tiers, tmp_path):
    """Both are in one run of a controller without the CA's directory."""
    assert tiers.run("host_certificate").endswith(" 0")
    other = Authority(tmp_path, private_ca_people=[GRACE])
    hosts = {name: {"ansible_connection": "local"} for name in ("former", "new")}
    hosts["former"] |= on_host(tiers, "chain.pem")
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    (tmp_path / "play.yml").write_text(PLAY.replace("hosts: localhost", "hosts: all"))
    said = other.run("people", "-i", "hosts.yml", "--limit", "former,new")
    assert 'former has certificates of the CA "campus.flask_sso private CA"' in " ".join(said.split())
    assert not other.files.exists()
    key = {"private_ca_names": ["www.example.org"], "private_ca_key_path": f"{tmp_path}/key.pem"}
    said = " ".join(other.run("host_certificate", "-i", "hosts.yml", "--limit", "former,new", **key).split())
    assert "former has certificates of the CA" in said
    assert not other.files.exists()
