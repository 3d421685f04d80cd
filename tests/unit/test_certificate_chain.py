# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""However an authority hands certificates out: they are sent in order, or a sentence says what is wrong."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.flask_sso.plugins.filter.certificate_chain import certificate_chain
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

NOW = datetime.now(UTC)


def issue(name: str, issuer: tuple | None = None) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Issue a certificate; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    above, signing = issuer or (None, key)
    builder = x509.CertificateBuilder(
        above.subject if above else subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        NOW,
        NOW + timedelta(days=1),
    )
    return builder.sign(signing, SHA256()), key


ROOT = issue("root")
SECOND = issue("second", ROOT)
THIRD = issue("third", SECOND)
HOST = issue("host", THIRD)
STRANGER = issue("stranger")


def encode(data: bytes) -> str:
    """Encode as Ansible's slurp does."""
    return base64.b64encode(data).decode()


def pem(*issued: tuple) -> bytes:
    """Concatenate certificates as PEM."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate, _ in issued)


DER = HOST[0].public_bytes(Encoding.DER)
POOL = [ROOT[0], THIRD[0], SECOND[0]]
SENT = pem(HOST, THIRD, SECOND).decode()


@pytest.mark.parametrize(
    ("certificate", "pool"),
    [
        (pem(HOST), pem(THIRD, SECOND)),
        (pem(HOST), pem(SECOND, ROOT, THIRD)),
        (DER, pkcs7.serialize_certificates(POOL, Encoding.PEM)),
        (DER, pkcs7.serialize_certificates([*POOL, HOST[0]], Encoding.DER)),
        (pem(HOST, SECOND, THIRD, ROOT), b""),
    ],
)
def test_chain_is_put_in_order(certificate, pool):
    assert certificate_chain(encode(certificate), encode(pool)) == SENT


def test_certificate_alone_stays_alone():
    assert certificate_chain(encode(pem(STRANGER))) == pem(STRANGER).decode()


@pytest.mark.parametrize(
    ("certificate", "pool", "words"),
    [
        (b"", b"", "holds no certificate"),
        (b"<html>", b"", "holds no certificate"),
        (pem(HOST), b"nothing", "holds no certificate"),
        (pem(HOST), pem(THIRD, STRANGER), "CN=stranger"),
        (pem(HOST), pem(SECOND), "CN=second"),
    ],
)
def test_what_does_not_belong_together_is_refused(certificate, pool, words):
    with pytest.raises(AnsibleFilterError, match=words):
        certificate_chain(encode(certificate), encode(pool))
