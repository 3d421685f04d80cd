# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of every kind, those of the private authority and ones that nobody should issue; visits with them."""

from __future__ import annotations

import shutil
import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bench_client
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY = bench_client.ARTIFACTS / "private_ca"
DAY = timedelta(days=1)
SERVER = [x509.ExtendedKeyUsageOID.SERVER_AUTH]
RESPONDING = [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
CLIENT = [x509.ExtendedKeyUsageOID.CLIENT_AUTH]

# Certificates that nobody may come in with, and what a log says about them.
WRONG = {
    "self-signed": ({"by": "itself"}, "self-signed certificate"),
    "another authority of the same name": ({"by": "a stranger"}, "certificate signature failure"),
    "expired": ({"term": (-2 * DAY, -DAY)}, "certificate has expired"),
    "not yet valid": ({"term": (DAY, 2 * DAY)}, "certificate is not yet valid"),
    "a server's": ({"usage": SERVER}, "unsuitable certificate purpose"),
}
# Names that a careless reader takes apart wrongly.
ODD_NAMES = ["CN=Grace Hopper", "a/CN=Grace Hopper", "Hopper, Grace", '"Grace"', "Maria Skłodowska-Curie", "x" * 4096]
# What a visitor might hope that the application believes.
TWINS = {
    f"{prefix}{separator.join(words)}": value
    for words, value in [
        (("SSL", "CLIENT", "VERIFY"), "SUCCESS"),
        (("SSL", "CLIENT", "S", "DN", "CN"), "Cecilia Payne"),
        (("Ssl", "Client", "M", "Serial"), "01"),
        (("REMOTE", "USER"), "Cecilia Payne"),
    ]
    for separator in "-_"
    for prefix in ("", "X-")
}


def person(name: str) -> tuple[Path, Path]:
    """Return the certificate and the key that the authority gave somebody."""
    return AUTHORITY / "people" / name / "certificate.pem", AUTHORITY / "people" / name / "key.pem"


def stolen(directory: Path, who: str) -> tuple[Path, Path]:
    """Return copies of somebody's certificate and key, which stay when the authority issues new ones."""
    return tuple(Path(shutil.copy(file, directory)) for file in person(who))


def serial(who: str) -> str:
    """Return the serial number of somebody's certificate, as OpenSSL prints it."""
    number = f"{x509.load_pem_x509_certificate(person(who)[0].read_bytes()).serial_number:X}"
    return number.zfill(len(number) + len(number) % 2)


def authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the private authority's certificate and key."""
    key = serialization.load_pem_private_key((AUTHORITY / "ca.key").read_bytes(), None)
    return x509.load_pem_x509_certificate((AUTHORITY / "ca.pem").read_bytes()), key


def forge(
    directory: Path, *common_names: str, by: str = "authority", term: tuple = (-DAY, DAY), usage: list = CLIENT
) -> tuple[Path, Path]:
    """Issue a certificate as nobody should, by default right in everything; write it and its key into a directory."""
    oid = x509.NameOID.COMMON_NAME
    with warnings.catch_warnings(action="ignore"):  # about names that are too long, which is what they are for
        subject = x509.Name([x509.NameAttribute(oid, name, _validate=False) for name in common_names])
    certificate, authority_key = authority()
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    signer = {"authority": authority_key, "itself": key, "a stranger": ec.generate_private_key(ec.SECP256R1())}[by]
    builder = x509.CertificateBuilder(
        subject if by == "itself" else certificate.subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now + term[0],
        now + term[1],
    )
    builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files[1].write_bytes(key.private_bytes(*pem))
    return files


def stale_list() -> str:
    """Return a list of revoked certificates that should have been replaced yesterday."""
    certificate, key = authority()
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(certificate.subject, now - 2 * DAY, now - DAY)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def visit(files: tuple[Path, Path] | None, path: str = "/hello", **options) -> httpx.Response:
    """Ask for a page with a certificate, or without one."""
    with bench_client.client(*(files or ()), **options) as session:
        return session.get(path)


def refused(files: tuple[Path, Path] | None, path: str = "/hello") -> bool:
    """Tell whether the site breaks the connection off."""
    try:
        visit(files, path)
    except (httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError, ssl.SSLError):
        return True
    return False
