# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of every kind, those of the private CA and wrong ones; visits with them."""

from __future__ import annotations

import shlex
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import bench_client
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testinfra.host import Host

AUTHORITY = bench_client.ARTIFACTS / "private_ca"
DAY = timedelta(days=1)
SERVER = [x509.ExtendedKeyUsageOID.SERVER_AUTH]
RESPONDING = [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
CLIENT = [x509.ExtendedKeyUsageOID.CLIENT_AUTH]

# Certificates that are refused, the alert that visitors with them get, and the log's message.
WRONG = {
    "self-signed": ({"by": "itself"}, "TLSV1_ALERT_UNKNOWN_CA", "self-signed certificate"),
    "another CA of the same name": (
        {"by": "a stranger"},
        "TLSV1_ALERT_DECRYPT_ERROR",
        "certificate signature failure",
    ),
    "expired": ({"term": (-2 * DAY, -DAY)}, "SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate has expired"),
    "not yet valid": ({"term": (DAY, 2 * DAY)}, "SSLV3_ALERT_BAD_CERTIFICATE", "certificate is not yet valid"),
    "a server's": ({"usage": SERVER}, "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "unsuitable certificate purpose"),
}
# Names that a careless parser splits wrongly.
ODD_NAMES = [
    "CN=Grace Hopper",
    "a/CN=Grace Hopper",
    "Hopper, Grace",
    '"Grace"',
    " Grace Hopper",
    "Grace Hopper ",
    "Maria Skłodowska-Curie",
    "x" * 4096,
]
# Headers of a visitor that the application must not trust.
TWINS = {
    f"{prefix}{separator.join(words)}": value
    for words, value in [
        (("SSL", "CLIENT", "VERIFY"), "SUCCESS"),
        (("Ssl", "Client", "Verify"), "SUCCESS"),
        (("SSL", "CLIENT", "S", "DN"), "CN=Cecilia Payne"),
        (("SSL", "CLIENT", "S", "DN", "CN"), "Cecilia Payne"),
        (("Ssl", "Client", "M", "Serial"), "01"),
        (("REMOTE", "USER"), "Cecilia Payne"),
    ]
    for separator in "-_"
    for prefix in ("", "X-")
}


def journal(unit: str) -> tuple[str, str]:
    """Return the commands that print where a unit's journal ends, and follow it from there on."""
    begin = f"journalctl --unit={unit} --quiet --lines=0 --show-cursor | sed 's/^-- cursor: //'"
    return begin, f"journalctl --unit={unit} --follow --after-cursor='{{}}'"


def log_file(path: str) -> tuple[str, str]:
    """Return the same for a file."""
    return f"wc --lines < {path}", f"tail --lines=+$(({{}} + 1)) --follow {path}"


class Gate(NamedTuple):
    """A server that requests certificates, with its settings; by default httpd, with uWSGI for the whole site."""

    path: str = ""
    unit: str = "flask_app"
    log: tuple[str, str] = log_file("/var/log/apache2/error.log")
    list_file: str = "/etc/ssl/flask_sso/flask_app-clients/revoked.pem"
    read_list: str = "systemctl reload apache2; sleep 1"
    list_alert: str = "SSLV3_ALERT_CERTIFICATE_UNKNOWN"
    resumes: bool = True
    blank: str = " "  # what the application gets for one at the end of a name


@contextmanager
def logged(web: Host, log: tuple[str, str], phrase: str) -> Iterator[None]:
    """Require that a log gets a phrase by what is done meanwhile."""
    begin, follow = log
    end = web.check_output(begin)
    yield
    search = f"{follow.format(end)} | grep --max-count=1 --fixed-strings {shlex.quote(phrase)}"
    assert web.run(f"timeout 10 sh -c {shlex.quote(search)}").stdout, f"the log does not say: {phrase}"


def person(name: str) -> tuple[Path, Path]:
    """Return a person's certificate and key."""
    return AUTHORITY / "people" / name / "certificate.pem", AUTHORITY / "people" / name / "key.pem"


def stolen(directory: Path, who: str) -> tuple[Path, Path]:
    """Return copies of a person's certificate and key, which stay the same when the CA issues new ones."""
    return tuple(Path(shutil.copy(file, directory)) for file in person(who))


def serial(files: tuple[Path, Path]) -> str:
    """Return the serial number of a certificate, as OpenSSL prints it."""
    number = f"{x509.load_pem_x509_certificate(files[0].read_bytes()).serial_number:X}"
    return number.zfill(len(number) + len(number) % 2)


def authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the private CA's certificate and key."""
    key = serialization.load_pem_private_key((AUTHORITY / "ca.key").read_bytes(), None)
    return x509.load_pem_x509_certificate((AUTHORITY / "ca.pem").read_bytes()), key


def forge(
    directory: Path, *common_names: str, by: str = "authority", term: tuple = (-DAY, DAY), usage: list = CLIENT
) -> tuple[Path, Path]:
    """Issue a certificate, by default a right one; write it and its key into a directory."""
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
    """Return a CRL that expired yesterday."""
    certificate, key = authority()
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(certificate.subject, now - 2 * DAY, now - DAY)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def visit(files: tuple[Path, Path] | None, path: str = "/hello", **options) -> httpx.Response:
    """Ask for a page with a certificate, or without one."""
    with bench_client.client(*(files or ()), **options) as session:
        return session.get(path)


def tls(files: tuple[Path, Path] | None, http2: bool = False) -> ssl.SSLContext:
    """Return the TLS settings of a visitor with a certificate, or without one."""
    context = ssl.create_default_context(cafile=str(bench_client.CA))
    if files:
        context.load_cert_chain(*files)
    context.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])
    return context


def connect(context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """Shake hands with the site."""
    connection = socket.create_connection((bench_client.addresses()[bench_client.HOST], 443), timeout=10)
    return context.wrap_socket(connection, server_hostname=bench_client.HOST, session=session)


def refused(files: tuple[Path, Path] | None, http2: bool = False) -> str:
    """Return the alert with which the site breaks the handshake off.

    It is not asked for a page, so the alert is not lost when it closes the connection. From a site that takes the
    certificate nothing comes, which is a TimeoutError; one that is down takes no connection.
    """
    try:
        with connect(tls(files, http2)) as connection:
            return f"no alert, but {connection.recv(1)!r}"
    except ssl.SSLError as error:
        return error.reason


def s_client(options: str, path: str = "", name: str = f"-servername {bench_client.HOST}") -> str:
    """Ask for a page with OpenSSL, which can keep and resume a session; return its output."""
    address = bench_client.addresses()[bench_client.HOST]
    request = f"GET {path}/hello HTTP/1.1\r\nHost: {bench_client.HOST}\r\nConnection: close\r\n\r\n"
    command = f"openssl s_client -ign_eof -connect {address}:443 {name} {options}"
    done = subprocess.run(command.split(), input=request, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr
