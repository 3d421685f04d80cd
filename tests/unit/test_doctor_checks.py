# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check is satisfied with a healthy host, and names its fault on one that has it, which no other check does."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.checks import CHECKS
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.host import Output, Response
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.logins import REASONS
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.model import Severity
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.runner import run
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.site import Site
from doctor_hosts import (
    HTTPD_DUMP,
    IDP_METADATA,
    NOW,
    OPENID_LOGIN,
    PROVIDER,
    SHIBBOLETH_FILE,
    SITE,
    SP_METADATA,
    FakeHost,
    certificate,
    public_key,
    unit,
)

ROLES = Path(__file__).parents[2] / "roles"
SYNTAX_ERROR = "AH00526: Syntax error on line 1 of x.conf:\nInvalid command 'X'"
AUDIT = "/var/log/audit/audit.log"
DENIAL = f'type=AVC msg=audit({NOW - 60:.0f}.1:2): avc:  denied  {{ write }} for pid=3 comm="httpd" tcontext=a:b:c'
TRACEBACK = "Traceback (most recent call last):\n  File\nModuleNotFoundError: No module named 'numpy'\n"
SPACE, INODES = "df --block-size=1 --output=target,avail", "df --block-size=1 --output=target,ipcent"
DUMP, SHIBD = "/usr/sbin/apache2ctl -t", "runuser -u _shibd -- /usr/sbin/shibd -t"
JOURNAL = "journalctl --quiet --no-pager --output=cat --lines=400"
ON_DISK, SERVED = "openssl x509 -in", "openssl x509 -noout"
PROXY, IDP = "/etc/apache2/flask_sso/app/40-uwsgi.conf", "/etc/shibboleth/idp-metadata.xml"
OPENID = "/etc/apache2/flask_sso/app/20-openid.conf"
METADATA = f"{SITE}Shibboleth.sso/Metadata"
LISTEN = 'LISTEN 0 5 *:{} *:* users:(("{}",pid=2,fd=4))\n'
SHIBD_LOG = ("shibboleth/shibd.log", "2027-01-15 07:59:00 ")
CHECKING = '192.0.2.1 - - [15/Jan/2027:07:59:00 +0000] "GET /Shibboleth.sso/AttributeChecker HTTP/2.0"'
HTTPD_LOG = ("apache2/error.log", "[Fri Jan 15 07:59:00.1 2027] ")
CRASHES = (
    "/var/log/apache2/error.log",
    "[Fri Jan {} 2027] [core:notice] [pid 6] AH00052: child pid 7 exit signal Segmentation fault (11)\n",
)
DROPPING = "chain input {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n"


def revocation_list(begin: str, end: str) -> Output:
    """Say what openssl says about a certificate revocation list."""
    return Output(0, f"lastUpdate={begin} GMT\nnextUpdate={end} GMT\n")


def beginning(cookie: str, location: str = OPENID_LOGIN) -> Response:
    """Begin a login with a cookie."""
    return Response(302, {"location": location, "set-cookie": cookie}, "")


