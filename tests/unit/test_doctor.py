# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor reports every check, explains no fault twice, ends what takes too long, and shows no secret."""

from __future__ import annotations

import base64
import io
import json
import secrets
import socket
import ssl
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import doctor_docs
import pytest
from ansible_collections.campus.flask_sso.plugins.lookup import doctor_command as doctor_command_lookup
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor import command, logins, report, runner
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.checks.certificates import parse
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.host import Host, Output
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.model import (
    Check,
    Finding,
    Severity,
    UnseenError,
    check,
    error,
    ok,
    redacted,
)
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.site import Site, directive
from ansible_collections.campus.flask_sso.plugins.modules import doctor, doctor_command
from doctor_hosts import NOW, FakeHost, public_key, unit


def made(code: str, *findings: Finding, after: tuple[str, ...] = (), look=None, seconds: float = 5) -> Check:
    """Make a check that finds always the same, or does what `look` does."""
    return Check(
        code, f"Title {code}", "The cause.", "The remedy.", look or (lambda _site: iter(findings)), after, seconds
    )


@pytest.fixture
def checks(monkeypatch):
    """Have these checks instead of the doctor's own."""

    def have(*wanted: Check) -> list[runner.Result]:
        monkeypatch.setattr(runner, "CHECKS", {each.code: each for each in wanted})
        return runner.run(Site(FakeHost()))

    return have


def test_the_worst_is_first(checks):
    results = checks(made("FS1", ok("fine")), made("FS2", error("bad")), made("FS3", error("worse")))
    assert [each.check.code for each in results] == ["FS2", "FS3", "FS1"]


def test_what_a_fault_explains_is_not_looked_at_even_if_its_code_comes_first(checks):
    results = checks(made("FS1", error("consequence"), after=("FS2",)), made("FS2", error("cause")))
    assert [(each.check.code, each.severity.name) for each in results] == [("FS2", "ERROR"), ("FS1", "SKIPPED")]
    assert results[1].seen == ["Not looked at: FS2 would explain a fault."]


def test_a_check_that_takes_too_long_is_ended(checks):
    begin = time.monotonic()
    (result,) = checks(made("FS1", look=lambda _site: iter([time.sleep(5)]), seconds=0.1))
    assert result.severity == Severity.NOTE
    assert result.seen == ["This took longer than 0.1 seconds, and was ended."]
    assert time.monotonic() - begin < 2


def test_a_check_that_waits_for_the_network_too_long_reports_no_error(checks):
    def look(_site):
        try:
            time.sleep(5)
        except OSError as fault:
            yield error(str(fault))

    (result,) = checks(made("FS1", look=look, seconds=0.1))
    assert result.severity == Severity.NOTE


def test_no_check_begins_after_the_time_for_all(checks, monkeypatch):
    monkeypatch.setattr(runner, "SECONDS", 0)
    (result,) = checks(made("FS1", error("bad")))
    assert (result.severity, result.seen) == (
        Severity.SKIPPED,
        ["Not looked at: the 0 seconds for all checks are over."],
    )


def test_a_check_that_fails_itself_hides_no_other(checks):
    results = checks(made("FS1", look=lambda _site: {}["absent"]), made("FS2", error("bad")))
    assert [each.seen for each in results] == [["bad"], ["This check failed itself: KeyError: 'absent'"]]


def test_a_check_that_finds_nothing_says_so(checks):
    (result,) = checks(made("FS1"))
    assert (result.severity, result.seen) == (Severity.SKIPPED, ["Not looked at: this host has nothing of it."])


def test_a_code_has_one_check():
    with pytest.raises(ValueError, match="FS001 has two checks"):
        check("FS001", "Title", cause="Cause", remedy="Remedy")(lambda _site: iter([]))


@pytest.mark.parametrize(("severity", "status"), [("OK", 0), ("SKIPPED", 0), ("NOTE", 0), ("WARNING", 1), ("ERROR", 2)])
def test_the_exit_status_is_that_of_the_worst(checks, severity: str, status: int):
    results = checks(made("FS1", ok("fine")), made("FS2", Finding(Severity[severity], "seen")))
    assert report.status(results) == status


