# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Valid certificates open the site under their owner's name; every other one, and every trick, does not.

The last tests change the site: its CRL, its rules, and where users' names come from.
"""

from __future__ import annotations

import base64
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bench_client
import pytest
import testinfra
from client_certificate_tests import *  # noqa: F403 (tests and fixtures that pytest finds here, too)
from client_certificate_tests import ISSUER, Logs, deploy, refusal
from client_certificates import (
    AUTHORITY,
    DAY,
    RESPONDING,
    forge,
    person,
    refused,
    s_client,
    serial,
    stale_list,
    visit,
)
from testinfra.host import Host

PEOPLE = ("ghopper", "cpayne")
RESPONDER = "/run/responder"


def test_doctor_finds_no_fault(web: Host) -> None:
    """It has no certificate, and reads the revocation list."""
    assert bench_client.complaints(web) == ""
    assert "is valid for another" in web.check_output("flask-sso-doctor --format json --only FS306")


def test_no_certificate_no_page(logs: Logs) -> None:
    """The TLS handshake already fails, with the alert for which a browser reports what is missing."""
    with logs("peer did not return a certificate"):
        assert refused(None) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def test_http2_needs_a_certificate_too(logs: Logs, tmp_path: Path) -> None:
    """The same names over the newer protocol, and the same refusals."""
    for who, name in {"ghopper": "Grace Hopper", "cpayne": "Cecilia Payne"}.items():
        answer = visit(person(who), http2=True)
        assert (answer.text, answer.http_version) == (f"Hello {name}!", "HTTP/2")
    assert visit(person("ghopper")).http_version == "HTTP/1.1"
    with logs("peer did not return a certificate"):
        assert refused(None, http2=True) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    with logs("certificate has expired"):
        expired = forge(tmp_path, "Grace Hopper", term=(-2 * DAY, -DAY))
        assert refused(expired, http2=True) == "SSLV3_ALERT_CERTIFICATE_EXPIRED"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("-servername unknown.invalid", f"unknown.invalid provided via SNI and hostname {bench_client.HOST}"),
        ("-noservername", "unknown.invalid (default host as no SNI was provided)"),
    ],
    ids=["another", "none"],
)
def test_other_name_in_the_handshake_opens_nothing(logs: Logs, name: str, reason: str) -> None:
    """A visitor asks for a host without certificates in TLS, and for this one in HTTP."""
    with logs(f"AH02032: Hostname {reason}"):
        said = s_client("", name=name)
    assert "421 Misdirected Request" in said
    assert "Hello" not in said


def test_expired_crl_is_refused_by_a_run(tmp_path: Path) -> None:
    """The message says since when certificates would be refused."""
    path = tmp_path / "crl.pem"
    path.write_text(stale_list())
    said = refusal({"client_certificates_crl_file": str(path)})
    assert "valid client certificates would be refused" in said
    assert f'"{path}": the CRL of {ISSUER} expired on' in said


@pytest.mark.parametrize("other", [False, True])
def test_controller_without_the_ca_does_not_replace_it(tmp_path: Path, other: bool) -> None:
    """A colleague's clone, or a CI job, would issue another CA's certificates, and lock everyone out."""
    directory = tmp_path / "ca"
    if other:
        directory.mkdir()
        shutil.copy(forge(tmp_path, "campus.flask_sso private CA", by="itself")[0], directory / "ca.pem")
    said = refusal({"private_ca_directory": str(directory)}, "--tags=all")
    assert f'private_ca_directory ("{directory}") has {"one with the key" if other else "no CA"}' in said
    assert "Clients would no longer trust the host, or no longer be let in." in said
    assert sorted(path.name for path in tmp_path.rglob("ca/*")) == (["ca.pem"] if other else [])
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"


@pytest.fixture
def respond(web: Host, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Return a function that starts an OCSP responder next to httpd; these people are revoked, the others good."""
    for file in (AUTHORITY / "ca.pem", *forge(tmp_path, "Responder", usage=RESPONDING)):
        web.check_output(f"mkdir -p {RESPONDER}; cat > {RESPONDER}/{file.name} <<'END'\n{file.read_text()}END")
    command = "openssl ocsp -port 8888 -index index -CA ca.pem -rsigner certificate.pem -rkey key.pem"
    listens = "until ss --listening --numeric --tcp | grep --quiet :8888; do sleep 0.1; done"

    def start(*revoked: str) -> None:
        states = {who: "R\t351231235959Z\t250101000000Z" if who in revoked else "V\t351231235959Z\t" for who in PEOPLE}
        index = "".join(f"{state}\t{serial(person(who))}\tunknown\t/CN={who}\n" for who, state in states.items())
        web.run("systemctl stop responder")
        web.check_output(f"cat > {RESPONDER}/index <<'END'\n{index}END")
        web.check_output(f"systemd-run --unit=responder --collect --working-directory={RESPONDER} {command}")
        web.check_output(f"timeout 10 sh -c '{listens}'")

    yield start
    web.run(f"systemctl stop responder; rm -r {RESPONDER}")