# For each fault: the code, how bad it is, what is seen of it, and what changes on the healthy host.
FAULTS = {
    "disk full": (
        "FS001",
        "ERROR",
        "/var is used to 100%",
        {"commands": {SPACE: Output(0, "Mounted on Avail Use%\n/ 9000000000 20%\n/var 0 100%\n")}},
    ),
    "disk almost full": ("FS001", "WARNING", "500 MB", {"commands": {SPACE: Output(0, "/ 500000000 97%\n")}}),
    "no inodes": ("FS002", "ERROR", "100%", {"commands": {INODES: Output(0, "/ 100%\n")}}),
    "no memory": (
        "FS003",
        "WARNING",
        "of 3906 MiB",
        {"files": {"/proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 9000 kB\n"}},
    ),
    "killed by the kernel": (
        "FS004",
        "WARNING",
        "uwsgi",
        {
            "commands": {
                "journalctl --quiet --no-pager --dmesg": Output(
                    0, "Out of memory: Killed process 7 (uwsgi) total-vm:1kB\n"
                )
            }
        },
    ),
    "clock not synchronised": (
        "FS005",
        "WARNING",
        "not synchronised",
        {"commands": {"timedatectl show": Output(0, "no\n")}},
    ),
    "denial": ("FS006", "WARNING", "httpd was denied write", {"files": {AUDIT: DENIAL}}),
    "no network for httpd": (
        "FS007",
        "ERROR",
        "127.0.0.1:9000",
        {
            "files": {"/usr/sbin/getenforce": "", PROXY: "ProxyPass / http://127.0.0.1:9000/"},
            "commands": {
                "getenforce": Output(0, "Enforcing\n"),
                "getsebool": Output(0, "httpd_can_network_connect --> off\n"),
            },
        },
    ),
    "shibd stopped": (
        "FS101",
        "ERROR",
        "shibd.service is inactive",
        {"units": {"shibd.service": unit(ActiveState="inactive")}},
    ),
    "shibd failed": (
        "FS101",
        "ERROR",
        "(signal)",
        {"units": {"shibd.service": unit(ActiveState="failed", Result="signal")}},
    ),
    "shibd not at boot": (
        "FS102",
        "WARNING",
        "shibd.service is disabled",
        {"units": {"shibd.service": unit(UnitFileState="disabled")}},
    ),
    "application not at boot": (
        "FS102",
        "WARNING",
        "None of app.socket, app.service",
        {"units": {"app.socket": unit(UnitFileState="disabled"), "app.service": unit(UnitFileState="disabled")}},
    ),
    "port taken": (
        "FS103",
        "ERROR",
        "nginx listens on port 443",
        {"commands": {"ss -H": Output(0, LISTEN.format(443, "nginx") + LISTEN.format(80, "apache2"))}},
    ),
    "port not open": (
        "FS103",
        "ERROR",
        "Nothing listens on port 80",
        {"commands": {"ss -H": Output(0, LISTEN.format(443, "apache2"))}},
    ),
    "configuration broken": (
        "FS201",
        "ERROR",
        "Syntax error on line 1",
        {
            "commands": {
                DUMP: Output(1, f"AH00558: apache2\n{SYNTAX_ERROR}\nAction '-t' failed.\n"),
            }
        },
    ),
    "no TLS": (
        "FS202",
        "ERROR",
        "app.example.org:80",
        {"commands": {DUMP: Output(0, HTTPD_DUMP.partition("*:443")[0] + " mod_shib (shared)\n")}},
    ),
    "other key": (
        "FS301",
        "ERROR",
        "/etc/ssl/app.key is not the key",
        {"commands": {"openssl pkey": public_key("OTHER")}},
    ),
    "no key": ("FS301", "ERROR", "holds no key", {"commands": {"openssl pkey": Output(1, "Could not read key\n")}}),
    "not reloaded": ("FS302", "WARNING", "another certificate", {"commands": {ON_DISK: certificate("BB")}}),
    "expired": (
        "FS303",
        "ERROR",
        "14 days ago",
        {
            "commands": {
                ON_DISK: certificate(ends="Jan  1 00:00:00 2027"),
                SERVED: certificate(ends="Jan  1 00:00:00 2027"),
            }
        },
    ),
    "expires soon": (
        "FS303",
        "WARNING",
        "in 5 days",
        {
            "commands": {
                ON_DISK: certificate(ends="Jan 20 00:00:00 2027"),
                SERVED: certificate(ends="Jan 20 00:00:00 2027"),
            }
        },
    ),
    "name missing": (
        "FS304",
        "ERROR",
        "lacks www.example.org",
        {
            "commands": {
                ON_DISK: certificate(names="DNS:app.example.org"),
                SERVED: certificate(names="DNS:app.example.org"),
            }
        },
    ),
    "chain incomplete": (
        "FS305",
        "WARNING",
        "intermediate certificate is missing",
        {
            "distrust": "unable to get local issuer certificate",
            "commands": {SERVED: certificate(issuer="CA Issuers - URI:http://ca.example.org/intermediate.crt")},
        },
    ),
    "not trusted": ("FS305", "WARNING", "self-signed certificate.", {"distrust": "self-signed certificate"}),
    "revocation list expired": (
        "FS306",
        "ERROR",
        "expired 14 days ago",
        {"commands": {"openssl crl": revocation_list("Dec  2 08:00:00 2026", "Jan  1 08:00:00 2027")}},
    ),
    "revocation list expires": (
        "FS306",
        "WARNING",
        "expires in 5.0 days, and was made for 30",
        {"commands": {"openssl crl": revocation_list("Dec 21 08:00:00 2026", "Jan 20 08:00:00 2027")}},
    ),
    "no revocation list": (
        "FS306",
        "ERROR",
        "no list with an end in",
        {"commands": {"openssl crl": Output(1, "unable to load")}},
    ),
    "socket closed": (
        "FS401",
        "ERROR",
        "(owner, group, mode: app app 600)",
        {"commands": {"runuser -u www-data -- test -w /run/app.sock": Output(1, "")}},
    ),
    "socket missing": (
        "FS401",
        "ERROR",
        "/run/app.sock does not exist",
        {"files": {"/run/app.sock": None}, "commands": {"runuser -u www-data -- test -w /run/app.sock": Output(1, "")}},
    ),
    "import failed": (
        "FS402",
        "ERROR",
        "No module named 'numpy'",
        {
            "units": {"app.service": unit(ActiveState="failed")},
            "commands": {f"{JOURNAL} --unit=app.service": Output(0, TRACEBACK)},
        },
    ),
    "served without application": (
        "FS402",
        "ERROR",
        "No module named 'numpy'",
        {"commands": {f"{JOURNAL} _SYSTEMD": Output(0, TRACEBACK + "unable to load app 0\n")}},
    ),
    "socket stopped": (
        "FS403",
        "ERROR",
        "app.socket is inactive",
        {"units": {"app.socket": unit(ActiveState="inactive"), "app.service": unit(ActiveState="inactive")}},
    ),
    "port 3031": ("FS404", "ERROR", "127.0.0.1:3031", {"files": {PROXY: "ProxyPass / uwsgi://127.0.0.1:3031/\n"}}),
    "request too large": (
        "FS405",
        "ERROR",
        "the largest of 5000 bytes",
        {"commands": {JOURNAL: Output(0, "invalid request block size: 5000 (max 4096)...skip\n")}},
    ),
    "worker killed": (
        "FS406",
        "WARNING",
        "1 workers",
        {"commands": {JOURNAL: Output(0, "worker 1 (pid: 4) died, killed by signal 9\n")}},
    ),
    "processes crash": (
        "FS203",
        "ERROR",
        "4 processes ended: Segmentation fault",
        {"files": {CRASHES[0]: 4 * CRASHES[1].format("15 07:59:30.1")}},
    ),
    "a process crashed": (
        "FS203",
        "WARNING",
        "1 processes ended",
        {"files": {CRASHES[0]: CRASHES[1].format("15 07:59:30.1")}},
    ),
    "CRIT line": (
        "FS501",
        "ERROR",
        "CRIT Shibboleth",
        {
            "commands": {
                SHIBD: Output(
                    0, "2027-01-15 08:00:00 CRIT Shibboleth.Application : error building AttributeExtractor\n"
                )
            }
        },
    ),
    "shibd's socket closed": (
        "FS502",
        "ERROR",
        "www-data may not write",
        {"commands": {"runuser -u www-data -- test -w /run/shibboleth/shibd.sock": Output(1, "")}},
    ),
    "metadata expired": ("FS503", "ERROR", "expired 14 days ago", {"files": {IDP: ("2027-03-01", "2027-01-01")}}),
    "metadata expires": ("FS503", "WARNING", "expires in 1.7 days", {"files": {IDP: ("2027-03-01", "2027-01-17")}}),
    "metadata without a key": ("FS503", "ERROR", "no key", {"files": {IDP: ("<KeyDescriptor/>", "")}}),
    "other provider": (
        "FS504",
        "ERROR",
        "https://idp.example.org/idp is not in",
        {"files": {IDP: ("org/idp", "org/IdP")}},
    ),
    "metadata swallowed": (
        "FS505",
        "ERROR",
        "the status is 404",
        {"answers": {METADATA: Response(404, {}, "<p>not here")}},
    ),
    "other ServerName": (
        "FS505",
        "ERROR",
        "logins end at https://web1.example.org instead of https://app.example.org/",
        {
            "answers": {
                METADATA: (
                    "https://app.example.org/Shibboleth.sso/SAML2",
                    "https://web1.example.org/Shibboleth.sso/SAML2",
                )
            }
        },
    ),
    "http behind a proxy": (
        "FS505",
        "ERROR",
        "logins end at http://app.example.org",
        {
            "answers": {
                METADATA: (
                    "https://app.example.org/Shibboleth.sso/SAML2",
                    "http://app.example.org/Shibboleth.sso/SAML2",
                )
            }
        },
    ),
    "bound to an address": (
        "FS507",
        "WARNING",
        "is true",
        {"files": {"/etc/shibboleth/shibboleth2.xml": ('checkAddress="false"', 'checkAddress="true"')}},
    ),
    "key of yesterday": (
        "FS508",
        "WARNING",
        "has the key of 20270114 last, and today is 20270115",
        {"files": {"/run/shibboleth/sealer.keys": ("20270115", "20270114")}},
    ),
    "no key of the cookie": (
        "FS508",
        "ERROR",
        "has no keys",
        {"files": {"/run/shibboleth/sealer.keys": ""}},
    ),
    "logs closed": (
        "FS506",
        "WARNING",
        "_shibd may not write",
        {"commands": {"runuser -u _shibd -- test -w /var/log/shibboleth": Output(1, "")}},
    ),
    "no address": (
        "FS601",
        "WARNING",
        "has no address",
        {"commands": {"getent ahosts": Output(2, ""), "getent ahosts app.example.org": Output(2, "")}},
    ),
    "firewall": (
        "FS603",
        "WARNING",
        "nft does not name port 443",
        {"commands": {"nft list ruleset": Output(0, DROPPING)}},
    ),
    "provider's certificate": ("FS604", "ERROR", "op.example.org: self", {"provider_distrust": "self-signed"}),
    "clock": (
        "FS008",
        "ERROR",
        "600 seconds ahead of that of op.example.org",
        {"answers": {OPENID_LOGIN: Response(200, {"date": "Fri, 15 Jan 2027 07:50:00 GMT"}, "")}},
    ),
    "short headers": ("FS703", "WARNING", "answers 400", {"answers": {f"{SITE}%2F": Response(400, {}, "")}}),
    "cookie of another name": (
        "FS704",
        "ERROR",
        "a cookie for example.com",
        {"answers": {f"{SITE}login": beginning("a=b; Domain=.example.com")}},
    ),
    "second cookie": (
        "FS705",
        "ERROR",
        "SameSite=Strict",
        {"answers": {f"{SITE}login": beginning("a=b; Path=/\nc=d; SameSite=Strict")}},
    ),
    **{
        f"cookie lost after a form ({asked})": (
            "FS705",
            "ERROR",
            "SameSite=Lax",
            {
                "answers": {
                    f"{SITE}login": beginning("a=b; SameSite=Lax", f"{OPENID_LOGIN}&{asked}"),
                    f"{OPENID_LOGIN}&{asked}": Response(200, {}, ""),
                }
            },
        )
        for asked in ("SAMLRequest=x", "response_mode=form_post")
    },
    "not registered": ("FS706", "ERROR", "auth answers 400", {"answers": {OPENID_LOGIN: Response(400, {}, "")}}),
    "not registered at SimpleSAMLphp": (
        "FS706",
        "ERROR",
        "no metadata of this site",
        {"answers": {OPENID_LOGIN: Response(200, {}, "<html><title>Metadata not found</title></html>")}},
    ),
    "sessions in memory": ("FS801", "WARNING", "is shm", {"files": {OPENID: ("OIDCCacheType file", "")}}),
    "other redirect URI": (
        "FS803",
        "ERROR",
        "ends at www.example.org",
        {"files": {OPENID: ("OIDCRedirectURI ", "OIDCRedirectURI https://www.example.org")}},
    ),
    **{
        line: (code, "WARNING", seen, {"files": {f"/var/log/{log}": f"{stamp}{line}\n"}})
        for code, log, stamp, line, seen in (
            ("FS901", *SHIBD_LOG, "WARN X : unable to verify message signature with supplied trust engine", "signed"),
            ("FS902", *SHIBD_LOG, "WARN X : Metadata lookup failed for provider (https://x.org)", "from https://x.org"),
            ("FS903", *SHIBD_LOG, "WARN X : unacceptable AudienceRestriction", "another service provider"),
            ("FS906", *SHIBD_LOG, "ERROR X : failed to decrypt assertion: no key", "lacks"),
            ("FS908", *SHIBD_LOG, "WARN X : status code urn:oasis:names:tc:SAML:2.0:status:Responder", "refused"),
            ("FS912", *HTTPD_LOG, "[auth_openidc:error] oidc_util_json_string_print: invalid_client", "secret"),
            ("FS915", *HTTPD_LOG, "[auth_openidc:error] oidc_cache_shm_set: value size is too large", "slot"),
            (
                "FS917",
                *HTTPD_LOG,
                "[auth_openidc:error] oidc_X: not signed with the expected configured algorithm: HS512 != RS256",
                "with HS512, and this site accepts RS256",
            ),
            (
                "FS918",
                *HTTPD_LOG,
                "[auth_openidc:error] oidc_X: failed to connect to Redis server (store:6379): 'Connection refused'",
                "The store of sessions, store:6379, did not answer",
            ),
        )
    },
    "provider that no metadata describes": (
        "FS902",
        "WARNING",
        "came from https://x.org",
        {
            "files": {
                "/var/log/shibboleth/shibd.log": (
                    f"{SHIBD_LOG[1]}WARN X : no metadata found, can't establish identity of issuer (https://x.org)\n"
                    f"{SHIBD_LOG[1]}WARN X : Unable to establish security of incoming assertion.\n"
                )
            }
        },
    ),
    "required attribute": (
        "FS909",
        "WARNING",
        "required attribute did not arrive",
        {"files": {"/var/log/apache2/app-access.log": f"{CHECKING} 200 5\n"}},
    ),
    "no redirect": ("FS701", "WARNING", "answers 200", {"answers": {"http://app.example.org/": Response(200, {}, "")}}),
    "bad gateway": ("FS702", "ERROR", "closed the connection", {"answers": {SITE: Response(502, {}, "")}}),
    "no answer": ("FS702", "ERROR", "Connection refused", {"answers": {SITE: OSError("Connection refused")}}),
}


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Read times of logs as the made-up host has written them."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def with_fault(changes: dict) -> FakeHost:
    """Make a host with changed answers; None removes one, and a pair of texts replaces the first by the second."""
    host = FakeHost()
    for place, change in changes.items():
        if isinstance(change, str):
            setattr(host, place, change)
            continue
        answers = getattr(host, place)
        for key, value in change.items():
            if value is None:
                del answers[key]
            elif not isinstance(value, tuple):
                answers[key] = value
            elif place == "answers":
                answers[key] = Response(200, {}, answers[key].body.replace(*value))
            else:
                assert value[0] in answers[key]
                answers[key] = answers[key].replace(*value)
    return host


