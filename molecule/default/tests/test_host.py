# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host runs what the site needs, under accounts that may do no more than they have to."""

import socket

import bench_client
import pytest
from platforms import Platform
from testinfra.host import Host

#: Names in braces are those of a Platform.
ACCOUNTS = ("flask_app", "flask_app-deploy", "{httpd_user}", "{shibd_user}", "nobody")
ENVIRONMENT = "/etc/flask_app/environment"
SECRET_KEY = "/etc/flask_app/credentials/secret_key"
SP_KEYS = ("/etc/shibboleth/keys/1/sp-signing-key.pem", "/etc/shibboleth/keys/1/sp-encrypt-key.pem")
TLS_KEY = "{tls_key}"


def named(names: Platform, text: str) -> str:
    """Put the distribution's names into a text."""
    return text.format_map({name: getattr(names, name) for name in (*names.__dataclass_fields__, "tls_key")})


def test_packages_are_up_to_date(web: Host) -> None:
    """The outdated package is upgraded."""
    if not web.exists("dpkg"):
        pytest.skip("the package is one of Debian's")
    assert web.package("outdated").version == "2"


@pytest.mark.parametrize("unit", ["{httpd}.service", "shibd.service", "flask_app.socket"])
def test_every_service_runs_and_starts_at_boot(web: Host, names: Platform, unit: str) -> None:
    """What the site consists of is there now and after a boot."""
    unit = named(names, unit)
    assert web.service(unit).is_running
    assert web.service(unit).is_enabled


@pytest.mark.parametrize(
    ("command", "accounts"),
    [("{httpd}", ["root", "{httpd_user}"]), ("shibd", ["{shibd_user}"]), ("uwsgi", ["flask_app"])],
)
def test_every_process_runs_under_its_own_account(
    web: Host, names: Platform, command: str, accounts: list[str]
) -> None:
    """No process serves requests as root: httpd's first process only opens the ports."""
    owners = web.check_output("ps -o user:32= -C %s", named(names, command)).split()
    assert set(owners) == {named(names, account) for account in accounts}
    assert owners.count("root") <= 1


def test_application_is_sandboxed_and_serves(web: Host, visitor) -> None:
    """systemd rates the exposure of the running service 2.0 or better."""
    assert visitor.get("/healthz").text == "ok"
    verdict = web.check_output("systemd-analyze security --no-pager flask_app.service").splitlines()[-1]
    assert float(verdict.split(":")[1].split()[0]) <= 2.0, verdict


def test_httpd_is_sandboxed(web: Host, names: Platform, capsys) -> None:
    """systemd rates the exposure 4.0 or better, 9.2 without the sandbox; all processes are in it."""
    verdict = web.check_output(f"systemd-analyze security --no-pager {names.httpd}.service").splitlines()[-1]
    with capsys.disabled():
        print(f"\n{verdict}")
    assert float(verdict.split(":")[1].split()[0]) <= 4.0, verdict
    flags = "grep --extended-regexp '^(NoNewPrivs|Seccomp):' /proc/$process/status"
    found = web.check_output(f"for process in $(ps -o pid= -C {names.httpd}); do {flags}; done | sort | uniq")
    assert found.split() == ["NoNewPrivs:", "1", "Seccomp:", "2"]


def test_httpd_can_neither_write_settings_nor_read_home_directories(web: Host, names: Platform) -> None:
    """What its mounts refuse, they refuse root, too."""
    httpd = f"nsenter --mount --target $(systemctl show --property=MainPID --value {names.httpd}) --"
    web.check_output("mkdir --parents /home/another && touch /home/another/diary /root/diary")
    for path in (f"{names.httpd_directory}/new", "/etc/passwd", "/usr/bin/env", "/boot/new"):
        assert "Read-only file system" in web.run(f"{httpd} touch {path}").stderr, path
    for path in ("/home/another/diary", "/root/diary"):
        assert web.file(path).exists
        assert web.run(f"{httpd} test -e {path}").failed, path
    web.check_output(f"{httpd} test -w {names.error_log}")
    web.check_output("rm --recursive /home/another /root/diary")


def test_nothing_but_ports_80_and_443_listens(web: Host) -> None:
    """Neither uWSGI nor shibd has a port, not even on the loopback address."""
    sockets = [line.split() for line in web.check_output("ss -H -l -n -t -u").splitlines()]
    docker_resolver = "127.0.0.11:"
    found = {(kind, local.rpartition(":")[2]) for kind, _, _, _, local, _ in sockets if docker_resolver not in local}
    assert found == {("tcp", "80"), ("tcp", "443")}