def test_people_read_cause_and_remedy_of_a_fault_only(checks):
    text = report.people(checks(made("FS1", ok("fine")), made("FS2", error("bad"))))
    assert text.startswith("[ERROR] FS2 Title FS2\n")
    assert "more  docs/doctor.md, FS2" in text
    assert text.count("The cause.") == text.count("The remedy.") == 1
    assert text.endswith("2 checks: 1 error, 0 warning, 0 note, 0 skipped, 1 ok.")
    assert "\033" not in text


def test_colours_are_only_for_a_terminal(checks):
    assert "\033[31m[ERROR]\033[0m FS1" in report.people(checks(made("FS1", error("bad"))), coloured=True)


def test_prometheus_reads_a_gauge_for_each_check(checks):
    lines = report.prometheus(checks(made("FS1", ok("fine")), made("FS2", error("bad"))), NOW).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "flask_sso_doctor_time_seconds 1800000000",
        'flask_sso_doctor_severity{code="FS1"} 0',
        'flask_sso_doctor_severity{code="FS2"} 4',
    ]


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PRIVATE KEY-----\nTUlJRXZRSUJBREFOQmdrcWhraUc5dzBCQVFFRkFBU0NC\n-----END PRIVATE KEY-----",
        "_shibsession_64656661756c7468747470733a2f2f=_0123456789abcdef0123456789abcdef",
        "TUlJRXZRSUJBREFOQmdrcWhraUc5dzBC/QVFFRkFBU0NCS2N3Z2dTakFnRUFBb0lCQVFD",
    ],
)
def test_keys_and_cookies_are_not_shown(secret: str):
    assert "(not shown)" in redacted(f"before {secret} after")
    assert not any(part in redacted(f"before {secret} after") for part in secret.split("\n")[:2] if len(part) > 30)


@pytest.mark.parametrize("text", ["proxy http://user:hunter2@proxy.example.org", "GET /redirect?code=hunter2&state=x"])
def test_passwords_and_codes_in_addresses_are_not_shown(text: str):
    assert "hunter2" not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "/srv/flask_app/releases/20270115T080000-0123/app/flask_sso_app/authentication/saml.py",
        "https://auth.cern.ch/auth/realms/cern/protocol/saml/descriptor",
        "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
        "ModuleNotFoundError: No module named 'a_module_that_is_missing'",
        "https://idp.example.org:8443/idp is not in /etc/shibboleth/idp-metadata.xml.",
        "This is a client secret that the provider does not know.",
    ],
)
def test_paths_and_names_are_shown(text: str):
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Could not parse SQLAlchemy URL from string 'postgresql://app:hun/ter2@db/app'",
        "postgresql://app:hun@ter2@db.example.org/x",
        "invalid DSN: host=db user=app password=hunter2 dbname=app",
        "bad client_secret 'hunter2 ter2'",
        '{"db_password": "hunter2", "x": 1}',
        "SECRET_KEY='hunter2-0123456789abcdef' is too short",
        "KeyError: 'token=hunter2'",
        "API_KEY: hunter2",
        'OIDCCryptoPassphrase "hunter2',
    ],
)
def test_what_a_name_calls_a_secret_is_not_shown(text: str):
    shown = redacted(text)
    assert "ter2" not in shown
    assert "(not shown)" in shown


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("ValueError: invalid password hunter2", "app.service: ValueError; see journalctl -u app.service -n 50"),
        ("sqlalchemy.exc.ArgumentError", "app.service: sqlalchemy.exc.ArgumentError"),
        ("ImportError: cannot import name 'x'", "app.service: ImportError: cannot import name 'x'"),
    ],
)
def test_of_an_exception_only_what_is_about_the_code_is_shown(line: str, seen: str):
    host = FakeHost()
    host.units["app.service"] = unit(ActiveState="failed")
    host.commands["journalctl"] = Output(0, f"Traceback:\n{line}\n")
    (result,) = runner.run(Site(host), only=["FS402"])
    assert result.seen == [seen]


