# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates in force open the site under their owner's name; every other one, and every trick, does not.

The last tests change the site: its list of revoked certificates, whom it admits, and whether it insists.
"""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import bench_client
import httpx
import pytest
from bench_fixtures import run_playbook
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testinfra.host import Host

AUTHORITY = bench_client.ARTIFACTS / "private_ca"
REVOKED = "/etc/ssl/flask_sso/flask_app-clients/revoked.pem"
LOG = "/var/log/apache2/error.log"
DAY = timedelta(days=1)
CLIENT = [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
deploy = partial(run_playbook, "molecule/client_certificates/converge.yml")


def person(name: str) -> tuple[Path, Path]:
    """Return the certificate and the key that the authority gave somebody."""
    return AUTHORITY / "people" / name / "certificate.pem", AUTHORITY / "people" / name / "key.pem"


def names(*common_names: str) -> x509.Name:
    """Return a distinguished name."""
    oid = x509.NameOID.COMMON_NAME
    return x509.Name([x509.NameAttribute(oid, name, _validate=False) for name in common_names])


@pytest.fixture
def forge(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Return what issues a certificate as nobody should, by default right in everything, and writes it and its key."""
    authority = x509.load_pem_x509_certificate((AUTHORITY / "ca.pem").read_bytes())
    authority_key = serialization.load_pem_private_key((AUTHORITY / "ca.key").read_bytes(), None)

    def issue(
        *common_names: str, by: str = "authority", term: tuple = (-DAY, DAY), usage: list | None = None
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject, now = names(*common_names), datetime.now(UTC)
        issuer = subject if by == "itself" else authority.subject
        signer = {"authority": authority_key, "itself": key, "a stranger": ec.generate_private_key(ec.SECP256R1())}[by]
        builder = x509.CertificateBuilder(
            issuer, subject, key.public_key(), x509.random_serial_number(), now + term[0], now + term[1]
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage(CLIENT if usage is None else usage), critical=False)
        files = tmp_path / "certificate.pem", tmp_path / "key.pem"
        files[0].write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        files[1].write_bytes(key.private_bytes(*pem))
        return files

    return issue


def visit(files: tuple[Path, Path] | None, path: str = "/hello", **options) -> httpx.Response:
    """Ask for a page with a certificate, or without one."""
    with bench_client.client(*(files or ()), **options) as session:
        return session.get(path)


def refused(files: tuple[Path, Path] | None) -> bool:
    """Tell whether the site breaks the connection off."""
    try:
        visit(files)
    except (httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError, ssl.SSLError):
        return True
    return False


def logs(web: Host, phrase: str, action: Callable[[], bool]) -> bool:
    """Do something; return its result if httpd logs the phrase because of it."""
    lines = int(web.check_output(f"wc --lines < {LOG}"))
    result = action()
    watch = f"tail --lines=+{lines + 1} --follow {LOG} | grep --max-count=1 --fixed-strings"
    return result and web.run(f"timeout 10 sh -c '{watch} \"{phrase}\"'").stdout != ""


@pytest.mark.parametrize(("who", "name"), [("ghopper", "Grace Hopper"), ("cpayne", "Cecilia Payne")])
@pytest.mark.parametrize("http2", [False, True])
def test_right_certificate_is_greeted_by_name(who: str, name: str, http2: bool) -> None:
    """Over HTTP/1.1 and HTTP/2; the application knows the issuer, too."""
    answer = visit(person(who), http2=http2)
    assert (answer.text, answer.http_version) == (f"Hello {name}!", "HTTP/2" if http2 else "HTTP/1.1")
    assert visit(person(who), "/ping").text == "pong"
    me = visit(person(who), "/api/me").json()
    assert me["session"]["identity_provider"] == "CN=campus.flask_sso private authority"


def test_browser_shows_its_certificate(tmp_path: Path) -> None:
    """Chromium imports the .p12 file with its passphrase and is let in without a question."""
    with bench_client.browser(AUTHORITY / "people" / "ghopper") as page:
        page.goto(bench_client.SITE)
        assert "Grace Hopper" in page.text_content("main")
        page.screenshot(path=bench_client.ARTIFACTS / "bench" / "client-certificate.png")


def test_no_certificate_no_page(web: Host) -> None:
    """The TLS handshake already fails, with the alert that makes a browser say what is missing."""
    with pytest.raises(httpx.ReadError, match="CERTIFICATE_REQUIRED"):
        visit(None)
    assert logs(web, "with abortive shutdown", lambda: refused(None))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"by": "itself"}, "self-signed certificate"),
        ({"by": "a stranger"}, "certificate signature failure"),
        ({"term": (-2 * DAY, -DAY)}, "certificate has expired"),
        ({"term": (DAY, 2 * DAY)}, "certificate is not yet valid"),
        ({"usage": [x509.ExtendedKeyUsageOID.SERVER_AUTH]}, "unsuitable certificate purpose"),
    ],
    ids=["self-signed", "another authority of the same name", "expired", "not yet valid", "a server's"],
)
def test_wrong_certificate_is_refused_and_the_log_says_why(web: Host, forge, options: dict, reason: str) -> None:
    """The visitor sees a broken handshake, the log the reason."""
    assert logs(web, reason, lambda: refused(forge("Grace Hopper", **options)))


def test_certificate_of_two_people_is_nobody(forge) -> None:
    """The server takes it, the application does not choose."""
    assert visit(forge("Grace Hopper", "Cecilia Payne")).text == "Hello Unauthorized!"


