# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gunicorn requests certificates and passes their owners to the application; the last tests change the site."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import bench_client
import pytest
from bench_fixtures import run_playbook
from client_certificate_tests import *  # noqa: F403 (tests and fixtures that pytest finds here, too)
from client_certificate_tests import ISSUER, Logs, refusal
from client_certificates import Gate, connect, journal, person, refused, stale_list, tls, visit
from testinfra.host import Host

UNIT = "flask_app-gunicorn"


@pytest.fixture
def gate() -> Gate:
    """Return the settings of this gate."""
    return Gate(
        unit=UNIT,
        log=journal(UNIT),
        list_file="/etc/flask_app/tls/client-revoked.pem",
        read_list=f"systemctl restart {UNIT}",
        list_alert="SSLV3_ALERT_CERTIFICATE_EXPIRED",
        resumes=False,
    )


def test_doctor_finds_no_fault_without_httpd() -> None:
    """The command is a part of httpd's files, so the playbook brings it; it says what it cannot look at."""
    code, printed = run_playbook("playbooks/doctor.yml", {})
    assert code == 0
    assert "Not looked at: httpd is not installed here." in printed
    assert "0 error, 0 warning" in printed


def test_no_certificate_no_page(logs: Logs) -> None:
    """The TLS handshake already fails, with the alert for which a browser reports what is missing."""
    with logs("peer did not return a certificate"):
        assert refused(None) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def test_session_is_not_resumed() -> None:
    """Each process would keep those of TLS 1.2 in its context, as long as their connections are open."""
    context = tls(person("ghopper"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(context) as first:
        for _ in range(8):
            with connect(context, first.session) as second:
                assert not second.session_reused


def test_silent_visitors_hold_no_thread_for_long() -> None:
    """Twenty connections with one byte each, for eight threads: the others wait for seconds, not forever.

    The system may give all of them to one process, whose four threads then wait five times ten seconds.
    """
    address = (bench_client.addresses()[bench_client.HOST], 443)
    with ExitStack() as crowd:
        for _ in range(20):
            crowd.enter_context(socket.create_connection(address)).send(b"\x16")
        assert visit(person("ghopper"), timeout=60).text == "Hello Grace Hopper!"


def test_service_is_closed_in(web: Host) -> None:
    """It runs as its own account in a sandbox, reads its key through its group, and nothing of Apache is there."""
    assert web.check_output(f"systemctl show --property=User --value {UNIT}") == "flask_app"
    score = web.run(f"systemd-analyze security {UNIT} | tail -1").stdout.split("service:")[1].split()[0]
    assert float(score) < 2
    key = web.file("/etc/flask_app/tls/key.pem")
    assert (key.user, key.group, key.mode) == ("root", "flask_app", 0o640)
    assert web.file("/etc/flask_app/tls").mode == 0o750
    assert not web.package("apache2").is_installed
    assert web.socket("tcp://443").is_listening
    assert not web.socket("tcp://80").is_listening


def test_expired_crl_is_refused_by_a_run(tmp_path: Path) -> None:
    """The message says since when certificates would be refused."""
    path = tmp_path / "crl.pem"
    path.write_text(stale_list())
    said = refusal({"flask_app_tls_client_crl_file": str(path)})
    assert "valid client certificates would be refused" in said
    assert f'"{path}": the CRL of {ISSUER} expired on' in said


def test_certificate_that_is_not_for_servers_is_refused_by_a_run() -> None:
    """Such as a person's, although the private CA issued it."""
    certificate, key = person("ghopper")
    said = refusal({"flask_app_tls_certificate_file": str(certificate), "flask_app_tls_key_file": str(key)})
    assert "is not for servers, as its extendedKeyUsage has no serverAuth" in said


def test_port_of_another_program_is_refused_by_a_run(web: Host) -> None:
    """The message names the program."""
    web.check_output("systemd-run --unit=other python3 -m http.server 8443")
    web.check_output("timeout 10 sh -c 'until ss --listening --tcp --numeric | grep --quiet :8443; do sleep 0.1; done'")
    said = refusal({"flask_app_socket": "8443"})
    web.check_output("systemctl stop other")
    assert "is held by python3. Stop that service" in said


def test_settings_that_do_not_fit_are_refused() -> None:
    """Before anything has changed."""
    nowhere = {"flask_app_tls_key_file": "/nowhere.pem", "flask_app_tls_client_ca_file": "/nowhere.pem"}
    said = refusal({"flask_app_server": "uwsgi"} | nowhere, "--tags=all")
    assert "changed=0 " in said
    assert "Only gunicorn serves TLS by itself" in said
    assert "Write both paths, or neither" in said
    assert 'flask_app_tls_client_ca_file is "/nowhere.pem"' in said
    assert "one of them is not a file on the controller. Write the paths of PEM files" in said
