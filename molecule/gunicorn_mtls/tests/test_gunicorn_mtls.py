# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gunicorn alone asks for certificates and tells the application whose they are; the last tests change the site."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import bench_client
import pytest
from bench_fixtures import run_playbook
from client_certificate_tests import *  # noqa: F403 (tests that pytest finds here, too)
from client_certificates import person, refused, stale_list, stolen, visit
from testinfra.host import Host

UNIT = "flask_app-gunicorn"
deploy = partial(run_playbook, "molecule/gunicorn_mtls/converge.yml")


@pytest.fixture
def logs(web: Host) -> Callable[..., bool]:
    """Return what does something, and returns the result if the service's journal has a phrase because of it."""

    def watch(phrase: str, action: Callable[[], bool]) -> bool:
        cursor = web.check_output(f"journalctl --unit={UNIT} --quiet --lines=0 --show-cursor | sed 's/^-- cursor: //'")
        result = action()
        follow = f"journalctl --unit={UNIT} --follow --after-cursor='{cursor}' | grep --max-count=1 --fixed-strings"
        return result and web.run(f"timeout 10 sh -c \"{follow} '{phrase}'\"").stdout != ""

    return watch


def test_want_of_a_certificate_is_logged(logs: Callable[..., bool]) -> None:
    """The journal says for want of what the handshake failed."""
    assert logs("peer did not return a certificate", lambda: refused(None))


def test_old_tls_is_refused() -> None:
    """Version 1.1 ends in an alert, 1.2 offers none but forward-secret authenticated encryption."""
    address = bench_client.addresses()[bench_client.HOST]
    for offer, alert in {
        "-tls1_1 -cipher ALL:@SECLEVEL=0": "alert protocol version",
        "-tls1_2 -cipher AES256-GCM-SHA384": "alert handshake failure",
    }.items():
        command = ["openssl", "s_client", "-connect", f"{address}:443", *offer.split()]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=20, check=False)
        assert alert in done.stderr


def test_silent_visitors_hold_no_thread_for_long() -> None:
    """Twenty connections with one byte each, for eight threads: the others wait for seconds, not for ever."""
    address = (bench_client.addresses()[bench_client.HOST], 443)
    with ExitStack() as crowd:
        for _ in range(20):
            crowd.enter_context(socket.create_connection(address)).send(b"\x16")
        assert visit(person("ghopper"), timeout=50).text == "Hello Grace Hopper!"


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


def test_revoked_certificate_is_refused(logs: Callable[..., bool], tmp_path: Path) -> None:
    """Until the run she is let in, after it not."""
    lost = stolen(tmp_path, "hleavitt")
    assert visit(lost).text == "Hello Henrietta Leavitt!"
    code, said = run_playbook("playbooks/revoke_client_certificates.yml", {"private_ca_revoke": ["hleavitt"]})
    assert code == 0, said
    code, said = deploy({})
    assert code == 0, said
    assert logs("certificate revoked", lambda: refused(lost))
    assert visit(person("hleavitt")).text == "Hello Henrietta Leavitt!"  # she has a new one


def test_list_out_of_date_lets_nobody_in(web: Host, logs: Callable[..., bool]) -> None:
    """Nobody has run anything for too long: better closed than open, and the journal says why."""
    path = "/etc/flask_app/tls/client-revoked.pem"
    before = web.file(path).content_string
    write = f"cat > {path} <<'END'\n{{}}END\nsystemctl restart {UNIT}"
    web.check_output(write.format(stale_list()))
    closed = logs("CRL has expired", lambda: refused(person("ghopper")))
    web.check_output(write.format(before))
    assert closed
    assert visit(person("ghopper")).text == "Hello Grace Hopper!"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"flask_app_server": "uwsgi"}, "Only gunicorn serves TLS by itself"),
        ({"flask_app_tls_key_file": "/nowhere.pem"}, "Write both paths, or neither"),
        ({"flask_app_tls_client_ca_file": "/nowhere.pem"}, "one of them is no file on the controller"),
    ],
)
def test_settings_that_do_not_fit_are_refused(variables: dict, message: str) -> None:
    """Before anything has changed."""
    code, said = deploy(variables)
    assert code == 2, said
    assert message in said