def test_no_output_has_a_secret_of_the_host(capsys):
    host, key = FakeHost(), secrets.token_urlsafe(40)
    host.units["app.service"] = unit(ActiveState="failed")
    host.commands = {
        name: Output(answer.status, f"{answer.text}\nKeyError: '{key}'") for name, answer in host.commands.items()
    }
    host.files["/var/log/shibboleth/shibd.log"] = (
        f"2027-01-15 07:59:00 INFO X : skipping Attribute with Name: {key}, Format:x\n"
    )
    for words in ([], ["--format", "json"], ["--format", "prometheus"], ["login"]):
        command.main(words, host)
    printed = capsys.readouterr().out
    assert "FS402" in printed
    assert "(not shown) of the format x" in printed
    assert key not in printed


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_times_are_read(text: str, seconds: int):
    assert command.duration(text) == seconds


@pytest.mark.parametrize("words", [["--since", "soon"], ["--only", "FSX"], ["--skip", ""], ["logout"]])
def test_wrong_arguments_are_refused(words: list[str], capsys):
    with pytest.raises(SystemExit):
        command.main(words, FakeHost())
    assert "usage:" in capsys.readouterr().err


def test_only_and_skip_choose_checks_by_the_beginning_of_their_codes(capsys):
    assert command.main(["--only", "fs3,FS401", "--skip", "FS301", "--format", "json"], FakeHost()) == 0
    codes = [each["code"] for each in json.loads(capsys.readouterr().out)["checks"]]
    assert codes == ["FS302", "FS303", "FS304", "FS305", "FS306", "FS401"]


def test_files_for_monitoring_are_written_whole(tmp_path: Path, capsys):
    assert command.main(["--only", "FS301", "--write", str(tmp_path)], FakeHost()) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"flask_sso_doctor.json", "flask_sso_doctor.prom"}
    written = json.loads((tmp_path / "flask_sso_doctor.json").read_text())
    assert (written["status"], written["time"]) == (0, NOW)
    assert (tmp_path / "flask_sso_doctor.prom").read_text().endswith('{code="FS301"} 0\n')
    assert {path.suffix: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {".json": 0o640, ".prom": 0o644}
    assert "FS301" in capsys.readouterr().out


def test_no_link_in_the_directory_for_monitoring_is_followed(tmp_path: Path):
    """It may belong to the exporter's account."""
    victim, place = tmp_path / "victim", tmp_path / "place"
    victim.write_text("precious")
    place.mkdir()
    names = ["flask_sso_doctor.json", "flask_sso_doctor.prom"]
    for name in [*names, *(f"{name}.new" for name in names)]:
        (place / name).symlink_to(victim)
    assert command.main(["--only", "FS301", "--write", str(place)], FakeHost()) == 0
    assert victim.read_text() == "precious"
    assert [(place / name).is_symlink() for name in names] == [False, False]


def test_a_fault_of_the_host_is_none_of_the_timer_but_that_nothing_is_written_is(tmp_path: Path):
    host = FakeHost()
    host.commands["openssl pkey"] = public_key("OTHER")
    assert command.main(["--only", "FS301"], host) == 2
    assert command.main(["--only", "FS301", "--write", str(tmp_path)], host) == 0
    (tmp_path / "flask_sso_doctor.prom").unlink()
    (tmp_path / "flask_sso_doctor.prom").mkdir()
    with pytest.raises(OSError, match="directory"):
        command.main(["--only", "FS301", "--write", str(tmp_path)], host)
    assert len(list(tmp_path.iterdir())) == 2


LINES = {
    "Unable to verify message signature with supplied trust engine": "signed with a key that its metadata",
    "Metadata lookup failed for provider (https://idp.example.org)": "came from https://idp.example.org",
    "assertion failed: unacceptable AudienceRestriction": "for another service provider",
    "Assertion is no longer valid.": "a clock is wrong",
    "skipping unmapped SAML 2.0 Attribute with Name: urn:oid:1, Format:urn:x": "urn:oid:1 of the format urn:x arrived",
    "skipping SAML 2.0 Attribute with Name: urn:oid:1": f"urn:oid:1 of the format {logins.URI} arrived",
    "removed value at position (0) of attribute (affiliation) from (idp)": "affiliation arrived and was filtered",
    "Rejecting replayed message ID": "a second time",
    "error processing incoming assertion: Unsolicited response rejected by policy.": "no question of this browser",
}


@pytest.mark.parametrize(("line", "sentence"), LINES.items())
def test_a_failed_login_is_explained(line: str, sentence: str):
    line = f"2027-01-15 08:00:00 WARN Shibboleth.X [1] [default]: {line}"
    assert sentence in logins.explain(line, logins.SHIBD)[1]


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("INFO Shibboleth.Config : loaded", None),
        ("INFO OpenSAML.ReplayCache : replay cache is ready", None),
        (
            "INFO Shibboleth.AttributeExtractor.XML : skipping unmapped SAML 2.0 Attribute with Name: a, Format:b",
            "NOTE",
        ),
        ("WARN OpenSAML.SecurityPolicyRule : replay detected", "WARNING"),
    ],
)
def test_only_what_shibd_holds_for_a_fault_is_a_failed_login(line: str, severity: str | None):
    explained = logins.explain(f"2027-01-15 08:00:00 {line}", logins.SHIBD)
    assert (explained and explained[0].severity.name) == severity


