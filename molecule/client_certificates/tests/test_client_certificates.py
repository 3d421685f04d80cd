# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates in force open the site under their owner's name; every other one, and every trick, does not.

The last tests change the site: its list of revoked certificates, whom it admits, and who says who somebody is.
"""

from __future__ import annotations

import base64
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import bench_client
import pytest
import testinfra
from bench_fixtures import run_playbook
from client_certificate_tests import *  # noqa: F403 (tests that pytest finds here, too)
from client_certificates import AUTHORITY, RESPONDING, forge, person, refused, serial, stale_list, stolen, visit
from testinfra.host import Host

REVOKED = "/etc/ssl/flask_sso/flask_app-clients/revoked.pem"
PEOPLE = ("ghopper", "cpayne")
RESPONDER = "/run/responder"
LOG = "/var/log/apache2/error.log"
deploy = partial(run_playbook, "molecule/client_certificates/converge.yml")


@pytest.fixture
def logs(web: Host) -> Callable[..., bool]:
    """Return what does something, and returns the result if httpd logs a phrase because of it."""

    def watch(phrase: str, action: Callable[[], bool]) -> bool:
        lines = int(web.check_output(f"wc --lines < {LOG}"))
        result = action()
        follow = f"tail --lines=+{lines + 1} --follow {LOG} | grep --max-count=1 --fixed-strings"
        return result and web.run(f"timeout 10 sh -c '{follow} \"{phrase}\"'").stdout != ""

    return watch


def test_http2_is_no_other_door() -> None:
    """The same names over the newer protocol."""
    for who, name in {"ghopper": "Grace Hopper", "cpayne": "Cecilia Payne"}.items():
        answer = visit(person(who), http2=True)
        assert (answer.text, answer.http_version) == (f"Hello {name}!", "HTTP/2")
    assert visit(person("ghopper")).http_version == "HTTP/1.1"


def test_want_of_a_certificate_is_logged(logs: Callable[..., bool]) -> None:
    """The log has the broken handshake."""
    assert logs("with abortive shutdown", lambda: refused(None))


def test_other_name_in_the_handshake_opens_nothing() -> None:
    """A visitor asks for a host without certificates in TLS, and for this one in HTTP."""
    address = bench_client.addresses()[bench_client.HOST]
    request = f"GET /hello HTTP/1.1\r\nHost: {bench_client.HOST}\r\nConnection: close\r\n\r\n"
    command = f"openssl s_client -quiet -connect {address}:443 -servername unknown.invalid"
    done = subprocess.run(command.split(), input=request, capture_output=True, text=True, timeout=20, check=False)
    assert "Hello" not in done.stdout
    assert " 200 " not in done.stdout


def test_old_tls_is_refused() -> None:
    """Version 1.1 ends in an alert, with the right certificate, too."""
    certificate, key = person("ghopper")
    said = s_client(f"-cert {certificate} -key {key}", version="-tls1_1 -cipher ALL:@SECLEVEL=0")
    assert "alert protocol version" in said
    assert "Hello" not in said


def s_client(options: str, version: str = "-tls1_2") -> str:
    """Ask for a page with OpenSSL, which can keep and resume a session; return what came back."""
    address = bench_client.addresses()[bench_client.HOST]
    request = f"GET /hello HTTP/1.1\r\nHost: {bench_client.HOST}\r\nConnection: close\r\n\r\n"
    command = f"openssl s_client -ign_eof {version} -connect {address}:443 -servername {bench_client.HOST} {options}"
    done = subprocess.run(command.split(), input=request, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def test_revoked_certificate_is_refused_and_its_session_not_resumed(logs: Callable[..., bool], tmp_path: Path) -> None:
    """Until the run she is let in; after it, neither a new handshake nor the resumed one gets her a page."""
    lost = stolen(tmp_path, "hleavitt")
    session = tmp_path / "session"
    assert "Hello Henrietta Leavitt!" in s_client(f"-cert {lost[0]} -key {lost[1]} -sess_out {session}")
    assert "Hello Henrietta Leavitt!" in s_client(f"-cert {lost[0]} -key {lost[1]} -sess_in {session}")
    code, said = run_playbook("playbooks/revoke_client_certificates.yml", {"private_ca_revoke": ["hleavitt"]})
    assert code == 0, said
    code, said = deploy({})
    assert code == 0, said
    assert logs("certificate revoked", lambda: refused(lost))
    assert "Hello" not in s_client(f"-cert {lost[0]} -key {lost[1]} -sess_in {session}")
    assert visit(person("hleavitt")).text == "Hello Henrietta Leavitt!"  # she has a new one


def test_list_out_of_date_lets_nobody_in(web: Host, logs: Callable[..., bool]) -> None:
    """Nobody has run anything for too long: better closed than open, and the log says why."""
    before = web.file(REVOKED).content_string
    write = f"cat > {REVOKED} <<'END'\n{{}}END\nsystemctl reload apache2"
    web.check_output(write.format(stale_list()))
    closed = logs("CRL has expired", lambda: refused(person("ghopper")))
    web.check_output(write.format(before))
    assert closed
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"


def test_list_out_of_date_is_refused_by_a_run(tmp_path: Path) -> None:
    """The message says from when on nobody would be let in."""
    path = tmp_path / "crl.pem"
    path.write_text(stale_list())
    code, said = deploy({"client_certificates_crl_file": str(path)})
    assert code == 2
    assert f'client_certificates_crl_file "{path}" was to be replaced on' in said
    assert "would let nobody in" in said


@pytest.fixture
def respond(web: Host, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Return what starts an OCSP responder beside httpd; it calls these people revoked and the others good."""
    for file in (AUTHORITY / "ca.pem", *forge(tmp_path, "Responder", usage=RESPONDING)):
        web.check_output(f"mkdir -p {RESPONDER}; cat > {RESPONDER}/{file.name} <<'END'\n{file.read_text()}END")
    command = "openssl ocsp -port 8888 -index index -CA ca.pem -rsigner certificate.pem -rkey key.pem"
    listens = "until ss --listening --numeric --tcp | grep --quiet :8888; do sleep 0.1; done"

    def start(*revoked: str) -> None:
        states = {who: "R\t351231235959Z\t250101000000Z" if who in revoked else "V\t351231235959Z\t" for who in PEOPLE}
        index = "".join(f"{state}\t{serial(who)}\tunknown\t/CN={who}\n" for who, state in states.items())
        web.run("systemctl stop responder")
        web.check_output(f"cat > {RESPONDER}/index <<'END'\n{index}END")
        web.check_output(f"systemd-run --unit=responder --collect --working-directory={RESPONDER} {command}")
        web.check_output(f"timeout 10 sh -c '{listens}'")

    yield start
    web.run(f"systemctl stop responder; rm -r {RESPONDER}")