def test_responder_is_asked_in_every_handshake(
    web: Host, logs: Logs, respond: Callable[..., None], tmp_path: Path
) -> None:
    """A certificate that it calls revoked is refused, without a CRL or resumed session; without it, all are refused."""
    cecilia = "-tls1_2 -cert {} -key {}".format(*person("cpayne"))
    respond()
    deploy({"client_certificates_ocsp": "http://127.0.0.1:8888/"})
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    assert "Hello Cecilia Payne!" in s_client(f"{cecilia} -sess_out {tmp_path}/session")
    respond("cpayne")
    with logs("certificate status: revoked"):
        assert refused(person("cpayne")) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    with logs("certificate status: revoked"):
        assert "Hello" not in s_client(f"{cecilia} -sess_in {tmp_path}/session")
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    web.check_output("systemctl stop responder")
    with logs("could not connect to OCSP responder"):
        assert refused(person("ghopper")) == "SSLV3_ALERT_HANDSHAKE_FAILURE"
    deploy({})
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"
    assert visit(person("cpayne")).text == "Hello Cecilia Payne!"


def test_responder_and_rules_that_httpd_cannot_keep_are_refused_by_a_run() -> None:
    """The message says what an address begins with, and why (tests/unit has more); certificates have no roles."""
    unkept = [{"path": "/admin", "attributes": {"CernRoles": ["admin"]}}, {"path": "/api", "programs": True}]
    rules = [{"path": "/login"}, *unkept]
    said = refusal({"client_certificates_ocsp": "https://ocsp.example.org/", "flask_sso_protected": rules})
    assert "client_certificates_ocsp is" in said
    assert "It has to begin with" in said
    assert "flask_sso_protected has rules for /admin, /api, which client certificates cannot keep" in said


GRACE, CECILIA = {"subject": "CN=Grace Hopper"}, {"subject": "CN=Cecilia Payne"}


@pytest.mark.parametrize(
    ("allowed", "admitted", "other"),
    [
        (lambda: [{"serial": serial(person("ghopper"))}, CECILIA | {"issuer": "CN=another"}], "ghopper", "cpayne"),
        (lambda: [CECILIA | {"issuer": ISSUER}, GRACE | {"serial": "01"}], "cpayne", "ghopper"),
    ],
    ids=["serial", "subject and issuer"],
)
def test_valid_certificate_that_is_not_allowed_gets_a_readable_page(
    logs: Logs, allowed: Callable[[], list], admitted: str, other: str
) -> None:
    """All values of an entry have to match; a visitor without access sees the serial number and the contact."""
    deploy({"client_certificates_allowed": allowed()})
    assert visit(person(admitted)).status_code == 200
    for http2 in (False, True):
        with logs("AH01630: client denied by server configuration"):
            answer = visit(person(other), http2=http2)
        assert answer.status_code == 403
        assert "Access denied" in answer.text
        assert serial(person(other)) in answer.text


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
    """Return the host of a running LDAP directory that has only Grace."""
    host = testinfra.get_host(f"docker://{bench_client.containers()['ldap.example.org'].name}")
    certificate = ssl.PEM_cert_to_DER_cert(person("ghopper")[0].read_text())
    entries = ENTRIES.format(base64.b64encode(certificate).decode())
    host.check_output(f"{START}; timeout 10 sh -c 'until ldapwhoami -x -H {SOCKET}; do sleep 0.1; done' 2>&-")
    host.check_output(f"ldapadd -x -H {SOCKET} -D {ACCOUNT} -w {bench_client.password()} <<'END'\n{entries}END")
    yield host
    host.check_output("systemctl stop directory; rm /var/lib/people/*")


def deploy_with(**settings: str) -> None:
    """Deploy the site with the LDAP directory of its users."""
    environment = {"FLASK_SSO_LDAP": LDAP | settings}
    said = deploy(
        {
            "flask_app_environment": environment,
            "flask_app_requirements": "requirements-ldap.txt",
            "flask_app_packages": ["libldap-dev", "libsasl2-dev"],
            "flask_app_credentials": {"ldap_password": bench_client.password()},
        }
    )
    assert bench_client.password() not in said


def test_directory_has_the_name_for_a_certificate(
    web: Host, directory: Host, application_logs: Logs, tmp_path: Path
) -> None:
    """Grace has the name of her entry, not of her certificate; a certificate without an entry has no user."""
    deploy_with()
    me = visit(person("ghopper"), "/api/me").json()
    assert (me["identifier"], me["name"], me["email"]) == ("hopper", "Rear Admiral Hopper", "hopper@example.org")
    assert me["groups"] == ["cn=fleet,dc=example,dc=org"]
    with application_logs(f"serial number {serial(person('cpayne'))} of '{ISSUER}' matches no person in the directory"):
        assert visit(person("cpayne")).text == "Hello Unauthorized!"
    assert visit(forge(tmp_path, "Grace Hopper")).text == "Hello Unauthorized!"
    secret = web.file("/etc/flask_app/credentials/ldap_password")
    assert (secret.user, secret.group, secret.mode) == ("root", "flask_app", 0o440)


def test_directory_that_is_down_is_reported(web: Host, directory: Host) -> None:
    """Users do not become anonymous; once it is back, everything is as before."""
    directory.check_output("systemctl stop directory")
    time.sleep(1)  # what the application remembers
    answer = visit(person("ghopper"))
    assert (answer.status_code, "directory of users does not answer" in answer.text) == (503, True)
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