def test_every_check_but_those_that_only_note_has_a_fault_here():
    noted = {each.code for each in REASONS if each.ordinary or each.severity == Severity.NOTE}
    assert set(CHECKS) - {code for code, *_rest in FAULTS.values()} == {"FS602", "FS802", *noted}


def test_a_healthy_host_satisfies_every_check():
    results = run(Site(FakeHost()))
    assert [(each.check.code, each.seen) for each in results if each.severity != Severity.OK] == []
    assert len(results) == len(CHECKS)


@pytest.mark.parametrize(("code", "severity", "seen", "changes"), FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_named_by_its_check_alone(code: str, severity: str, seen: str, changes: dict):
    results = run(Site(with_fault(changes)))
    named = [(each.check.code, each.severity.name) for each in results if each.severity > Severity.NOTE]
    assert named == [(code, severity)], [each.seen for each in results if each.severity > Severity.NOTE]
    assert seen in " ".join(results[0].seen)
    assert not [each.seen for each in results if "failed itself" in each.seen[0]]


def test_what_httpd_prints_beside_its_fault_is_not_shown():
    (result,) = run(Site(with_fault(FAULTS["configuration broken"][3])), only=["FS201"])
    assert result.seen == SYNTAX_ERROR.splitlines()


WIKI = "https://wiki.example.org"
WIKI_SHIBBOLETH = "/etc/shibboleth/sites/wiki/shibboleth2.xml"
WIKI_OVERRIDE, WIKI_IDP = "/etc/shibboleth/sites/wiki-override.xml", "/etc/shibboleth/sites/wiki/idp-metadata.xml"
WIKI_PROVIDER = "https://another.example.org/idp"


def with_two_sites() -> FakeHost:
    """Make a host on which a second site has its own service provider, and its own identity provider."""
    host = FakeHost()
    more = "         port 443 namevhost wiki.example.org (/etc/apache2/sites-enabled/wiki.conf:1)\nLoaded Modules"
    host.commands[DUMP] = Output(0, HTTPD_DUMP.replace("Loaded Modules", more))
    host.files |= {
        "/etc/apache2/sites-enabled/wiki.conf": "<VirtualHost *:443>\nServerName wiki.example.org\nSSLEngine on\n",
        "/etc/shibboleth/shibboleth2.xml": SHIBBOLETH_FILE.replace(
            "</ApplicationDefaults>",
            '<ExternalApplicationOverrides path="/etc/shibboleth/sites"/></ApplicationDefaults>',
        ),
        WIKI_OVERRIDE: '<ApplicationOverride xmlns="urn:mace:shibboleth:3.0:native:sp:config" id="wiki"'
        f' entityID="{WIKI}/Shibboleth.sso"><Sessions checkAddress="false"><SSO entityID="{WIKI_PROVIDER}"/>'
        '</Sessions><MetadataProvider type="XML" path="sites/wiki/idp-metadata.xml"/></ApplicationOverride>',
        WIKI_IDP: IDP_METADATA.replace(PROVIDER, WIKI_PROVIDER),
        WIKI_SHIBBOLETH: "",
    }
    host.answers[f"{WIKI}/Shibboleth.sso/Metadata"] = Response(200, {}, SP_METADATA.replace(SITE, f"{WIKI}/"))
    return host


def test_two_sites_with_shibboleth_are_healthy():
    results = run(Site(with_two_sites()), only=["FS5"])
    assert [(each.check.code, each.seen) for each in results if each.severity != Severity.OK] == []
    seen = {each.check.code: each.seen for each in results}
    assert seen["FS501"][1] == f"{WIKI_SHIBBOLETH}: shibd can load it."
    assert seen["FS503"][1] == f"{WIKI_IDP} is valid."
    assert seen["FS504"][1] == f"{WIKI_PROVIDER} is in the metadata."
    assert seen["FS505"][1].endswith(f"has the entityID {WIKI}/Shibboleth.sso.")


FURTHER_FAULTS = {
    "FS501": ("CRIT", "commands", f"{SHIBD} -c {WIKI_SHIBBOLETH}", Output(0, "CRIT Shibboleth.Application : no key")),
    "FS503": ("expired", "files", WIKI_IDP, ("2027-03-01", "2027-01-01")),
    # The first site's provider is not the second one's.
    "FS504": (PROVIDER, "files", WIKI_OVERRIDE, (WIKI_PROVIDER, PROVIDER)),
    "FS505": ("wiki.example.org/other", "files", WIKI_OVERRIDE, ("org/Shibboleth.sso", "org/other")),
    "FS507": ("true", "files", WIKI_OVERRIDE, ('checkAddress="false"', "")),
}


@pytest.mark.parametrize(("code", "fault"), FURTHER_FAULTS.items())
def test_a_fault_of_the_second_site_is_named_alone(code: str, fault: tuple):
    seen, place, key, change = fault
    host = with_two_sites()
    answers = getattr(host, place)
    answers[key] = answers[key].replace(*change) if isinstance(change, tuple) else change
    results = run(Site(host), only=["FS5"])
    assert [each.check.code for each in results if each.severity > Severity.NOTE] == [code]
    assert seen in " ".join(results[0].seen)


def test_without_root_nothing_is_blamed_that_only_root_sees():
    host = FakeHost()
    refused = Output(1, "runuser: may not be used by non-root users\n")
    host.commands |= {
        "/usr/sbin/apache2ctl -t": Output(1, "SSLCertificateKeyFile: file does not exist or is empty\n"),
        "id -u": Output(0, "1000\n"),
        "openssl pkey": Output(1, "Could not open file: Permission denied\n"),
        "runuser": refused,
        SHIBD: refused,
    }
    del host.files["/run/shibboleth/shibd.sock"]
    assert [each.seen for each in run(Site(host)) if each.severity > Severity.SKIPPED] == []


def test_a_proxy_is_noted_without_its_password():
    proxy = Output(0, "Environment=https_proxy=http://user:secret@proxy.example.org:3128/ LANG=C\n")
    (result,) = run(Site(with_fault({"commands": {"systemctl show --property=Environment": proxy}})), only=["FS602"])
    assert (result.severity, result.seen) == (Severity.NOTE, ["https_proxy is proxy.example.org:3128."])


def test_a_host_behind_a_proxy_that_ends_tls_may_be_told_so():
    dump = HTTPD_DUMP.partition("*:443")[0] + " mod_shib (shared)\n"
    file = "<VirtualHost *:80>\nServerName https://app.example.org\n</VirtualHost>\n"
    host = with_fault({"commands": {DUMP: Output(0, dump)}, "files": {"/etc/apache2/sites-enabled/app.conf": file}})
    (result,) = run(Site(host), only=["FS202"])
    assert (result.severity, result.seen) == (
        Severity.NOTE,
        ["app.example.org on port 80 is without TLS, and told that a proxy before it has https."],
    )


def test_a_private_authority_is_only_noted():
    (result,) = run(Site(with_fault({"distrust": "unable to get local issuer certificate"})), only=["FS305"])
    assert result.severity == Severity.NOTE


def test_a_claim_that_the_provider_does_not_list_is_noted():
    host = with_fault({"files": {OPENID: ("claim roles", "claim groups")}})
    (result,) = run(Site(host), only=["FS802"])
    assert (result.severity, result.seen) == (
        Severity.NOTE,
        ["app.example.org asks for groups, which op.example.org does not list."],
    )


def test_a_failed_login_is_only_noted_once_another_worked():
    host = with_fault(FAULTS["WARN X : unacceptable AudienceRestriction"][3])
    host.files["/var/log/shibboleth/transaction.log"] = "2027-01-15 07:59:30|Shibboleth-TRANSACTION.Login|x\n"
    (result,) = run(Site(host), only=["FS903"])
    assert result.severity == Severity.NOTE


def test_a_crl_that_is_created_each_day_is_not_warned_about_in_its_first_hours():
    host = with_fault({"commands": {"openssl crl": revocation_list("Jan 15 00:00:00 2027", "Jan 16 00:00:00 2027")}})
    assert run(Site(host), only=["FS306"])[0].severity == Severity.OK


def test_a_login_by_a_form_begins_at_shibd_where_no_path_has_openid_connect():
    host = with_fault({"files": {OPENID: None}})
    assert [each.url for each in Site(host).beginnings] == [f"{SITE}Shibboleth.sso/Login"]


def test_a_server_that_was_stopped_is_not_blamed_for_an_earlier_fault():
    host = with_fault(FAULTS["socket stopped"][3])
    host.commands[JOURNAL] = Output(0, TRACEBACK + "unable to load app 0\n")
    assert run(Site(host), only=["FS402"])[0].severity == Severity.OK


@pytest.mark.parametrize("state", ["inactive", "failed", "activating"])
def test_a_server_that_does_not_run_is_not_blamed_for_earlier_requests(state: str):
    host = FakeHost()
    host.units["app.service"] = unit(ActiveState=state)
    host.commands[JOURNAL] = Output(0, "invalid request block size: 5000\nworker 1 (pid: 4) died, killed by signal 9\n")
    assert {each.severity for each in run(Site(host), only=["FS405", "FS406"])} == {Severity.OK}


def test_a_denial_before_the_time_is_no_fault():
    host = with_fault({"files": {AUDIT: DENIAL.replace(f"{NOW - 60:.0f}", f"{NOW - 7200:.0f}")}})
    assert run(Site(host, 3600), only=["FS006"])[0].severity == Severity.OK


def test_a_process_that_crashed_before_is_a_note():
    host = with_fault({"files": {CRASHES[0]: CRASHES[1].format("15 07:39:30.1")}})
    assert run(Site(host, 3600), only=["FS203"])[0].severity == Severity.NOTE
    assert run(Site(host, 600), only=["FS203"])[0].severity == Severity.OK


def test_a_host_without_shibboleth_is_not_blamed_for_it():
    host = with_fault({"commands": {DUMP: Output(0, HTTPD_DUMP.replace("mod_shib", "mod_ssl"))}})
    results = run(Site(host))
    assert {each.check.code for each in results if each.severity == Severity.SKIPPED} == {
        code for code in CHECKS if code.startswith("FS5")
    }
    assert max(each.severity for each in results) == Severity.SKIPPED


def test_a_host_without_anything_is_not_blamed_for_it():
    host = FakeHost()
    host.commands.clear()
    host.files.clear()
    assert {each.severity for each in run(Site(host))} <= {Severity.SKIPPED, Severity.OK}


HAND_MADE = """\
<VirtualHost _default_:443>
ServerName old.example.org
SSLEngine on
SSLCertificateFile /etc/pki/tls/certs/localhost.crt
SSLCertificateKeyFile /etc/pki/tls/private/localhost.key
ProxyPass /Shibboleth.sso !
ProxyPass / uwsgi://127.0.0.1:3031/
</VirtualHost>
"""


def test_a_host_that_was_made_by_hand_is_understood():
    host = FakeHost()
    host.commands["/usr/sbin/httpd -t"] = Output(
        0, "VirtualHost configuration:\n*:443                  old.example.org (/etc/httpd/conf.d/ssl.conf:1)\n"
    )
    del host.files["/usr/sbin/apache2ctl"]
    host.files |= {"/usr/sbin/httpd": "", "/etc/httpd/conf.d/ssl.conf": HAND_MADE}
    host.units = {"httpd.service": unit()}
    host.commands["ss -H"] = Output(0, LISTEN.format(443, "httpd"))
    host.answers["https://old.example.org/"] = Response(503, {}, "")
    host.commands["getent ahosts old.example.org"] = Output(0, "192.0.2.9 STREAM old.example.org\n")
    host.commands[ON_DISK] = host.commands[SERVED] = certificate(names="DNS:old.example.org")
    results = {each.check.code: each for each in run(Site(host))}
    assert [code for code, each in results.items() if each.severity > Severity.NOTE] == ["FS404"]
    assert results["FS403"].seen == [
        "Not looked at: no unit of systemd has the name of the socket to which httpd passes requests."
    ]
    assert results["FS701"].severity == Severity.NOTE


def test_variables_that_are_named_exist():
    known = {
        option
        for path in ROLES.glob("*/meta/argument_specs.yml")
        for entry in yaml.safe_load(path.read_text("utf-8"))["argument_specs"].values()
        for option in entry.get("options", {})
    } | {"flask_sso_protected", "flask_sso_server_name"}
    texts = [text for check in CHECKS.values() for text in (check.cause, check.remedy)]
    roles = "|".join(path.name for path in ROLES.iterdir())
    named = set(re.findall(rf"\b(?:{roles}|flask_sso)_\w+", " ".join(texts)))
    assert named - known == set()