def test_nothing_but_ports_80_and_443_answers_from_outside() -> None:
    """Every TCP port is tried from the controller."""
    address = bench_client.addresses()[bench_client.HOST]
    assert [port for port in range(1, 65536) if answers(address, port)] == [80, 443]


def answers(address: str, port: int) -> bool:
    """Return whether a TCP connection is accepted."""
    with socket.socket() as connection:
        connection.settimeout(1)
        return connection.connect_ex((address, port)) == 0


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        (TLS_KEY, "root", "root", "600"),
        (SP_KEYS[0], "{shibd_user}", "{shibd_user}", "400"),
        (SP_KEYS[1], "{shibd_user}", "{shibd_user}", "400"),
        (SECRET_KEY, "root", "flask_app", "440"),
        (ENVIRONMENT, "root", "root", "600"),
        ("/run/flask_app.sock", "flask_app", "{httpd_user}", "660"),
        ("/run/shibboleth", "{shibd_user}", "{httpd_user}", "750"),
    ],
)
def test_keys_and_sockets_belong_to_who_uses_them(
    web: Host, names: Platform, path: str, owner: str, group: str, mode: str
) -> None:
    """Owner, group and mode are exactly the intended ones."""
    assert web.check_output("stat --format '%%U %%G %%a' %s", named(names, path)) == named(
        names, f"{owner} {group} {mode}"
    )


@pytest.mark.parametrize(
    ("path", "right", "accounts"),
    [
        (TLS_KEY, "-r", []),
        (SP_KEYS[0], "-r", ["{shibd_user}"]),
        (SP_KEYS[1], "-r", ["{shibd_user}"]),
        (SECRET_KEY, "-r", ["flask_app"]),
        (ENVIRONMENT, "-r", []),
        ("/run/flask_app.sock", "-w", ["flask_app", "{httpd_user}"]),
        ("/run/shibboleth/shibd.sock", "-w", ["{httpd_user}", "{shibd_user}"]),
    ],
)
def test_keys_and_sockets_are_closed_to_all_others(
    web: Host, names: Platform, path: str, right: str, accounts: list[str]
) -> None:
    """Each account tries for itself, so parent directories count too."""
    attempts = "; ".join(f"runuser -u {account} -- test {right} {path} && echo {account}" for account in ACCOUNTS)
    assert web.check_output(named(names, f"{attempts}; true")).split() == [named(names, one) for one in accounts]


def test_shibd_stays_closed_when_temporary_directories_are_set_up(web: Host, names: Platform) -> None:
    """As after a package is changed; the distribution's own setting would let every account pass."""
    web.check_output("systemd-tmpfiles --create --prefix=/run/shibboleth")
    assert web.check_output("stat --format '%%U %%G %%a' %s", "/run/shibboleth") == named(
        names, "{shibd_user} {httpd_user} 750"
    )


def test_application_cannot_change_its_own_code(web: Host) -> None:
    """The account that runs the code owns and may write nothing in releases, settings and programs."""
    assert web.check_output("runuser -u flask_app -- test -r /srv/flask_app/releases && echo readable") == "readable"
    # In another account's directory, find would end with the first of these.
    search = "cd /; runuser -u flask_app -- find /srv /etc /usr -not -type l ( -writable -or -user flask_app ) -print"
    assert web.run(search.replace("(", r"\(").replace(")", r"\)")).stdout == ""


@pytest.mark.parametrize("path", [TLS_KEY, *SP_KEYS, SECRET_KEY])
def test_secrets_stay_in_their_files(web: Host, names: Platform, path: str) -> None:
    """No other file has a copy, nor has a process in its arguments or the journal in a message."""
    path = named(names, path)
    secret = f"grep --invert-match -e ----- {path} | tail --lines=2 | head --lines=1"
    search = "grep --recursive --files-with-matches --fixed-strings --devices=skip --no-messages --file=-"
    assert len(web.check_output(secret)) == 64
    web.check_output("journalctl --output=cat > /run/journal.txt")
    found = web.run(f"{secret} | {search} /etc /home /opt /root /run /srv /tmp /var /proc/[0-9]*/cmdline")
    web.check_output("rm /run/journal.txt")
    assert found.stdout.split() == [path]
