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
import httpx
import pytest
from bench_fixtures import run_playbook
from testinfra.host import Host
from visitors import AUTHORITY, ODD_NAMES, TWINS, WRONG, forge, person, refused, stale_list, visit

UNIT = "flask_app-gunicorn"
deploy = partial(run_playbook, "molecule/gunicorn_mtls/converge.yml")


def logs(web: Host, phrase: str, action: Callable[[], bool]) -> bool:
    """Do something; return its result if the service's journal has the phrase because of it."""
    cursor = web.check_output(f"journalctl --unit={UNIT} --quiet --lines=0 --show-cursor | sed 's/^-- cursor: //'")
    result = action()
    watch = f"journalctl --unit={UNIT} --follow --after-cursor='{cursor}' | grep --max-count=1 --fixed-strings"
    return result and web.run(f"timeout 10 sh -c \"{watch} '{phrase}'\"").stdout != ""


@pytest.mark.parametrize(("who", "name"), [("ghopper", "Grace Hopper"), ("cpayne", "Cecilia Payne")])
def test_right_certificate_is_greeted_by_name(who: str, name: str) -> None:
    """The application sees the certificate in the connection; /ping is the original's proof."""
    assert visit(person(who)).text == f"Hello {name}!"
    assert visit(person(who), "/ping").text == "pong"
    me = visit(person(who), "/api/me").json()
    assert me["attributes"]["subject"] == [f"CN={name}"]
    assert me["session"]["identity_provider"] == "CN=campus.flask_sso private authority"


def test_browser_shows_its_certificate() -> None:
    """Chromium imports the .p12 file with its passphrase and is let in without a question."""
    with bench_client.browser(AUTHORITY / "people" / "ghopper") as page:
        page.goto(bench_client.SITE)
        assert "Grace Hopper" in page.text_content("main")


def test_no_certificate_no_page(web: Host) -> None:
    """The handshake fails, and the journal says for want of what."""
    with pytest.raises(httpx.ReadError, match="CERTIFICATE_REQUIRED"):
        visit(None)
    assert logs(web, "peer did not return a certificate", lambda: refused(None))


@pytest.mark.parametrize(("options", "reason"), WRONG.values(), ids=WRONG.keys())
def test_wrong_certificate_is_refused_and_the_journal_says_why(
    web: Host, tmp_path: Path, options: dict, reason: str
) -> None:
    """The visitor sees a broken handshake, the journal the reason."""
    assert logs(web, reason, lambda: refused(forge(tmp_path, "Grace Hopper", **options)))


def test_certificate_of_two_people_is_nobody(tmp_path: Path) -> None:
    """The server takes it, the application does not choose."""
    assert visit(forge(tmp_path, "Grace Hopper", "Cecilia Payne")).text == "Hello Unauthorized!"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    """Nothing in a name makes it another one."""
    assert visit(forge(tmp_path, name)).text == f"Hello {name}!"


def test_headers_change_nobodys_name(tmp_path: Path) -> None:
    """Neither of somebody with a certificate nor of one who is nobody."""
    assert visit(person("ghopper"), headers=TWINS).text == "Hello Grace Hopper!"
    assert visit(forge(tmp_path, "Grace Hopper", "Cecilia Payne"), headers=TWINS).text == "Hello Unauthorized!"


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


def test_revoked_certificate_is_refused(web: Host, tmp_path: Path) -> None:
    """Until the run she is let in, after it not; nobody else notices the restart."""
    lost = [(tmp_path / name) for name in ("certificate.pem", "key.pem")]
    for source, copy in zip(person("hleavitt"), lost, strict=True):
        copy.write_bytes(source.read_bytes())
    assert visit(tuple(lost)).text == "Hello Henrietta Leavitt!"
    code, said = run_playbook("playbooks/revoke_client_certificates.yml", {"private_ca_revoke": ["hleavitt"]})
    assert code == 0, said
    code, said = deploy({})
    assert code == 0, said
    assert logs(web, "certificate revoked", lambda: refused(tuple(lost)))
    assert visit(person("hleavitt")).text == "Hello Henrietta Leavitt!"  # she has a new one


def test_list_out_of_date_lets_nobody_in(web: Host) -> None:
    """Nobody has run anything for too long: better closed than open, and the journal says why."""
    path = "/etc/flask_app/tls/client-revoked.pem"
    before = web.file(path).content_string
    write = f"cat > {path} <<'END'\n{{}}END\nsystemctl restart {UNIT}"
    web.check_output(write.format(stale_list()))
    closed = logs(web, "CRL has expired", lambda: refused(person("ghopper")))
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
