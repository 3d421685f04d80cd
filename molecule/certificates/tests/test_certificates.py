# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate comes from the private CA, from a signed request, from files or by ACME; the site is always up.

The tests change the source from one to the next, in this order.
"""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import bench_client
import pytest
from bench_fixtures import run_playbook
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

deploy = partial(run_playbook, "molecule/certificates/converge.yml")
PAPERS = bench_client.PAPERS
REQUEST = PAPERS / f"{bench_client.HOST}.csr"
ACME = {
    "apache_ssl_certificate_source": "acme",
    "apache_ssl_acme_directory": "https://acme.example.org:14000/dir",
    "apache_ssl_acme_contact": "root@example.org",
    "apache_ssl_acme_ca_file": "/usr/local/share/ca-certificates/flask-sso-bench.crt",
}
CSR = {"apache_ssl_certificate_source": "csr"}
#: How a connection fails while httpd is restarted: before it listens, when it stopped before it accepted the
#: connection, and when it stopped during the handshake.
CUT_BY_RESTART = (ConnectionRefusedError, ConnectionResetError, ssl.SSLEOFError)


def served(authority: str | None = None) -> x509.Certificate:
    """Return the certificate that the site sends; with a CA's PEM, only if it is valid for that CA alone."""
    context = ssl.create_default_context(cadata=authority)
    if not authority:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    address = bench_client.addresses()[bench_client.HOST]
    with (
        socket.create_connection((address, 443), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=bench_client.HOST) as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))


@contextmanager
def undisturbed(cut: int = 0) -> Iterator[None]:
    """Require that visitors are served all the time, except for as many as a restart of httpd cuts off."""
    failures, done = [], threading.Event()

    def visit() -> None:
        while not done.wait(0.05):
            try:
                served()
            except OSError as error:
                failures.append(error)

    visits = threading.Thread(target=visit)
    visits.start()
    try:
        yield
    finally:
        done.set()
        visits.join()
    assert len(failures) <= cut, failures
    assert [error for error in failures if not isinstance(error, CUT_BY_RESTART)] == []


class Authority:
    """A CA with a root and an intermediate, as a campus has."""

    def __init__(self) -> None:
        self.root, root_key = self._issue("root", None, None)
        self.intermediate, self.key = self._issue("intermediate", self.root, root_key)

    def _issue(self, name: str, issuer: x509.Certificate | None, key: ec.EllipticCurvePrivateKey | None) -> tuple:
        own = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, issuer, own.public_key(), 365).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        return builder.sign(key or own, hashes.SHA256()), own

    def _builder(self, name: str, issuer: x509.Certificate | None, key, days: int) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        term = (now - timedelta(days=1), now + timedelta(days=days))
        above = issuer.subject if issuer else subject
        return x509.CertificateBuilder(above, subject, key, x509.random_serial_number(), *term)

    def sign(self, key, days: int = 90) -> x509.Certificate:
        """Issue a certificate for the site."""
        names = x509.SubjectAlternativeName([x509.DNSName(bench_client.HOST.upper())])
        builder = self._builder(bench_client.HOST, self.intermediate, key, days).add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        """The root, as visitors trust it."""
        return self.root.public_bytes(Encoding.PEM).decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The campus's CA."""
    return Authority()


@pytest.fixture(scope="module", autouse=True)
def no_papers_of_earlier_runs() -> None:
    """Begin as on a controller that has never run anything."""
    shutil.rmtree(PAPERS, ignore_errors=True)


def succeed(run: Callable[[], tuple[int, str]]) -> str:
    """Require that a run succeeds, without disturbing visitors, and that the next one changes nothing."""
    with undisturbed():
        code, said = run()
    assert code == 0, said
    code, again = run()
    assert (code, "changed=0" in again) == (0, True), again
    return said


def test_request_waits_to_be_signed(web):
    """The host has a new key and a temporary certificate; the controller has the request, and the run reports it."""
    said = succeed(lambda: deploy(CSR))
    assert f"Have {REQUEST} signed" in said
    request = x509.load_pem_x509_csr(REQUEST.read_bytes())
    assert request.public_key().key_size >= 2048
    assert isinstance(request.signature_hash_algorithm, hashes.SHA512)
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [bench_client.HOST]
    assert served().public_key() == request.public_key()
    assert web.check_output("stat --format '%U %a' /etc/ssl/flask_sso/flask_app/csr-key.pem") == "root 600"


def test_certificate_for_another_key_is_refused(authority):
    before = served()
    stranger = authority.sign(ec.generate_private_key(ec.SECP256R1()).public_key())
    REQUEST.with_suffix(".cer").write_bytes(stranger.public_bytes(Encoding.PEM))
    code, said = deploy(CSR)
    assert code == 2
    assert "The key is not the key of any certificate there: CN=" in said
    assert "changed=0" in said
    assert served() == before