def test_responder_has_its_say_in_every_handshake(
    web: Host, logs: Callable[..., bool], respond: Callable[..., None], tmp_path: Path
) -> None:
    """Whom it calls revoked is refused, though on no list, and resumes no session; without its answer, everybody is."""
    cecilia = "-cert {} -key {}".format(*person("cpayne"))
    respond()
    code, said = deploy({"client_certificates_ocsp": "http://127.0.0.1:8888/"})
    assert code == 0, said
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    assert "Hello Cecilia Payne!" in s_client(f"{cecilia} -sess_out {tmp_path}/session")
    respond("cpayne")
    assert logs("certificate status: revoked", lambda: refused(person("cpayne")))
    assert "Hello" not in s_client(f"{cecilia} -sess_in {tmp_path}/session")
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    web.check_output("systemctl stop responder")
    assert logs("could not connect to OCSP responder", lambda: refused(person("ghopper")))
    code, said = deploy({})
    assert code == 0, said
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    assert visit(person("cpayne")).text == "Hello Cecilia Payne!"


@pytest.mark.parametrize(
    "address", ["https://ocsp.example.org/", "ocsp.example.org", "http://ocsp.example.org/\nSSLEngine off"]
)
def test_responder_that_httpd_cannot_ask_is_refused_by_a_run(address: str) -> None:
    """The message says what an address begins with, and why."""
    code, said = deploy({"client_certificates_ocsp": address})
    assert code == 2
    assert "client_certificates_ocsp is" in said
    assert "It has to begin with" in said


def test_valid_certificate_that_is_not_admitted_gets_a_readable_page() -> None:
    """Only Grace's serial number is admitted; Cecilia learns hers and whom to ask."""
    code, said = deploy({"client_certificates_allowed": [{"serial": serial("ghopper")}]})
    assert code == 0, said
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    answer = visit(person("cpayne"))
    assert answer.status_code == 403
    assert "You are not admitted" in answer.text
    assert serial("cpayne") in answer.text


