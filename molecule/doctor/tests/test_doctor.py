# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor is silent about the healthy host; it names each fault by its code alone, and no secret."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bench_client
import httpx
import pytest
import testinfra
from bench_fixtures import run_playbook
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from faults import (
    CLOCK,
    FAULTS,
    RELOAD,
    REMEDIES,
    RESTART,
    SERVER,
    TUTORIAL,
    TUTORIAL_FAULTS,
    Fault,
    changed,
    written,
)
from testinfra.host import Host

TLS = "/etc/ssl/flask_sso/flask_app"
CERTIFICATE, KEY = f"{TLS}/certificate.pem", f"{TLS}/private_ca-key.pem"
CREDENTIAL = "/etc/flask_app/credentials/secret_key"
SECRETS = [KEY, "/etc/shibboleth/keys/1/sp-signing-key.pem", CREDENTIAL]
TUTORIAL_NAME = "tutorial.example.org"
TUTORIAL_FILE = Path(__file__).parents[1] / "files/tutorial.conf"
RESULTS = "/var/lib/flask-sso-doctor"
# Services take effect a moment after systemctl returns.
ATTEMPTS = 8
# What the doctor has printed about any fault, and whether it was right.
PRINTED: list[str] = []
NAMED: dict[str, bool] = {}
# The faults whose printed remedy was followed, after which the doctor was content.
FOLLOWED: list[str] = []


def examine(web: Host, options: str = "") -> dict[str, str]:
    """Return the severities of all checks by their codes, and keep what was printed."""
    printed = web.run(f"PYTHONPATH={CLOCK} flask-sso-doctor --format json {options}").stdout
    PRINTED.append(printed)
    return {each["code"]: each["severity"] for each in json.loads(printed)["checks"]}


def faults_of(found: dict[str, str], *wanted: str) -> set[str]:
    """Return the codes of what is worse than a note, and of notes that are wanted."""
    return {
        code
        for code, severity in found.items()
        if severity in ("warning", "error") or (severity == "note" and code in wanted)
    }


def result(code: str) -> dict:
    """Return what the doctor printed last about a check."""
    return next(each for each in json.loads(PRINTED[-1])["checks"] if each["code"] == code)


def wrong() -> str:
    """Return what the doctor printed last about what is not right."""
    checks = json.loads(PRINTED[-1])["checks"]
    return "\n".join(
        f"{each['code']} {each['severity']}: {each['seen']}" for each in checks if each["severity"] != "ok"
    )


def expect(web: Host, *codes: str) -> None:
    """Examine the host until the doctor reports these codes and no other; the last answer counts."""
    for _attempt in range(ATTEMPTS):
        found = examine(web)
        if faults_of(found, *codes) == set(codes):
            return
        time.sleep(0.5)
    assert faults_of(found, *codes) == set(codes), wrong()


def expect_healed(web: Host, code: str) -> None:
    """Have only this check look at the host, until it is content."""
    for _attempt in range(ATTEMPTS):
        if not faults_of(examine(web, f"--only {code}"), code):
            return
        time.sleep(0.5)
    pytest.fail(wrong())


def try_fault(web: Host, name: str, fault: Fault) -> None:
    """Inject a fault, have the doctor name it by its code alone, do what it says, and leave the host as it was."""
    host = web if fault.on == "web" else provider()
    NAMED[name] = False
    injected = host.run(fault.inject)
    try:
        assert injected.rc == 0, injected.stderr
        show(host, fault)
        expect(web, fault.code)
        assert fault.says in " ".join(result(fault.code)["seen"])
        NAMED[name] = True
        if name in REMEDIES:
            host.check_output(REMEDIES[name].command(result(fault.code)["remedy"]))
            expect_healed(web, fault.code)
            FOLLOWED.append(name)
    finally:
        host.check_output(fault.heal)
    expect_healed(web, fault.code)


def provider() -> Host:
    """Return the host of the identity provider."""
    return testinfra.get_host(f"docker://{bench_client.containers()[bench_client.IDP_HOST].name}")


def show(host: Host, fault: Fault) -> None:
    """Do what makes a fault show, as a visitor."""
    with bench_client.client() as visitor:
        if fault.shown_by == "large request":
            visitor.get("/", headers={"Cookie": "a=" + 6000 * "b"})
        elif fault.shown_by == "login":
            page = visitor.get(fault.path)
            try:
                host.check_output(fault.meanwhile[0])
                bench_client.answer_provider(visitor, page, fault.user)
            finally:
                host.check_output(fault.meanwhile[1])


# The host has none of it: a container may have no log of the kernel, and the site no other way to log in.
EXPECTED_SKIPS = {"FS004", "FS006", "FS306", "FS508", "FS604", "FS801", "FS802", "FS803"}