def test_chain_of_another_authority_is_refused(authority):
    request = x509.load_pem_x509_csr(REQUEST.read_bytes())
    REQUEST.with_suffix(".cer").write_bytes(authority.sign(request.public_key()).public_bytes(Encoding.DER))
    bundle = pkcs7.serialize_certificates([Authority().intermediate], Encoding.PEM)
    REQUEST.with_suffix(".p7b").write_bytes(bundle)
    code, said = deploy(CSR)
    assert code == 2
    assert "did not issue it: CN=intermediate" in said


def test_signed_certificate_and_its_chain_are_taken(authority):
    """From PKCS#7 alone, as a Windows CA issues it; visitors who only have the root accept it."""
    signed = x509.load_der_x509_certificate(REQUEST.with_suffix(".cer").read_bytes())
    REQUEST.with_suffix(".cer").unlink()
    bundle = pkcs7.serialize_certificates([authority.root, authority.intermediate, signed], Encoding.DER)
    REQUEST.with_suffix(".p7b").write_bytes(bundle)
    succeed(lambda: deploy(CSR))
    assert served(authority.pem).issuer == authority.intermediate.subject


def write_provided(directory: Path, authority: Authority, days: int) -> dict:
    """Write a pair with its chain, in forms that httpd does not read; return the variables that name it."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificates = [authority.root, authority.sign(key.public_key(), days)]
    files = {
        "key": key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "certificate": b"\r\n".join(one.public_bytes(Encoding.PEM) for one in certificates).decode().encode("utf-16"),
        "chain": base64.encodebytes(authority.intermediate.public_bytes(Encoding.DER)),
    }
    for name, content in files.items():
        (directory / f"{name}.pem").write_bytes(content)
    named = {f"apache_ssl_{name}_file": str(directory / f"{name}.pem") for name in files}
    return named | {"apache_ssl_certificate_source": "provided"}


def test_provided_certificate_that_expires_is_reported_at_every_run(authority, tmp_path):
    variables = write_provided(tmp_path, authority, 20)
    said = succeed(lambda: deploy(variables))
    _, again = deploy(variables)
    for text in (said, again):
        assert f'"CN={bench_client.HOST}" expires on 2' in text
        assert "in fewer than 30 days" in text
    _, quiet = deploy(variables | {"apache_ssl_expiry_days": 10})
    assert "expires on" not in quiet
    assert served(authority.pem).issuer == authority.intermediate.subject


def pebble_root() -> str:
    """Return the root of the ACME CA, which is another one at each start."""
    with bench_client.client() as session:
        return session.get("https://acme.example.org:15000/roots/0").text


def test_acme_certificate_is_there_a_moment_after_the_run(web):
    """Without a reload by hand, and without needless waiting of the run."""
    with undisturbed(cut=20):  # mod_md works from a start of httpd on, a reload is not enough
        code, said = deploy(ACME)
    assert code == 0, said
    wait_for(lambda: vouched_for(pebble_root()))
    assert "Pebble Intermediate" in served(pebble_root()).issuer.rfc4514_string()
    assert web.service("flask_sso-renewal-flask_app.path").is_enabled


def test_renewed_certificate_takes_effect_by_itself(web):
    """Pebble's certificates are valid for 90 seconds; in the last third httpd renews, and visitors get the new one."""
    first = served()
    left = (first.not_valid_after_utc - datetime.now(UTC)).total_seconds()
    assert left < 100, "this is not a certificate of Pebble"
    time.sleep(max(0, left - 25))
    with undisturbed():
        web.check_output("systemctl reload apache2")  # httpd looks at once instead of twice a day
        wait_for(lambda: served().serial_number != first.serial_number)
    assert vouched_for(pebble_root())


def test_sandbox_can_be_switched_off_and_on(web):
    """ACME works in it, as in the tests above. Each change restarts httpd, and another run does not."""

    def process() -> tuple[str, bool]:
        """Return httpd's first process, and whether it is in the sandbox."""
        found = web.check_output("systemctl show --property=MainPID --value apache2")
        return found, "NoNewPrivs:\t1" in web.file(f"/proc/{found}/status").content_string

    seen = [process()]
    for sandbox in (False, True, True):
        with undisturbed(cut=20):
            code, said = deploy(ACME | {"apache_ssl_sandbox": sandbox})
        assert code == 0, said
        seen.append(process())
        assert web.file("/etc/systemd/system/apache2.service.d/flask_sso.conf").exists == sandbox
    assert [sandboxed for _, sandboxed in seen] == [True, False, True, True]
    assert len({found for found, _ in seen}) == 3
    assert seen[-1] == seen[-2]


def vouched_for(authority: str) -> bool:
    """Return whether the site's certificate is valid for a CA."""
    try:
        served(authority)
    except ssl.SSLError:
        return False
    return True


def wait_for(condition: Callable[[], bool], seconds: int = 60) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)
