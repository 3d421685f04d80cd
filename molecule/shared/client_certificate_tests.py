# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests for every gate that requests certificates; the tests of a scenario import them.

A scenario whose gate is not httpd, or not for the whole site, has a fixture `gate` of its own. The last tests change
the site, and restore it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import bench_client
import pytest
from bench_fixtures import run_playbook
from client_certificates import (
    AUTHORITY,
    ODD_NAMES,
    TWINS,
    WRONG,
    Gate,
    forge,
    journal,
    logged,
    person,
    refused,
    s_client,
    serial,
    stale_list,
    stolen,
    visit,
)
from testinfra.host import Host

ISSUER = "CN=campus.flask_sso private CA"
VERSIONS = ("tls1_2", "tls1_3")
Logs = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def gate() -> Gate:
    """Return the settings of the gate."""
    return Gate()


@pytest.fixture
def logs(web: Host, gate: Gate) -> Logs:
    """Return a context manager that requires a new phrase in the gate's log."""
    return partial(logged, web, gate.log)


@pytest.fixture
def application_logs(web: Host, gate: Gate) -> Logs:
    """Return the same for the application's journal."""
    return partial(logged, web, journal(gate.unit))


def deploy(variables: dict, issue: bool = False) -> str:
    """Deploy the scenario's site with these variables; return what the run says.

    Checking all people's certificates doubles the time of a run, so it is done only with `issue`, which also issues
    those that are missing.
    """
    people = {} if issue else {"private_ca_people": []}
    code, said = run_playbook(f"molecule/{os.environ['MOLECULE_SCENARIO_NAME']}/converge.yml", people | variables)
    assert code == 0, said
    return said


def refusal(variables: dict, *options: str) -> str:
    """Require that a run, by default the checks with which it begins, refuses these variables; return what it says."""
    playbook = f"molecule/{os.environ['MOLECULE_SCENARIO_NAME']}/converge.yml"
    code, said = run_playbook(playbook, variables, *(options or ["--tags=preflight"]))
    assert code == 2, said
    return said


@pytest.mark.parametrize(("who", "name"), [("ghopper", "Grace Hopper"), ("cpayne", "Cecilia Payne")])
def test_right_certificate_is_greeted_by_name(gate: Gate, who: str, name: str) -> None:
    """The application knows the certificate's subject and issuer."""
    assert visit(person(who), f"{gate.path}/hello").text == f"Hello {name}!"
    assert visit(person(who), f"{gate.path}/ping").text == "pong"
    me = visit(person(who), f"{gate.path}/api/me").json()
    assert me["attributes"]["subject"] == [f"CN={name}"]
    assert me["session"]["identity_provider"] == ISSUER


def test_browser_shows_its_certificate(gate: Gate) -> None:
    """Chromium imports the .p12 file with its passphrase and is let in without a question."""
    with bench_client.browser(AUTHORITY / "people" / "ghopper") as page:
        page.goto(f"{bench_client.SITE}{gate.path}/")
        assert "Grace Hopper" in page.text_content("main")
        page.screenshot(path=bench_client.ARTIFACTS / "bench" / "client-certificate.png")


@pytest.mark.parametrize(("options", "alert", "reason"), WRONG.values(), ids=WRONG.keys())
def test_wrong_certificate_is_refused_and_the_log_has_the_reason(
    logs: Logs, tmp_path: Path, options: dict, alert: str, reason: str
) -> None:
    """The visitor gets an alert, the log has the reason."""
    with logs(reason):
        assert refused(forge(tmp_path, "Grace Hopper", **options)) == alert


def test_certificate_of_two_people_is_refused(gate: Gate, application_logs: Logs, tmp_path: Path) -> None:
    """The server accepts it, the application does not choose, and its log names the certificate."""
    files = forge(tmp_path, "Grace Hopper", "Cecilia Payne")
    with application_logs(f"serial number {serial(files)} of '{ISSUER}' does not have exactly one common name"):
        assert visit(files, f"{gate.path}/hello").text == "Hello Unauthorized!"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_taken_as_it_is(gate: Gate, tmp_path: Path, name: str) -> None:
    """No character in a name turns it into another one."""
    expected = re.sub("^ | $", gate.blank, name)
    assert visit(forge(tmp_path, name), f"{gate.path}/hello").text == f"Hello {expected}!"


def test_headers_change_no_name(gate: Gate, tmp_path: Path) -> None:
    """Neither of a visitor with a certificate nor of an anonymous one."""
    hello = f"{gate.path}/hello"
    assert visit(person("ghopper"), hello, headers=TWINS).text == "Hello Grace Hopper!"
    assert visit(forge(tmp_path, "Grace Hopper", "Cecilia Payne"), hello, headers=TWINS).text == "Hello Unauthorized!"


@pytest.mark.parametrize(
    ("offer", "alert", "reason"),
    [
        ("-tls1_1 -cipher ALL:@SECLEVEL=0", "alert protocol version", "unsupported protocol"),
        ("-tls1_2 -cipher AES256-GCM-SHA384", "alert handshake failure", "no shared cipher"),
    ],
    ids=["TLS 1.1", "no forward secrecy"],
)
def test_old_tls_is_refused(gate: Gate, logs: Logs, offer: str, alert: str, reason: str) -> None:
    """With the right certificate, too."""
    with logs(reason):
        said = s_client("-cert {} -key {} {}".format(*person("ghopper"), offer), gate.path)
    assert alert in said
    assert "Hello" not in said


def test_revoked_certificate_is_refused_and_its_sessions_are_not_resumed(
    gate: Gate, logs: Logs, tmp_path: Path
) -> None:
    """Until the site has the new CRL she has access; then neither a handshake nor an old session gets her a page."""
    lost = stolen(tmp_path, "hleavitt")

    def resume(version: str, keep: bool = False) -> str:
        session = tmp_path / version
        option = f"-sess_out {session}" if keep else f"-sess_in {session}" if session.exists() else ""
        return s_client(f"-cert {lost[0]} -key {lost[1]} -{version} {option}", gate.path)

    for version in VERSIONS:
        assert "Hello Henrietta Leavitt!" in resume(version, keep=True)
        again = resume(version)
        assert "Hello Henrietta Leavitt!" in again
        assert ("Reused, TLSv1" in again) == gate.resumes
    code, said = run_playbook("playbooks/revoke_client_certificates.yml", {"private_ca_revoke": ["hleavitt"]})
    assert code == 0, said
    assert visit(lost, f"{gate.path}/hello").text == "Hello Henrietta Leavitt!"
    deploy({}, issue=True)
    with logs("certificate revoked"):
        assert refused(lost) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    for version in VERSIONS:
        with logs("certificate revoked"):
            assert "Hello" not in resume(version)
    assert visit(person("hleavitt"), f"{gate.path}/hello").text == "Hello Henrietta Leavitt!"  # she has a new one


def test_expired_crl_refuses_all_certificates(web: Host, gate: Gate, logs: Logs) -> None:
    """Without a run for too long, the site is closed, and the log has the reason."""
    before = web.file(gate.list_file).content_string
    write = f"cat > {gate.list_file} <<'END'\n{{}}END\n{gate.read_list}"
    web.check_output(write.format(stale_list()))
    try:
        with logs("CRL has expired"):
            assert refused(person("ghopper")) == gate.list_alert
    finally:
        web.check_output(write.format(before))
    assert visit(person("ghopper"), f"{gate.path}/hello").text == "Hello Grace Hopper!"