def test_healthy_host_satisfies_every_check_in_15_seconds(web: Host) -> None:
    """No check warns, and those that are not looked at do not apply. An administrator in trouble does not wait."""
    begin = time.monotonic()
    done = web.run("flask-sso-doctor --format json")
    assert time.monotonic() - begin < 15
    checks = json.loads(done.stdout)["checks"]
    assert [each for each in checks if each["severity"] in ("warning", "error")] == []
    assert [each for each in checks if any("failed itself" in seen for seen in each["seen"])] == []
    skipped = {each["code"]: each["seen"] for each in checks if each["severity"] == "skipped"}
    assert set(skipped) <= EXPECTED_SKIPS, skipped
    assert done.rc == 0


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named_by_its_code_alone(web: Host, name: str) -> None:
    """Inject, name, heal."""
    try_fault(web, name, FAULTS[name])


def certificate(
    web: Host, days: int, name: str = bench_client.HOST, own_key: bool = False, by_public_ca: bool = False
) -> str:
    """Make a certificate for the host's key, or for another one, as PEM: by itself, or as if by a public CA."""
    key = serialization.load_pem_private_key(web.check_output(f"cat {KEY}").encode(), None)
    other = ec.generate_private_key(ec.SECP256R1())
    if own_key:
        key = other
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    if by_public_ca:
        place = x509.UniformResourceIdentifier("http://ca.example.org/intermediate.crt")
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An intermediate CA")])
        signed = builder.issuer_name(issuer).add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    else:
        signed = builder.issuer_name(subject)
    made = signed.sign(other if by_public_ca else key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


CERTIFICATES = {
    "other_key": ("FS301", {"days": 90, "own_key": True}, "true"),
    "not_reloaded": ("FS302", {"days": 90}, "true"),
    "expires": ("FS303", {"days": 5}, RELOAD),
    "other_name": ("FS304", {"days": 90, "name": "other.example.org"}, RELOAD),
    "chain_incomplete": ("FS305", {"days": 90, "by_public_ca": True}, RELOAD),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_fault_of_the_certificate_is_named(web: Host, name: str) -> None:
    """The certificate on the disk is replaced, and httpd reads it or not."""
    code, made, then = CERTIFICATES[name]
    try_fault(web, name, written(code, CERTIFICATE, certificate(web, **made), then))


@pytest.mark.parametrize(("name", "days"), [("revocation_list_expired", -2), ("revocation_list_expires", 2)])
def test_old_revocation_list_is_named(web: Host, name: str, days: int) -> None:
    """Whether httpd has read it or not."""
    now = datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A CA")])
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer).last_update(now - timedelta(days=30))
    made = builder.next_update(now + timedelta(days=days)).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    text = made.public_bytes(serialization.Encoding.PEM).decode()
    write(web, "/root/list.pem", text)
    try_fault(
        web,
        name,
        changed("FS306", SERVER, "s#^ *SSLEngine on#&\\nSSLCARevocationFile /root/list.pem#"),
    )


def write(web: Host, path: str, text: str) -> None:
    """Write a file on the host."""
    web.check_output(f"cat > {path} <<'END'\n{text}\nEND")


@pytest.fixture(scope="module")
def tutorial(web: Host) -> Iterator[None]:
    """Have a second site, which was written by hand, with a certificate of another private CA."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("The tutorial's CA", TUTORIAL_NAME)
    ]
    made = []
    for key, name in zip(keys, names, strict=True):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=name == names[0], path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(TUTORIAL_NAME)]), critical=False)
        )
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write(web, "/root/ca.pem", made[0])
    write(web, "/etc/ssl/tutorial.pem", made[1] + keys[1].private_bytes(*plain).decode())
    write(web, TUTORIAL, TUTORIAL_FILE.read_text())
    web.check_output(
        "openssl x509 -in /root/ca.pem -noout -hash > /root/hash"
        " && cp /root/ca.pem /etc/ssl/certs/$(cat /root/hash).0"
        f" && cp /etc/hosts /root/hosts && echo 127.0.0.1 {TUTORIAL_NAME} >> /etc/hosts"
        " && mkdir -p /var/www/tutorial/provider/.well-known && cd /var/www/tutorial"
        " && echo Welcome | tee index.html provider/authorize"
        """ && echo '{"claims_supported": ["sub", "roles"]}' > provider/.well-known/openid-configuration"""
        f" && {RESTART}"
    )
    yield
    web.check_output(f"rm {TUTORIAL} /etc/ssl/certs/$(cat /root/hash).0 && cat /root/hosts > /etc/hosts && {RESTART}")


def test_site_that_was_written_by_hand_is_understood(web: Host, tutorial: None) -> None:
    """It has no fault; what does not apply to it is not looked at, and the reason is said."""
    expect(web)
    checks = {each["code"]: each["seen"] for each in json.loads(PRINTED[-1])["checks"]}
    assert f"{TUTORIAL_NAME} is on port 443." in checks["FS202"]
    assert f"{TUTORIAL_NAME} is trusted." in checks["FS604"]
    assert checks["FS306"] == ["Not looked at: no site here has a revocation list."]


@pytest.mark.parametrize("name", TUTORIAL_FAULTS)
def test_fault_of_a_site_that_was_written_by_hand_is_named(web: Host, tutorial: None, name: str) -> None:
    """Inject, name, heal."""
    try_fault(web, name, TUTORIAL_FAULTS[name])


def test_all_faults_were_named(web: Host, capsys: pytest.CaptureFixture, request: pytest.FixtureRequest) -> None:
    """Count them, and find the host as healthy as before."""
    right = sum(NAMED.values())
    with capsys.disabled():
        print(f"\n{len(NAMED)} faults, {right} named, {len(NAMED) - right} wrong")
    assert right == len(NAMED)
    if not request.config.option.keyword:
        assert sorted(FOLLOWED) == sorted(REMEDIES)
        assert len([name for name in NAMED if not name.startswith(("logged_", "simulated_"))]) >= 40
    expect(web)


def test_deployment_that_ends_without_a_page_says_what_the_doctor_finds(web: Host) -> None:
    """The last step of site.yml alone, while httpd may not open the application's socket."""
    web.check_output(FAULTS["application_socket"].inject)
    step = ["--start-at-task", "Check that the site answers, if only with a login page or an error 403"]
    try:
        code, printed = run_playbook("playbooks/site.yml", {"shibboleth_sp_part": {}}, *step)
    finally:
        web.check_output(FAULTS["application_socket"].heal)
    assert code != 0
    assert "FS401: httpd's account has no right to write to the socket of the application" in printed


def test_playbook_reports_the_same_and_fails_after_an_error(web: Host) -> None:
    """It needs nothing on the host."""
    assert run_playbook("playbooks/doctor.yml", {})[0] == 0
    web.check_output("systemctl stop shibd")
    try:
        code, printed = run_playbook("playbooks/doctor.yml", {"doctor_only": ["FS1"]})
    finally:
        web.check_output("systemctl start shibd")
    assert code != 0
    assert "FS101: A service that every request needs does not run" in printed


def test_timer_writes_the_results_for_monitoring(web: Host) -> None:
    """It runs regularly; here at once."""
    assert web.service("flask-sso-doctor.timer").is_enabled
    assert web.service("flask-sso-doctor.timer").is_running
    web.check_output("systemctl start flask-sso-doctor.service")
    gauges = web.check_output(f"cat {RESULTS}/flask_sso_doctor.prom").splitlines()
    assert 'flask_sso_doctor_severity{code="FS101"} 0' in gauges
    written = json.loads(web.check_output(f"cat {RESULTS}/flask_sso_doctor.json"))
    # In its sandbox it sees what it sees outside.
    assert {each["code"]: each["severity"] for each in written["checks"]} == examine(web)
    assert f"flask_sso_doctor_time_seconds {written['time']}" in gauges
    assert web.file(f"{RESULTS}/flask_sso_doctor.json").mode == 0o640


def test_a_result_that_cannot_be_written_is_a_fault_of_the_timer(web: Host) -> None:
    """Monitoring would take an old result for the present one."""
    web.check_output(f"mount -o bind,ro {RESULTS} {RESULTS}")
    try:
        assert web.run("systemctl start flask-sso-doctor.service").rc != 0
    finally:
        web.check_output(f"umount {RESULTS}")


def test_timer_goes_with_its_command(web: Host) -> None:
    """The last step of remove.yml alone, on a host whose last site had the command."""
    step = ["--start-at-task", "Stop the timer of the doctor, if its command went with the last site"]
    assert run_playbook("playbooks/remove.yml", {}, *step)[0] == 0
    assert web.service("flask-sso-doctor.timer").is_running
    assert run_playbook("playbooks/remove.yml", {"doctor_path": "/usr/local/sbin/gone"}, *step)[0] == 0
    assert not web.service("flask-sso-doctor.timer").is_running
    assert not web.file("/etc/systemd/system/flask-sso-doctor.timer").exists
    assert web.run(f"ls {RESULTS}").stdout == ""


def test_login_is_listed(web: Host, visitor: httpx.Client) -> None:
    """A login that worked is in the list, with its provider and without the user."""
    response, _trace = bench_client.saml_login(visitor, "/login", "ghopper")
    assert response.status_code == 200
    printed = web.run("flask-sso-doctor login --since 5m").stdout
    assert "A login by https://auth.cern.ch/auth/realms/cern." in printed
    assert "ghopper" not in printed


def test_no_output_shows_a_secret(web: Host) -> None:
    """Neither keys nor session cookies are in any form of the output."""
    forms = ["--format people", "--format prometheus", "login --since 1d"]
    printed = "".join([*PRINTED, *(web.run(f"flask-sso-doctor {form}").stdout for form in forms)])
    lines = [line for path in SECRETS for line in web.check_output(f"cat {path}").splitlines() if "-----" not in line]
    assert len(lines) > len(SECRETS)
    assert [line for line in lines if line in printed] == []
    assert "_shibsession_" not in printed
    assert "secret-that" not in printed  # of the tutorial