@pytest.mark.parametrize(
    "name", ["CN=Grace Hopper", "a/CN=Grace Hopper", "Hopper, Grace", '"Grace"', "Maria Skłodowska-Curie", "x" * 4096]
)
def test_any_name_is_taken_as_it_is(forge, name: str) -> None:
    """Nothing in a name makes it another one."""
    assert visit(forge(name)).text == f"Hello {name}!"


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


def test_headers_change_nobodys_name(forge) -> None:
    """Neither of somebody with a certificate nor of one who is nobody."""
    assert visit(person("ghopper"), headers=TWINS).text == "Hello Grace Hopper!"
    assert visit(forge("Grace Hopper", "Cecilia Payne"), headers=TWINS).text == "Hello Unauthorized!"


def test_other_name_in_the_handshake_opens_nothing() -> None:
    """A visitor asks for a host without certificates in TLS, and for this one in HTTP."""
    address = bench_client.addresses()[bench_client.HOST]
    request = f"GET /hello HTTP/1.1\r\nHost: {bench_client.HOST}\r\nConnection: close\r\n\r\n"
    command = f"openssl s_client -quiet -connect {address}:443 -servername unknown.invalid"
    done = subprocess.run(command.split(), input=request, capture_output=True, text=True, timeout=20, check=False)
    assert "Hello" not in done.stdout
    assert " 200 " not in done.stdout


def s_client(options: str) -> str:
    """Ask for a page over TLS 1.2 with OpenSSL, which can keep and resume a session; return what came back."""
    address = bench_client.addresses()[bench_client.HOST]
    request = f"GET /hello HTTP/1.1\r\nHost: {bench_client.HOST}\r\nConnection: close\r\n\r\n"
    command = f"openssl s_client -ign_eof -tls1_2 -connect {address}:443 -servername {bench_client.HOST} {options}"
    return subprocess.run(
        command.split(), input=request, capture_output=True, text=True, timeout=20, check=False
    ).stdout


def test_revoked_certificate_is_refused_and_its_session_not_resumed(web: Host, tmp_path: Path) -> None:
    """Until the run she is let in; after it, neither a new handshake nor the resumed one gets her a page."""
    lost = [(tmp_path / name) for name in ("certificate.pem", "key.pem")]
    for source, copy in zip(person("hleavitt"), lost, strict=True):
        copy.write_bytes(source.read_bytes())
    session = tmp_path / "session"
    assert "Hello Henrietta Leavitt!" in s_client(f"-cert {lost[0]} -key {lost[1]} -sess_out {session}")
    assert "Hello Henrietta Leavitt!" in s_client(f"-cert {lost[0]} -key {lost[1]} -sess_in {session}")
    code, said = run_playbook("playbooks/revoke_client_certificates.yml", {"private_ca_revoke": ["hleavitt"]})
    assert code == 0, said
    code, said = deploy({})
    assert code == 0, said
    assert logs(web, "certificate revoked", lambda: refused(tuple(lost)))
    assert "Hello" not in s_client(f"-cert {lost[0]} -key {lost[1]} -sess_in {session}")
    assert visit(person("hleavitt")).text == "Hello Henrietta Leavitt!"  # she has a new one


@pytest.fixture
def stale() -> str:
    """Return a list of revoked certificates that should have been replaced yesterday."""
    authority = x509.load_pem_x509_certificate((AUTHORITY / "ca.pem").read_bytes())
    key = serialization.load_pem_private_key((AUTHORITY / "ca.key").read_bytes(), None)
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(authority.subject, now - 2 * DAY, now - DAY)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_list_out_of_date_lets_nobody_in(web: Host, stale: str) -> None:
    """Nobody has run anything for too long: better closed than open, and the log says why."""
    before = web.file(REVOKED).content_string
    write = f"cat > {REVOKED} <<'END'\n{{}}END\nsystemctl reload apache2"
    web.check_output(write.format(stale))
    closed = logs(web, "CRL has expired", lambda: refused(person("ghopper")))
    web.check_output(write.format(before))
    assert closed
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"


def test_list_out_of_date_is_refused_by_a_run(tmp_path: Path, stale: str) -> None:
    """The message says from when on nobody would be let in."""
    path = tmp_path / "crl.pem"
    path.write_text(stale)
    code, said = deploy({"client_certificates_crl_file": str(path)})
    assert code == 2
    assert f'client_certificates_crl_file "{path}" was to be replaced on' in said
    assert "would let nobody in" in said


def serial(who: str) -> str:
    """Return the serial number of somebody's certificate, as OpenSSL prints it."""
    return f"{x509.load_pem_x509_certificate(person(who)[0].read_bytes()).serial_number:X}"


def test_valid_certificate_that_is_not_admitted_gets_a_readable_page() -> None:
    """Only Grace's serial number is admitted; Cecilia learns hers and whom to ask."""
    code, said = deploy({"client_certificates_allowed": [{"serial": serial("ghopper")}]})
    assert code == 0, said
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    answer = visit(person("cpayne"))
    assert answer.status_code == 403
    assert "You are not admitted" in answer.text
    assert serial("cpayne") in answer.text


def test_where_certificates_are_optional_strangers_are_greeted_as_such(forge) -> None:
    """The first page is for everybody, names are for those with a certificate, and a wrong one is still refused."""
    code, said = deploy({"client_certificates_mode": "optional"})
    assert code == 0, said
    assert visit(None).text == "Hello Unauthorized!"
    assert visit(None, headers=TWINS).text == "Hello Unauthorized!"
    assert visit(None, "/login").status_code == 403
    assert visit(None, "/api/me").status_code == 401
    assert visit(person("cpayne")).text == "Hello Cecilia Payne!"
    assert refused(forge("Grace Hopper", by="itself"))