ENTRIES = """\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Campus

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit

dn: uid=hopper,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Grace Hopper
sn: Hopper
displayName: Rear Admiral Hopper
mail: hopper@example.org
userCertificate;binary:: {}

dn: cn=fleet,dc=example,dc=org
objectClass: groupOfNames
member: uid=hopper,ou=people,dc=example,dc=org
"""
ACCOUNT = "cn=flask_app,dc=example,dc=org"
SOCKET = "ldapi://%2Frun%2Fldapi"
START = f"systemd-run --unit=directory slapd -d none -f /etc/ldap/slapd.conf -h 'ldaps:/// {SOCKET}'"
LDAP = {
    "uri": "ldaps://ldap.example.org",
    "base": "ou=people,dc=example,dc=org",
    "bind_dn": ACCOUNT,
    "ca_file": "/usr/local/share/ca-certificates/flask-sso-bench.crt",
    "cache_seconds": 1,
}


@pytest.fixture(scope="module")
def directory() -> Iterator[Host]:
    """Return the host of a directory that runs, and knows Grace alone."""
    host = testinfra.get_host(f"docker://{bench_client.containers()['ldap.example.org'].name}")
    certificate = ssl.PEM_cert_to_DER_cert(person("ghopper")[0].read_text())
    entries = ENTRIES.format(base64.b64encode(certificate).decode())
    host.check_output(f"{START}; timeout 10 sh -c 'until ldapwhoami -x -H {SOCKET}; do sleep 0.1; done' 2>&-")
    host.check_output(f"ldapadd -x -H {SOCKET} -D {ACCOUNT} -w {bench_client.password()} <<'END'\n{entries}END")
    yield host
    host.check_output("systemctl stop directory; rm /var/lib/people/*")


def deploy_with(**settings: str) -> None:
    """Deploy the site with the directory that says who its users are."""
    environment = {"FLASK_SSO_LDAP": LDAP | settings}
    code, said = deploy(
        {
            "flask_app_environment": environment,
            "flask_app_requirements": "requirements-ldap.txt",
            "flask_app_packages": ["libldap-dev", "libsasl2-dev"],
            "flask_app_credentials": {"ldap_password": bench_client.password()},
        }
    )
    assert code == 0, said
    assert bench_client.password() not in said


def test_directory_says_who_holds_a_certificate(web: Host, directory: Host, tmp_path: Path) -> None:
    """Grace is who her entry says, whatever her certificate says; a certificate that is in no entry is nobody's."""
    deploy_with()
    me = visit(person("ghopper"), "/api/me").json()
    assert (me["identifier"], me["name"], me["email"]) == ("hopper", "Rear Admiral Hopper", "hopper@example.org")
    assert me["groups"] == ["cn=fleet,dc=example,dc=org"]
    assert visit(person("cpayne")).text == "Hello Unauthorized!"
    assert visit(forge(tmp_path, "Grace Hopper")).text == "Hello Unauthorized!"
    secret = web.file("/etc/flask_app/credentials/ldap_password")
    assert (secret.user, secret.group, secret.mode) == ("root", "flask_app", 0o440)


def test_directory_that_is_down_is_said_to_be_down(web: Host, directory: Host) -> None:
    """Nobody becomes anonymous by it; once it is back, everything is as before."""
    directory.check_output("systemctl stop directory")
    time.sleep(1)  # what the application remembers
    answer = visit(person("ghopper"))
    assert (answer.status_code, "directory of this site&#39;s users does not answer" in answer.text) == (503, True)
    assert "The directory ldaps://ldap.example.org does not answer" in web.check_output("journalctl --unit=flask_app")
    directory.check_output(START)
    time.sleep(1)
    assert visit(person("ghopper")).text == "Hello Rear Admiral Hopper!"


def test_name_is_no_pattern_for_the_directory(directory: Host, tmp_path: Path) -> None:
    """The site looks people up by their common name."""
    deploy_with(filter="(cn={name})")
    assert visit(forge(tmp_path, "Grace Hopper")).text == "Hello Rear Admiral Hopper!"
    assert visit(forge(tmp_path, "Grace Hopper", "Cecilia Payne")).text == "Hello Unauthorized!"
    for name in ("*", "*)(uid=*", "Grace*", "Cecilia Payne"):
        assert visit(forge(tmp_path, name)).text == "Hello Unauthorized!"
