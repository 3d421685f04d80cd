# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CAs and CRLs with which a server would refuse valid certificates are found before the server gets them."""

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.ca_faults import ca_faults
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "second", "stranger")}


def name(text: str) -> x509.Name:
    """Return the distinguished name of a CA."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def ca(subject: str, issuer: str = "root") -> bytes:
    """Return the certificate of a CA as PEM."""
    key, number = KEYS[subject].public_key(), x509.random_serial_number()
    builder = x509.CertificateBuilder(name(issuer), name(subject), key, number, NOW, NOW + DAY)
    return builder.sign(KEYS[issuer], SHA256()).public_bytes(Encoding.PEM)


def revoked(issuer: str, begins: timedelta = -DAY, ends: timedelta = DAY, key: str = "") -> bytes:
    """Return the CRL of a CA as PEM, by default valid and signed with the CA's key."""
    builder = x509.CertificateRevocationListBuilder(name(issuer), NOW + begins, NOW + ends)
    return builder.sign(KEYS[key or issuer], SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def faults(tmp_path):
    """Return a function that finds the faults of a file with CAs and of one with CRLs."""
    files = tmp_path / "ca.pem", tmp_path / "crl.pem"

    def find(cas: bytes, crls: bytes) -> list[str]:
        files[0].write_bytes(cas)
        files[1].write_bytes(crls)
        return ca_faults(str(files[0]), str(files[1]))

    return find


BOTH = ca("root") + ca("second")
PARSED = x509.load_pem_x509_certificate(ca("root"))
PRIVATE = KEYS["root"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
STALE = {"begins": -2 * DAY, "ends": -DAY}


@pytest.mark.parametrize(
    ("cas", "crls"),
    [
        (ca("root"), revoked("root")),
        (BOTH, revoked("second") + b"# a remark\n" + revoked("root")),
        (BOTH, revoked("root", **STALE) + revoked("root") + revoked("second")),
        (ca("root"), revoked("root") + revoked("stranger", **STALE)),
    ],
)
def test_one_valid_crl_for_each_ca_is_enough(faults, cas, crls):
    assert faults(cas, crls) == []


@pytest.mark.parametrize(
    ("cas", "crls", "said"),
    [
        (BOTH, revoked("root"), ["has no CRL of CN=second."]),
        (BOTH, revoked("second") + revoked("root", **STALE), ["the CRL of CN=root expired on"]),
        (
            BOTH,
            revoked("root") + revoked("second", begins=DAY, ends=2 * DAY),
            ["the CRL of CN=second is not valid before"],
        ),
        (ca("root"), revoked("root", key="stranger"), ["has no CRL of CN=root."]),
        (BOTH, revoked("stranger"), ["has no CRL of CN=root.", "has no CRL of CN=second."]),
        (BOTH, b"", ["contains no CRL as PEM"]),
        (BOTH, ca("root"), ["contains no CRL as PEM"]),
        (BOTH, revoked("root").replace(b"M", b"N"), ["contains no CRL as PEM"]),
        (revoked("root"), revoked("root"), ["holds no certificate"]),
        (b"\x30\x82", revoked("root"), ["holds no certificate"]),
        (ca("root")[:-9], revoked("root"), ["does not end"]),
        (PARSED.public_bytes(Encoding.DER), revoked("root"), ["but not as PEM"]),
        (pkcs7.serialize_certificates([PARSED], Encoding.PEM), revoked("root"), ["but not as PEM"]),
        (ca("root").decode().encode("utf-16"), revoked("root"), ["but not as PEM"]),
        (BOTH + PRIVATE, revoked("root") + revoked("second"), ["holds a private key"]),
    ],
)
def test_fault_for_which_valid_certificates_would_be_refused_is_named(faults, tmp_path, cas, crls, said):
    found = faults(cas, crls)
    for fault, words in zip(found, said, strict=True):
        assert words in fault
        assert str(tmp_path) in fault


def test_without_crls_only_the_cas_are_read(tmp_path):
    (tmp_path / "ca.pem").write_bytes(BOTH)
    assert ca_faults(str(tmp_path / "ca.pem")) == []