HTTPD_LINES = {
    "[auth_openidc:error] oidc_util_json_string_print: error: invalid_client": "client secret",
    '[auth_openidc:error] oidc_x: no "__Host-openid_connect_state_a" state cookie found: check': "cookie was lost",
    "[auth_openidc:error] oidc_x: state has expired": "cookie was lost",
    "[auth_openidc:error] oidc_x: failed to connect to Redis server (store:6379): 'No route to host'": "store:6379",
    "[auth_openidc:error] oidc_x: Redis AUTH command (store:6379) failed: '' [WRONGPASS invalid": "store:6379",
    "[auth_openidc:error] oidc_x: Redis command (attempt=1 to store:6379) failed, disconnecting: ''": "store:6379",
    "[auth_openidc:error] oidc_x: Redis command (attempt=2/2 to store:6379) failed, disconnecting: ''": "store:6379",
    '[authz_core:error] [pid 2] AH01631: user alice: authorization failure for "/for-admins": ': "rule of /for-admins",
}


@pytest.mark.parametrize(("line", "sentence"), HTTPD_LINES.items())
def test_a_refusal_by_httpd_is_explained_without_the_user(line: str, sentence: str):
    explained = logins.explain(f"[Fri Jan 15 08:00:00.1 2027] {line}", logins.HTTPD)[1]
    assert sentence in explained
    assert "alice" not in explained


def test_a_visitor_who_has_not_logged_in_is_no_refusal():
    line = '[authz_core:error] [pid 2] AH01631: user : authorization failure for "/login": '
    assert logins.explain(line, logins.HTTPD) is None


