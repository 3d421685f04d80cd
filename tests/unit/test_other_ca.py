# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA of the same name and with another key is found, and no other one is."""

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.other_ca import other_ca
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "campus.flask_sso private CA"


class Authority:
    """A CA, which signs what it is asked for."""

    def __init__(self, name: str, by: "Authority | None" = None, identified: bool = True) -> None:
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        signer = by or self
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(signer.name, self.name, self.key.public_key(), 1, now, now + timedelta(1))
        if identified:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        self.pem = builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        digest = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest
        self.begins = digest[:4].hex(":")


OURS, OTHER, BOUGHT = Authority(NAME), Authority(NAME), Authority("Some bought CA")


def below(root: Authority) -> str:
    """Return a host's certificate with the intermediate that has signed it."""
    intermediate = Authority(f"{NAME} intermediate", root)
    return Authority("www.example.org", intermediate).pem + intermediate.pem


@pytest.mark.parametrize("root", [OURS.pem, ""])
@pytest.mark.parametrize(
    "host", [OTHER.pem, Authority("www.example.org", OTHER).pem, below(OTHER), BOUGHT.pem + OTHER.pem]
)
def test_other_ca_of_the_name_is_told_by_its_key(host, root):
    assert other_ca(host, root, NAME) == OTHER.begins


def test_existing_ca_keeps_its_name_whatever_the_variable_says():
    assert other_ca(OTHER.pem, OURS.pem, "A new name") == OTHER.begins
    assert other_ca(OTHER.pem, "", "A new name") == ""
    assert other_ca(Authority("2024").pem, "", 2024) != ""


@pytest.mark.parametrize("identified", [True, False])
def test_certificate_without_an_identifier_is_of_another_ca_too(identified):
    told = other_ca(Authority("www.example.org", OTHER, identified).pem, OURS.pem, NAME)
    assert told == (OTHER.begins if identified else "?")
    assert other_ca(Authority(NAME, identified=False).pem, OURS.pem, NAME).count(":") == 3


@pytest.mark.parametrize(
    "host",
    [
        OURS.pem,
        Authority("www.example.org", OURS).pem,
        below(OURS),
        OTHER.pem + OURS.pem,  # the visitors of both are let in
        BOUGHT.pem,
        Authority("www.example.org", BOUGHT).pem,
        "",
        "no certificate",
        OTHER.pem[:200],
        OTHER.pem.replace("A", "B"),
    ],
)
def test_all_else_is_no_other_ca(host):
    assert other_ca(host, OURS.pem, NAME) == ""


def test_what_is_between_certificates_does_not_count():
    key = OTHER.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    assert other_ca(f"# Skłodowska\n{key}{OTHER.pem}", OURS.pem, NAME) == OTHER.begins