def test_logins_are_those_of_the_time_in_their_order(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    host = FakeHost()
    host.files["/var/log/shibboleth/transaction.log"] = (
        "2027-01-14 07:59:30|Shibboleth-TRANSACTION|New session (ID: _1) with (applicationId: x) for principal from "
        "(IdP: https://earlier.example.org/idp) at (ClientAddress: 192.0.2.1) with (NameIdentifier: alice)\n"
        "2027-01-15 07:59:30|Shibboleth-TRANSACTION|New session (ID: _1) with (applicationId: x) for principal from "
        "(IdP: https://idp.example.org/idp) at (ClientAddress: 192.0.2.1) with (NameIdentifier: alice)\n"
        "2027-01-15 07:59:30|Shibboleth-TRANSACTION|\tfullname (1 values)\n"
    )
    host.files["/var/log/shibboleth/shibd.log"] = "2027-01-15 07:59:10 WARN X : assertion is no longer valid\n"
    found = logins.logins(Site(host, 600))
    monkeypatch.undo()
    time.tzset()
    assert [each.severity for each in found] == [Severity.WARNING, Severity.OK]
    assert found[1].text == "A login by https://idp.example.org/idp."
    assert found[1].time == NOW - 30


TRANSACTION = "2027-01-15 07:59:{}|Shibboleth-TRANSACTION.Login|{}"
PIPED = "|{}|https://idp.example.org/idp|_a|urn:x|2027-01-15T07:59:00|{}|name|urn:post|{}|urn:x:Success|||Browser|{}"
REFUSAL = (
    "[Fri Jan 15 07:59:50.1 2027] [authz_core:error] [pid 2:tid 2] [client 192.0.2.1:5] AH01631: user alice: "
    'authorization failure for "/for-admins/page": \n'
)
ASKING = """\
<Location />
Require shibboleth
</Location>
<Location /for-admins>
<RequireAll>
Require shib-session
Require shib-attr roles admin operator
</RequireAll>
</Location>
"""


@pytest.fixture
def refused(monkeypatch) -> Iterator[FakeHost]:
    """Have a host that has refused a user of 192.0.2.1."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    host = FakeHost()
    host.files["/var/log/apache2/error.log"] = REFUSAL
    host.files["/etc/apache2/flask_sso/app/20-openid.conf"] = ASKING
    yield host
    monkeypatch.undo()
    time.tzset()


def explained(host: FakeHost) -> str:
    """Return what is said about the refusal."""
    (text,) = (each.text for each in logins.logins(Site(host, 600)) if each.code == logins.RULE)
    return text


@pytest.mark.parametrize(
    "lines",
    [
        [
            TRANSACTION.format(20, PIPED.format("_1", "roles(2),fullname(1)", "", "192.0.2.1")),
            TRANSACTION.format(30, PIPED.format("_2", "mail(1)", "", "192.0.2.7")),
        ],
        [
            "2027-01-15 07:59:20|Shibboleth-TRANSACTION|New session (ID: _1) at (ClientAddress: 192.0.2.1)",
            "2027-01-15 07:59:20|Shibboleth-TRANSACTION|\tfullname (1 values)",
            "2027-01-15 07:59:20|Shibboleth-TRANSACTION|\troles (2 values)",
        ],
    ],
)
def test_a_rule_that_was_not_met_says_what_it_asks_and_what_the_user_had(refused: FakeHost, lines: list[str]):
    refused.files["/var/log/shibboleth/transaction.log"] = "\n".join(lines)
    text = explained(refused)
    assert "rule of /for-admins/page" in text
    assert text.endswith(
        " It asks for: roles admin or operator. The last session from that address had, with numbers of values: "
        "fullname (1), roles (2)."
    )


def test_an_attribute_that_the_user_lacked_is_named(refused: FakeHost):
    line = TRANSACTION.format(20, PIPED.format("_1", "fullname(1)", "", "192.0.2.1"))
    refused.files["/var/log/shibboleth/transaction.log"] = line
    assert explained(refused).endswith("fullname (1). It had no roles.")


def test_a_rule_about_a_claim_says_what_it_asks(refused: FakeHost):
    refused.files["/etc/apache2/flask_sso/app/20-openid.conf"] = ASKING.replace(
        "shib-attr roles admin operator", "claim roles:admin"
    )
    assert explained(refused).endswith(" It asks for: roles admin. What this user had is in no log.")


def test_a_rule_of_another_path_is_not_blamed(refused: FakeHost):
    refused.files["/var/log/apache2/error.log"] = REFUSAL.replace("/for-admins/page", "/for-adminsx")
    assert "asks for" not in explained(refused)


def test_a_login_that_gave_no_session_is_no_success(refused: FakeHost):
    line = TRANSACTION.format(20, PIPED.format("", "", "Message was expired.", "192.0.2.1"))
    refused.files["/var/log/shibboleth/transaction.log"] = line
    assert [each.severity for each in logins.logins(Site(refused, 600)) if each.severity == Severity.OK] == []


AT = "15/Jan/2027:07:59:30 +0000"
JSON = {
    "client": "192.0.2.1",
    "time": "2027-01-15T08:59:30.123+0100",
    "user": "alice",
    "method": "GET",
    "path": "/callback",
    "status": 302,
}


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (f'192.0.2.1 - alice [{AT}] "GET /callback HTTP/2.0" 302 5 "-" "Browser"', 1),
        (f'192.0.2.1 - al ice [{AT}] "GET /callback?code=hunter2&state=x HTTP/1.1" 302 5', 1),
        (f'192.0.2.1 - alice [{AT}] "GET /callback?logout=x HTTP/1.1" 302 5', 0),
        (f'192.0.2.1 - "" [{AT}] "GET /callback HTTP/2.0" 302 5 "-" "Browser"', 0),
        (f'192.0.2.1 - alice [{AT}] "GET /callback HTTP/2.0" 400 5 "-" "Browser"', 0),
        (f'192.0.2.1 - alice [{AT}] "GET /other HTTP/2.0" 302 5 "-" "Browser"', 0),
        ('192.0.2.1 - alice [01/Jan/2027:07:59:30 +0000] "GET /callback HTTP/2.0" 302 5 "-" "Browser"', 0),
        (json.dumps(JSON), 1),
        (json.dumps({**JSON, "user": ""}), 0),
        ('{"path": "/callback"}', 0),
        ("nonsense", 0),
    ],
)
def test_a_login_by_openid_connect_is_the_one_of_the_access_log(line: str, number: int):
    host = FakeHost()
    host.files["/var/log/apache2/app-access.log"] = f"{line}\n"
    found = logins.logins(Site(host, 600))
    assert [(each.text, each.time) for each in found] == number * [("A login by https://op.example.org.", NOW - 30)]


def test_a_user_without_a_required_attribute_is_told_which_one(refused: FakeHost):
    refused.files |= {
        "/etc/shibboleth/shibboleth2.xml": '<Handler type="AttributeChecker" Location="/x"\n  attributes="upn mail"/>',
        "/var/log/apache2/error.log": "",
        "/var/log/apache2/app-access.log": f'192.0.2.1 - - [{AT}] "GET /x.sso/AttributeChecker HTTP/2.0" 500 5\n',
        "/var/log/shibboleth/transaction.log": TRANSACTION.format(
            20, PIPED.format("_1", "fullname(1),mail(2)", "", "192.0.2.1")
        ),
    }
    (text,) = (each.text for each in logins.logins(Site(refused, 600)) if each.code == "FS909")
    assert text.endswith(
        " Required: upn, mail. The last session from that address had, with numbers of values: fullname (1), mail (2)."
        " It had no upn."
    )


def test_a_user_with_every_required_attribute_is_no_fault(refused: FakeHost):
    refused.files["/var/log/apache2/error.log"] = ""
    line = f'192.0.2.1 - - [{AT}] "GET /Shibboleth.sso/AttributeChecker HTTP/2.0" 302 5\n'
    refused.files["/var/log/apache2/app-access.log"] = line
    assert logins.logins(Site(refused, 600)) == []


def test_a_host_without_logs_explains_no_login(capsys):
    host = FakeHost()
    host.files = {}
    assert command.main(["login"], host) == 1
    assert "No login can be explained" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        ("  ProxyPass / http://127.0.0.1:1/", ("proxypass", ["/", "http://127.0.0.1:1/"])),
        ('ServerName "app.example.org"', ("servername", ["app.example.org"])),
        ("Header set X \"it's", ("header", ["set", "X", "\"it's"])),
        ("# ServerName x", ("", [])),
        ("<Location /login>", ("<location", ["/login"])),
        ("</Location>", ("</location", [])),
        ("", ("", [])),
    ],
)
def test_directives_of_httpd_are_read(line: str, parsed: tuple):
    assert directive(line) == parsed


def test_the_site_is_found_with_its_included_files():
    (site,) = Site(FakeHost()).sites
    assert (site.name, site.port, site.url) == ("app.example.org", 443, "https://app.example.org/")
    assert [(each.protocol, each.socket) for each in site.backends] == [("uwsgi", "/run/app.sock")]


@pytest.mark.parametrize(
    ("listed", "address"), [("*", "127.0.0.1"), ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")]
)
def test_a_site_is_asked_where_it_listens(listed: str, address: str):
    host = FakeHost()
    dump = host.commands["/usr/sbin/apache2ctl -t"].text.replace("*:443", f"{listed}:443")
    host.commands["/usr/sbin/apache2ctl -t"] = Output(0, dump)
    assert [site.address for site in Site(host).sites] == [address]


def test_the_real_host_runs_reads_and_finds(tmp_path: Path):
    host, file = Host(), tmp_path / "file"
    file.write_text("text")
    assert host.run("cat", stdin="given") == Output(0, "given")
    assert host.run("sh", "-c", "echo wrong >&2; exit 3") == Output(3, "wrong\n")
    assert (host.read(str(file)), host.find(f"{tmp_path}/*")) == ("text", [str(file)])
    with pytest.raises(UnseenError, match="is not installed here"):
        host.run("no-such-program")
    with pytest.raises(UnseenError, match="does not exist"):
        host.read(str(tmp_path / "absent"))


def test_the_real_host_says_when_nothing_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="refused"):
            Host().request(f"http://app.example.org:{port}/")
        with pytest.raises(OSError, match="refused"):
            Host().connect("app.example.org", port)


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> Iterator[tuple[Path, int]]:
    """Serve one page over TLS with a certificate of its own; return the certificate and the port."""
    place = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=app.example.org", "-addext", "subjectAltName=DNS:app.example.org,DNS:*.apps.example.org"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "30", *names]
    subprocess.run([*made, "-keyout", "key.pem", "-out", "cert.pem"], check=True, capture_output=True, cwd=place)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"https://{self.headers['Host']}{self.path}")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "cert.pem", place / "key.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.handle_error = lambda *_arguments: None  # a client that trusts no CA hangs up
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield place / "cert.pem", server.server_port
        server.shutdown()


def test_the_real_host_asks_by_the_name_and_does_not_follow(tls):
    answer = Host().request(f"https://app.example.org:{tls[1]}/page?x=1")
    assert (answer.status, answer.headers["location"]) == (302, f"https://app.example.org:{tls[1]}/page?x=1")


def test_a_real_certificate_is_read_from_its_file_and_from_its_server(tls):
    site = Site(Host())
    presented = Host().connect("app.example.org", tls[1])
    assert presented.distrust == "self-signed certificate"
    on_disk, served = parse(site, "-in", str(tls[0])), parse(site, stdin=presented.certificate)
    assert on_disk == served
    assert 29 * 86400 < on_disk.ends - time.time() < 30 * 86400
    assert [on_disk.covers(name) for name in ("APP.example.org", "a.apps.example.org", "b.a.apps.example.org")] == [
        True,
        True,
        False,
    ]
    key = Host().run("openssl", "pkey", "-in", str(tls[0].with_name("key.pem")), "-passin", "pass:", "-pubout")
    assert key.text.strip() == on_disk.public_key


def test_the_module_reports_what_the_command_does(run_module):
    found = run_module(doctor, only=["FS003"])
    assert [each["code"] for each in found["checks"]] == ["FS003"]
    assert found["report"][-1].startswith("1 checks:")


def test_the_module_describes_a_node_if_it_is_asked_when(run_module):
    node = run_module(doctor, only=["FS003"], asked_at=time.time() - 100)["node"]
    assert 100 <= node["clock"] < 110
    assert node["has"] == {}


def test_the_module_refuses_what_the_command_does(run_module):
    assert "no time" in run_module(doctor, since="soon")["msg"]
    assert "No check has the code" in run_module(doctor, only=["FSX"])["msg"]


def test_a_site_gets_the_same_command(run_module, tmp_path: Path):
    path = tmp_path / "flask-sso-doctor"
    run_module(doctor_command, path=str(path))
    (encoded,) = doctor_command_lookup.LookupModule().run([])
    assert base64.b64decode(encoded) == path.read_bytes()


def test_the_archive_depends_on_nothing_but_the_files():
    """Controllers differ in their zlib, their umask and when they got the collection."""
    with zipfile.ZipFile(io.BytesIO(doctor_command.archive())) as archive:
        kinds = {(each.compress_type, each.date_time, each.external_attr) for each in archive.infolist()}
    assert kinds == {(zipfile.ZIP_STORED, doctor_command.DATE, 0o600 << 16)}


def test_the_command_is_left_on_the_host_and_runs_alone(run_module, tmp_path: Path):
    path = tmp_path / "flask-sso-doctor"
    assert run_module(doctor_command, check_mode=True, path=str(path))["changed"]
    assert not path.exists()
    assert run_module(doctor_command, path=str(path))["changed"]
    assert not run_module(doctor_command, path=str(path))["changed"]
    alone = [sys.executable, "-I", str(path), "--only", "FS003", "--format", "json"]
    done = subprocess.run(alone, check=False, capture_output=True, text=True, cwd="/")
    assert json.loads(done.stdout)["checks"][0]["code"] == "FS003", done.stderr
    path.chmod(0o600)
    assert run_module(doctor_command, path=str(path))["changed"]
    assert path.stat().st_mode & 0o777 == 0o755
    assert run_module(doctor_command, path=str(path), state="absent")["changed"]
    assert not run_module(doctor_command, path=str(path), state="absent")["changed"]


def test_the_documentation_has_every_check():
    assert doctor_docs.PAGE.read_text("utf-8") == doctor_docs.page()
